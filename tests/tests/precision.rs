//! 16-bit storage: what is stored so and what is not, that results stay near those in 32 bits, and that a training with it is as
//! repeatable as any.

use std::collections::BTreeSet;
use tilegrad_kernels::{Element, Tolerance};
use tilegrad_model::data::ImageShape;
use tilegrad_model::{
    Checkpoint, Config, DataSize, Layer, Loss, Lowering, Mode, ModelError, Network, Optimiser, Padding, Precision,
    Program, Trainer, avg_pool, conv2d, dense, flatten, max_pool,
};
use tilegrad_runtime::{Device, Purpose};
use tilegrad_tests::compare::assert_close;
use tilegrad_tests::{devices, spots};

const SHAPE: ImageShape = ImageShape { height: 9, width: 8, channels: 2 };

fn devices() -> [Device; 2] {
    let devices = [devices::cpu().unwrap(), devices::adapter().unwrap()];
    devices.iter().for_each(|device| assert!(device.stores_halves(), "{} has no shader-f16", device.info().name));
    devices
}

/// A pool that is fused, one that is not, and widths that are no multiple of four.
fn config(precision: Precision) -> Config {
    config_with(max_pool(2), precision)
}

/// Without a maximum, whose near ties may turn when they are rounded.
fn smooth(precision: Precision) -> Config {
    config_with(avg_pool(2), precision)
}

fn config_with(pool: Layer, precision: Precision) -> Config {
    let network = Network::builder(SHAPE)
        .named("first", conv2d(8, 3).padding(Padding::Same).relu())
        .layer(pool.clone())
        .named("second", conv2d(7, 3).padding(Padding::Same).relu())
        .layer(pool)
        .layer(flatten())
        .named("third", dense(12).relu())
        .named("last", dense(4));
    let mut config = Config::new(network.build().unwrap());
    config.train.batch = 24;
    config.train.epochs = 4;
    config.optimiser = config.optimiser.with_learning_rate(0.01);
    config.engine.precision = precision;
    config
}

fn step(config: &Config) -> Program {
    Program::record(config, Mode::Train, 24, DataSize::whole(250, 250)).unwrap()
}

#[test]
fn layers_are_stored_in_16_bits_and_sums_are_not() {
    for (lowering, fuse) in [(Lowering::Implicit, true), (Lowering::Implicit, false), (Lowering::Im2col, true)] {
        let mut config = config(Precision::F16);
        (config.engine.lowering, config.engine.fuse) = (lowering, fuse);
        let graph = step(&config).graph;
        graph.check().unwrap();
        let (mut seen, mut wide) = (BTreeSet::new(), Vec::new());
        for (slice, binding) in graph.nodes().iter().flat_map(|n| n.call.buffers().iter().zip(n.call.kernel().bindings))
        {
            let buffer = graph.buffer(slice.buffer);
            seen.insert((buffer.purpose, slice.element));
            if binding.half && buffer.purpose == Purpose::Activation && slice.element == Element::F32 {
                wide.push(slice.name.to_string());
            }
        }
        wide.sort();
        wide.dedup();
        assert_eq!(wide, ["last.y", "loss.d_output"], "{lowering:?}: activations in 32 bits");
        for purpose in [Purpose::Parameters, Purpose::Gradients, Purpose::Optimiser] {
            assert!(!seen.contains(&(purpose, Element::F16)), "{lowering:?}: {purpose:?} in 16 bits");
        }
        assert!(graph.to_string().contains(":f16"), "a printed graph tells what is stored");
        assert!(!step(&self::config(Precision::F32)).graph.to_string().contains(":f16"));
    }
}

#[test]
fn activations_take_half_the_memory_on_an_adapter() {
    let device = devices::adapter().unwrap();
    let transient = |precision| {
        let mut config = config(precision);
        config.train.batch = 240;
        let mut trainer = Trainer::new(device.clone(), config).unwrap();
        trainer.stepper(&spots(500, SHAPE)).unwrap().memory().transient
    };
    let (half, whole) = (transient(Precision::F16), transient(Precision::F32));
    assert!(half as f64 <= 0.62 * whole as f64, "{half} bytes in 16 bits, {whole} in 32");
}

/// Gradient of every parameter in the first step, and its loss.
fn gradients(device: &Device, config: Config) -> (f64, Vec<f32>) {
    let mut trainer = Trainer::new(device.clone(), config).unwrap();
    let loss = trainer.steps_in_order(&spots(250, SHAPE), 1).unwrap()[0];
    (loss, trainer.gradients().unwrap().into_iter().flat_map(|tensor| tensor.values).collect())
}

#[test]
fn gradients_are_near_those_in_32_bits() {
    let tolerance =
        Tolerance { relative: 0.0, scaled: 3e-2, reason: "four layers of 11 bits; a ReLU near zero may turn" };
    for device in devices() {
        for loss in [Loss::SoftmaxCrossEntropy, Loss::MeanSquaredError] {
            for (lowering, fuse) in [(Lowering::Implicit, true), (Lowering::Implicit, false), (Lowering::Im2col, true)]
            {
                let of = |precision| {
                    let mut config = smooth(precision);
                    (config.engine.lowering, config.engine.fuse, config.train.loss) = (lowering, fuse, loss);
                    gradients(&device, config)
                };
                let ((half_loss, half), (whole_loss, whole)) = (of(Precision::F16), of(Precision::F32));
                let what = format!("{loss:?}, {lowering:?}, fuse {fuse} on {}", device.info().name);
                assert!((half_loss - whole_loss).abs() < 1e-3 * whole_loss, "{what}: {half_loss} {whole_loss}");
                assert!(half != whole, "{what}: nothing was rounded");
                assert_close(&half, &whole, tolerance, &what);
            }
        }
    }
}

/// Late in a training gradients are a millionth of the largest possible ones, which no 16-bit float holds: only the loss
/// scale brings them through.
#[test]
fn small_gradients_are_not_lost() {
    let data = spots(250, SHAPE);
    let mut late = smooth(Precision::F32);
    late.train.epochs = 300;
    let mut trainer = Trainer::new(devices::cpu().unwrap(), late).unwrap();
    let records = trainer.fit(&data).unwrap();
    assert!(records.last().unwrap().train_loss < 2e-3, "{:?}", records.last());
    let parameters = trainer.parameters().unwrap();
    for device in devices() {
        let first_layer = |precision| {
            let mut trainer = Trainer::new(device.clone(), smooth(precision)).unwrap();
            parameters.iter().for_each(|tensor| trainer.set_parameter(&tensor.name, &tensor.values).unwrap());
            trainer.steps_in_order(&data, 1).unwrap();
            trainer.gradients().unwrap().remove(0).values
        };
        let (half, whole) = (first_layer(Precision::F16), first_layer(Precision::F32));
        let largest = whole.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        assert!(largest < 1e-3, "{largest}: the gradients are not small");
        let tolerance =
            Tolerance { relative: 0.0, scaled: 3e-2, reason: "11 bits, and gradients below the normal ones" };
        assert_close(&half, &whole, tolerance, &format!("first.weight on {}", device.info().name));
    }
}

/// The plain step rounds what it stores between convolution, ReLU and pool; a ReLU and a maximum of rounded numbers are
/// the rounded ReLU and maximum.
#[test]
fn a_fused_step_in_16_bits_has_the_same_outputs_as_the_plain_one() {
    let data = spots(48, SHAPE);
    for device in devices() {
        let outputs = |fuse| {
            let mut config = config(Precision::F16);
            config.engine.fuse = fuse;
            Trainer::new(device.clone(), config).unwrap().predict(&data).unwrap()
        };
        assert_eq!(outputs(true), outputs(false), "{}", device.info().name);
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_resuming_changes_none() {
    let data = spots(250, SHAPE);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let bytes = |trainer: &Trainer| {
        trainer.save(&path).unwrap();
        std::fs::read(&path).unwrap()
    };
    for device in devices() {
        let whole = |epochs| {
            let mut trainer = Trainer::new(device.clone(), config(Precision::F16)).unwrap();
            trainer.set_epochs(epochs);
            trainer.fit(&data).unwrap();
            bytes(&trainer)
        };
        let four = whole(4);
        assert!(four == whole(4), "the same seed gave other bytes on {}", device.info().name);
        whole(2);
        let checkpoint = Checkpoint::load(&path).unwrap();
        assert_eq!(checkpoint.config.engine.precision, Precision::F16);
        let mut trainer = Trainer::resume(device.clone(), checkpoint).unwrap();
        trainer.set_epochs(4);
        trainer.fit(&data).unwrap();
        assert!(four == bytes(&trainer), "resuming changed the bytes on {}", device.info().name);
    }
}

#[test]
fn it_learns_with_either_optimiser_and_either_loss() {
    let data = spots(600, SHAPE);
    let sgd = Optimiser::Sgd { learning_rate: 0.05, momentum: 0.9, nesterov: true, weight_decay: 1e-4 };
    let adam = Optimiser::default().with_learning_rate(0.01);
    for device in devices() {
        let ways =
            [(adam, Loss::SoftmaxCrossEntropy), (sgd, Loss::SoftmaxCrossEntropy), (adam, Loss::MeanSquaredError)];
        for (optimiser, loss) in ways {
            let mut config = config(Precision::F16);
            (config.optimiser, config.train.loss, config.train.epochs) = (optimiser, loss, 8);
            let mut trainer = Trainer::new(device.clone(), config).unwrap();
            let records = trainer.fit(&data).unwrap();
            let accuracy = records.last().unwrap().val_accuracy.unwrap();
            assert!(accuracy > 0.9, "{optimiser:?}, {loss:?} on {}: {records:?}", device.info().name);
            let (sums, report) = (trainer.evaluate(&data).unwrap(), trainer.report(&data).unwrap());
            assert_eq!(sums.accuracy, report.accuracy, "figures summed on the device");
        }
    }
}

/// Pixels of up to 25 million leave the range of 16 bits in the first kernel that stores them.
#[test]
fn what_is_too_large_for_16_bits_is_found_and_named() {
    let data = spots(250, SHAPE);
    for device in devices() {
        let mut config = config(Precision::F16);
        config.data.scale = 1e5;
        let error = Trainer::new(device.clone(), config.clone()).unwrap().fit(&data).unwrap_err();
        let ModelError::NotFinite { cause: Some(cause), .. } = &error else { panic!("{error}") };
        assert_eq!((cause.kernel, cause.element), ("gather_batch", Element::F16), "{error}");
        assert!(error.to_string().contains("65504") && error.to_string().contains("--precision f32"), "{error}");
        config.engine.precision = Precision::F32;
        let other = Trainer::new(device.clone(), config).unwrap().fit(&data).map(drop).map_err(|e| e.to_string());
        assert!(other.is_ok() || !other.unwrap_err().contains("65504"), "in 32 bits nothing is said of 16");
    }
}

/// The step whose gradients overflow has a finite loss; it is the next one's that shows it, when every parameter is NaN. A
/// watch sees it at once, and both must name the same place.
#[test]
fn a_gradient_that_is_too_large_is_blamed_on_the_step_that_made_it() {
    let data = spots(250, SHAPE);
    for device in devices() {
        let diverge = |watch| {
            let mut config = config(Precision::F16);
            config.train.loss = Loss::MeanSquaredError;
            let mut trainer = Trainer::new(device.clone(), config).unwrap();
            trainer.set_watch_nan(watch);
            let weight = trainer.parameters().unwrap().into_iter().find(|tensor| tensor.name == "last.weight").unwrap();
            let large: Vec<f32> = weight.values.iter().map(|value| 3e3 * value).collect();
            trainer.set_parameter("last.weight", &large).unwrap();
            match trainer.fit(&data).unwrap_err() {
                ModelError::NotFinite { cause: Some(cause), .. } => *cause,
                error => panic!("{error}"),
            }
        };
        let (by_loss, by_watch) = (diverge(false), diverge(true));
        assert_eq!((by_loss.scope.as_str(), by_loss.element), ("last backward", Element::F16), "{by_loss}");
        assert_eq!(by_loss, by_watch, "{}", device.info().name);
    }
}

/// Call by call, an adapter and the CPU agree in 16 bits too.
#[test]
fn a_step_on_two_devices_is_compared_call_by_call() {
    let data = spots(250, SHAPE);
    let [cpu, adapter] = devices();
    let mut mine = Trainer::new(adapter, config(Precision::F16)).unwrap();
    let mut theirs = Trainer::new(cpu, config(Precision::F16)).unwrap();
    assert_eq!(mine.compare_step(&mut theirs, &data, usize::MAX).unwrap(), None);
}
