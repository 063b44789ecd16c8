//! Training through the Rust API, on the CPU device and on an adapter: repeatable, resumable, and right where
//! values are used twice.

#![allow(clippy::print_stdout, reason = "what was covered is part of the result")]

use std::path::Path;
use tilegrad_kernels::hash;
use tilegrad_model::data::{Dataset, ImageShape};
use tilegrad_model::{
    Checkpoint, Config, Loss, ModelError, Network, Optimiser, Trainer, add, avg_pool, conv2d, dense, flatten,
    global_avg_pool, max_pool, relu,
};
use tilegrad_runtime::{Device, RuntimeError};
use tilegrad_tests::compare::assert_close;
use tilegrad_tests::{devices, golden, spots};

const SHAPE: ImageShape = ImageShape { height: 9, width: 8, channels: 2 };

fn devices() -> [Device; 2] {
    [devices::cpu().unwrap(), devices::adapter().unwrap()]
}

/// Every layer kind, a residual connection, strides and padding.
fn config(epochs: u32) -> Config {
    let network = Network::builder(SHAPE)
        .named("stem", conv2d(8, 3).padding(tilegrad_model::Padding::Same).relu())
        .named("inner", conv2d(8, (1, 3)).padding(tilegrad_model::Padding::Same))
        .layer_from("sum", add(), &["stem", "inner"])
        .layer(relu())
        .layer(max_pool(3).stride(2))
        .layer(conv2d(12, 2))
        .layer(avg_pool((3, 1)).stride(1))
        .layer(global_avg_pool())
        .layer(dense(4))
        .build()
        .unwrap();
    let mut config = Config::new(network);
    config.train.epochs = epochs;
    config.train.batch = 24;
    config.optimiser = config.optimiser.with_learning_rate(0.01);
    config
}

fn bytes(trainer: &Trainer, path: &Path) -> Vec<u8> {
    trainer.save(path).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_resuming_changes_none() {
    let data = spots(250, SHAPE);
    for device in devices() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let whole = |epochs| {
            let mut trainer = Trainer::new(device.clone(), config(epochs)).unwrap();
            let records = trainer.fit(&data).unwrap();
            (bytes(&trainer, &path), records)
        };
        let (four, records) = whole(4);
        assert!(records[3].train_loss < records[0].train_loss, "{records:?}");
        assert!(four == whole(4).0, "the same seed gave other bytes on {}", device.info().name);
        whole(2);
        let mut trainer = Trainer::resume(device.clone(), Checkpoint::load(&path).unwrap()).unwrap();
        trainer.set_epochs(4);
        assert_eq!(trainer.fit(&data).unwrap().len(), 2);
        assert!(four == bytes(&trainer, &path), "resuming changed the bytes on {}", device.info().name);
    }
}

#[test]
fn figures_summed_on_the_device_are_those_of_the_outputs() {
    // 250 examples in batches of 24: the last batch is short.
    let data = spots(250, SHAPE);
    for device in devices() {
        for loss in [Loss::SoftmaxCrossEntropy, Loss::MeanSquaredError] {
            let mut config = config(2);
            config.train.loss = loss;
            let mut trainer = Trainer::new(device.clone(), config).unwrap();
            trainer.fit(&data).unwrap();
            let (sums, report) = (trainer.evaluate(&data).unwrap(), trainer.report(&data).unwrap());
            assert_eq!(sums.accuracy, report.accuracy, "{loss:?}");
            assert!((sums.loss - report.loss).abs() < 1e-5 * report.loss, "{loss:?}: {sums:?}, {}", report.loss);
            assert_eq!(report.confusion.iter().flatten().sum::<u64>(), 250);
        }
    }
}

#[test]
fn a_network_of_every_layer_learns_with_either_optimiser() {
    let data = spots(600, SHAPE);
    for device in devices() {
        let sgd = Optimiser::Sgd { learning_rate: 0.05, momentum: 0.9, nesterov: true, weight_decay: 1e-4 };
        for optimiser in [Optimiser::default().with_learning_rate(0.01), sgd] {
            let mut config = config(8);
            config.optimiser = optimiser;
            let mut trainer = Trainer::new(device.clone(), config).unwrap();
            let records = trainer.fit(&data).unwrap();
            let accuracy = records.last().unwrap().val_accuracy.unwrap();
            assert!(accuracy > 0.9, "{optimiser:?} on {}: {records:?}", device.info().name);
        }
    }
}

/// `logits = (h + h) · w2 + b2` with `h = x · w1 + b1`, differentiated by hand in f64.
#[test]
fn the_gradient_of_a_value_used_twice_is_the_sum_of_both_uses() {
    let shape = ImageShape { height: 1, width: 1, channels: 5 };
    let (batch, inputs, hidden, classes) = (6usize, 5usize, 7usize, 3usize);
    let pixels: Vec<u8> = (0..(batch * inputs) as u32).map(|i| hash::bits(3, 0, i) as u8).collect();
    let labels: Vec<u32> = (0..batch as u32).map(|i| i % 3).collect();
    let names = ["a", "b", "c"].map(str::to_owned).to_vec();
    let data = Dataset::new("vectors", shape, pixels.clone(), labels.clone(), names).unwrap();
    for device in devices() {
        let network = Network::builder(shape)
            .layer(flatten())
            .named("one", dense(hidden as u32))
            .layer_from("twice", add(), &["one", "one"])
            .layer(dense(classes as u32));
        let mut config = Config::new(network.build().unwrap());
        config.train.batch = batch as u32;
        config.data.validation_split = 0.0;
        let mut trainer = Trainer::new(device, config).unwrap();
        let before = trainer.parameters().unwrap();
        let parameter = |at: usize, i: usize| f64::from(before[at].values[i]);
        trainer.steps_in_order(&data, 1).unwrap();

        let mut expected = vec![0.0f64; inputs * hidden];
        for row in 0..batch {
            let x = |i: usize| f64::from(pixels[row * inputs + i]) / 255.0;
            let h = |j: usize| (0..inputs).map(|i| x(i) * parameter(0, i * hidden + j)).sum::<f64>() + parameter(1, j);
            let hidden_values: Vec<f64> = (0..hidden).map(h).collect();
            let logit = |c: usize| {
                (0..hidden).map(|j| 2.0 * hidden_values[j] * parameter(2, j * classes + c)).sum::<f64>()
                    + parameter(3, c)
            };
            let powers: Vec<f64> = (0..classes).map(|c| logit(c).exp()).collect();
            let sum: f64 = powers.iter().sum();
            let one_hot = |c: usize| f64::from(u8::from(labels[row] as usize == c));
            for (i, j) in (0..inputs).flat_map(|i| (0..hidden).map(move |j| (i, j))) {
                let through = |c: usize| (powers[c] / sum - one_hot(c)) / batch as f64 * parameter(2, j * classes + c);
                expected[i * hidden + j] += 2.0 * x(i) * (0..classes).map(through).sum::<f64>();
            }
        }
        let gradients = trainer.gradients().unwrap();
        assert_eq!(gradients[0].name, "one.weight");
        let expected: Vec<f32> = expected.iter().map(|value| *value as f32).collect();
        let tolerance = tilegrad_kernels::Tolerance { relative: 1e-4, scaled: 1e-6, reason: "a few f32 sums" };
        assert_close(&gradients[0].values, &expected, tolerance, "one.weight");
    }
}

/// The first call that wrote a value which is not finite: all that it read is finite.
#[test]
fn a_divergence_names_step_layer_kernel_and_value() {
    let data = spots(250, SHAPE);
    for device in devices() {
        let diverge = |watch| {
            let mut config = config(5);
            config.optimiser = config.optimiser.with_learning_rate(1e30);
            let mut trainer = Trainer::new(device.clone(), config).unwrap();
            trainer.set_watch_nan(watch);
            let error = trainer.fit(&data).unwrap_err();
            let text = error.to_string();
            let ModelError::NotFinite { step, cause: Some(cause), .. } = error else { panic!("{text}") };
            let parts = [&cause.scope, cause.kernel, &cause.buffer].map(str::to_owned);
            assert!(parts.iter().all(|part| text.contains(part.as_str())), "{text}");
            assert!(!cause.value.is_finite() && cause.inputs.iter().all(|input| input.not_finite == 0), "{cause:?}");
            assert!(tilegrad_kernels::find(cause.kernel).is_some(), "{cause:?}");
            (step, trainer)
        };
        let ((by_loss, trainer), (by_watch, _)) = (diverge(false), diverge(true));
        assert!((1..=10).contains(&by_loss) && by_watch <= by_loss, "{by_loss} {by_watch}");
        // The replay leaves the training where the epoch began.
        assert!(trainer.checkpoint().is_ok());
    }
}

/// Must hold for the reference network on real images too.
#[test]
fn the_reference_network_with_an_absurd_learning_rate_is_stopped_with_a_cause() {
    let mnist = tilegrad_model::data::load(&golden::root().join("assets/mnist"), &Default::default()).unwrap();
    let train = mnist.train.head(512).unwrap();
    for device in devices() {
        let mut config = Config::load(&golden::root().join("assets/configs/mnist_cnn.toml")).unwrap();
        config.optimiser = config.optimiser.with_learning_rate(1e6);
        config.train.epochs = 3;
        let error = Trainer::new(device.clone(), config).unwrap().fit(&train).unwrap_err();
        let ModelError::NotFinite { cause: Some(cause), .. } = &error else { panic!("{error}") };
        assert!(cause.inputs.iter().all(|input| input.not_finite == 0), "{error}");
        println!("{}: {error}", device.info().name);
    }
}

#[test]
fn a_batch_too_large_for_the_adapter_names_the_buffer_and_what_to_try() {
    let device = devices::adapter().unwrap();
    let mut config = Config::load(&golden::root().join("assets/configs/mnist_cnn.toml")).unwrap();
    config.train.batch = 60_000;
    config.data.validation_split = 0.0;
    let shape = config.network.input();
    let data = Dataset::new("zeros", shape, vec![0; 60_000 * 784], vec![0; 60_000], vec!["a".into()]).unwrap();
    let mut trainer = Trainer::new(device, config).unwrap();
    let error = trainer.fit(&data).unwrap_err();
    let text = error.to_string();
    let limit = matches!(error, ModelError::Runtime(RuntimeError::Limit { .. }) | ModelError::Shape(_));
    assert!(limit && text.contains("smaller batch"), "{text}");
}

/// The example of the README, as somebody with an application of their own would run it.
#[test]
fn the_mnist_example_trains_on_a_part_of_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let tests = std::env::current_exe().unwrap();
    let example = tests.parent().and_then(Path::parent).unwrap().join("examples/mnist");
    assert!(example.exists(), "{} is missing; run `cargo xtask test`", example.display());
    let mnist = golden::root().join("assets/mnist").canonicalize().unwrap();
    let output =
        std::process::Command::new(example).arg(mnist).args(["1280", "2"]).current_dir(folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let accuracy = text.split("test accuracy ").nth(1).and_then(|rest| rest.trim().lines().next());
    let accuracy: f64 = accuracy.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}"));
    assert!(accuracy > 0.6, "{text}");
    assert!(Checkpoint::load(&folder.path().join("mnist.safetensors")).is_ok());
}

/// Each call by itself agrees; a parameter changed on one side is found at the first call that reads it.
#[test]
fn a_step_on_two_devices_is_compared_call_by_call() {
    let data = spots(250, SHAPE);
    let [cpu, adapter] = devices();
    let mut mine = Trainer::new(adapter, config(1)).unwrap();
    let mut theirs = Trainer::new(cpu, config(1)).unwrap();
    assert_eq!(mine.compare_step(&mut theirs, &data, usize::MAX).unwrap(), None);

    let inner = theirs.parameters().unwrap().into_iter().find(|tensor| tensor.name == "inner.weight").unwrap();
    let mut values = inner.values;
    values[5] += 0.5;
    theirs.set_parameter("inner.weight", &values).unwrap();
    let found = mine.compare_step(&mut theirs, &data, 0).unwrap().unwrap();
    assert_eq!((found.scope.as_str(), found.kernel), ("inner forward", "conv2d"), "{found}");
}
