//! A training step of the reference network, over made-up images: the arithmetic is the same.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tilegrad_model::data::Dataset;
use tilegrad_model::{Config, Trainer};

const REFERENCE: &str = include_str!("../../assets/configs/mnist_cnn.toml");

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("step");
    group.sample_size(10);
    for batch in [32u32, 64, 256] {
        let mut config = Config::parse(REFERENCE, "mnist_cnn.toml").unwrap();
        config.train.batch = batch;
        config.data.validation_split = 0.0;
        let examples = batch as usize;
        let images = (0..examples * 784).map(|i| (i * 31 % 251) as u8).collect();
        let labels = (0..batch).map(|i| i % 10).collect();
        let classes = (0..10).map(|class| class.to_string()).collect();
        let data = Dataset::new("made up", config.network.input(), images, labels, classes).unwrap();
        let mut trainer = Trainer::new(tilegrad_benches::device().unwrap(), config).unwrap();
        group.throughput(Throughput::Elements(batch.into()));
        let mut stepper = trainer.stepper(&data).unwrap();
        group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
            bencher.iter(|| {
                stepper.run(1).unwrap();
                stepper.wait().unwrap();
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
