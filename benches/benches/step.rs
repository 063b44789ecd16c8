//! A training step of the reference network, over made-up images: the arithmetic is the same. On the CPU device and on the
//! one that `TILEGRAD_BENCH_DEVICE` names.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use std::time::{Duration, Instant};
use tilegrad_model::data::Dataset;
use tilegrad_model::{Config, ModelError, Stepper, Trainer};
use tilegrad_runtime::Device;

const REFERENCE: &str = include_str!("../../assets/configs/mnist_cnn.toml");
/// Steps of a pass over the images, and so of one submission.
const STEPS: u32 = 8;

fn config(batch: u32) -> Result<Config, ModelError> {
    let mut config = Config::parse(REFERENCE, "mnist_cnn.toml")?;
    config.train.batch = batch;
    config.data.validation_split = 0.0;
    Ok(config)
}

fn images(config: &Config) -> Result<Dataset, ModelError> {
    let examples = STEPS * config.train.batch;
    let bytes = config.network.input().len().map_or(0, |len| len * examples as usize);
    let images = (0..bytes).map(|i| (i * 31 % 251) as u8).collect();
    let labels = (0..examples).map(|i| i % 10).collect();
    let classes = (0..10).map(|class| class.to_string()).collect();
    Ok(Dataset::new("made up", config.network.input(), images, labels, classes)?)
}

/// Steps as a training does them: several in one submission, one wait.
fn time(stepper: &mut Stepper<'_>, mut steps: u64) -> Result<Duration, ModelError> {
    let begun = Instant::now();
    while steps > 0 {
        let now = steps.min(STEPS.into());
        stepper.run(now as u32)?;
        steps -= now;
    }
    stepper.wait()?;
    Ok(begun.elapsed())
}

fn bench_batch(group: &mut BenchmarkGroup<'_, WallTime>, device: &Device, batch: u32) -> Result<(), ModelError> {
    let config = config(batch)?;
    let data = images(&config)?;
    let mut trainer = Trainer::new(device.clone(), config)?;
    let mut stepper = trainer.stepper(&data)?;
    group.throughput(Throughput::Elements(batch.into()));
    group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
        bencher.iter_custom(|steps| time(&mut stepper, steps).unwrap());
    });
    Ok(())
}

fn bench(criterion: &mut Criterion) {
    for device in tilegrad_benches::devices().unwrap() {
        let mut group = criterion.benchmark_group(format!("step on {}", device.info().name));
        group.sample_size(10).measurement_time(Duration::from_secs(3));
        for batch in [32, 64, 256] {
            bench_batch(&mut group, &device, batch).unwrap();
        }
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
