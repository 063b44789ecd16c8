//! Ten training steps of the reference network against PyTorch: losses, first gradients, parameters at the end.

#![allow(clippy::print_stdout, reason = "how near is part of the result")]

use std::collections::HashMap;
use tilegrad_kernels::Tolerance;
use tilegrad_model::{Config, Engine, Lowering, NamedTensor, Precision, Trainer, data};
use tilegrad_runtime::Device;
use tilegrad_tests::golden::{self, Tensor};
use tilegrad_tests::{compare, devices};

/// Every way in which layers become kernels.
const WAYS: [(Lowering, bool); 3] = [(Lowering::Implicit, true), (Lowering::Implicit, false), (Lowering::Im2col, true)];

fn engines(precision: Precision) -> impl Iterator<Item = Engine> {
    WAYS.into_iter().map(move |(lowering, fuse)| Engine { lowering, fuse, precision })
}

fn config(engine: Engine) -> Config {
    let path = golden::root().join("assets/configs/mnist_cnn.toml");
    let mut config = Config::load(&path).unwrap();
    config.train.batch = 32;
    config.data.validation_split = 0.0;
    config.engine = engine;
    config
}

fn assert_tensors(got: &[NamedTensor], golden: &HashMap<String, Tensor>, prefix: &str, tolerance: Tolerance) {
    assert_eq!(got.len(), 10, "tensors of the reference network");
    for NamedTensor { name, shape, values } in got {
        let expected = &golden[&format!("{prefix}/{name}")];
        assert_eq!(*shape, expected.shape, "{prefix}/{name}");
        compare::assert_close(values, &expected.values, tolerance, &format!("{prefix}/{name}"));
        assert!(values.iter().any(|value| *value != 0.0), "{prefix}/{name} is all zero");
    }
}

/// Ten losses with 16 bits between the layers: each of five layers rounds to 11 bits, some maxima of near ties turn, and from the
/// second step on the weights differ by what that did.
fn ten_losses_are_near_pytorch(device: &Device, engine: Engine) {
    let golden = golden::tensors("mnist_cnn.safetensors").unwrap();
    let mnist = data::load(&golden::root().join("assets/mnist"), &Default::default()).unwrap();
    let mut trainer = Trainer::new(device.clone(), config(engine)).unwrap();
    for NamedTensor { name, .. } in trainer.parameters().unwrap() {
        trainer.set_parameter(&name, &golden[&format!("init/{name}")].values).unwrap();
    }
    let losses = trainer.steps_in_order(&mnist.train.head(320).unwrap(), 10).unwrap();
    let errors = losses.iter().zip(&golden["losses"].values).map(|(got, expected)| got / f64::from(*expected) - 1.0);
    let errors: Vec<f64> = errors.collect();
    println!("{engine:?} on {}: {errors:.5?}", device.info().name);
    assert!(errors[..3].iter().all(|error| error.abs() < 1e-3), "{engine:?}: {losses:?}, off by {errors:?}");
    assert!(errors.iter().all(|error| error.abs() < 2e-2), "{engine:?}: {losses:?}, off by {errors:?}");
    assert!(errors.iter().any(|error| error.abs() > 1e-6), "{engine:?}: nothing was rounded");
}

#[test]
fn ten_losses_in_16_bits_are_near_pytorch() {
    for device in [devices::cpu().unwrap(), devices::adapter().unwrap()] {
        engines(Precision::F16).for_each(|engine| ten_losses_are_near_pytorch(&device, engine));
    }
}

fn ten_steps_agree_with_pytorch(device: &Device, engine: Engine) {
    let golden = golden::tensors("mnist_cnn.safetensors").unwrap();
    let mnist = data::load(&golden::root().join("assets/mnist"), &Default::default()).unwrap();
    let train = mnist.train.head(320).unwrap();
    let mut trainer = Trainer::new(device.clone(), config(engine)).unwrap();
    for NamedTensor { name, .. } in trainer.parameters().unwrap() {
        trainer.set_parameter(&name, &golden[&format!("init/{name}")].values).unwrap();
    }

    let first = trainer.predict(&train.head(32).unwrap()).unwrap().concat();
    let logits = Tolerance { relative: 1e-4, scaled: 1e-5, reason: "five layers of f32 sums" };
    compare::assert_close(&first, &golden["logits"].values, logits, "logits");

    let mut losses = trainer.steps_in_order(&train, 1).unwrap();
    let gradient = Tolerance { relative: 0.0, scaled: 1e-4, reason: "asked for: 1e-4 of the largest element" };
    assert_tensors(&trainer.gradients().unwrap(), &golden, "grad", gradient);

    // The same ten steps in one go, from the start again.
    let mut trainer = Trainer::new(trainer.device().clone(), config(engine)).unwrap();
    for NamedTensor { name, .. } in trainer.parameters().unwrap() {
        trainer.set_parameter(&name, &golden[&format!("init/{name}")].values).unwrap();
    }
    losses.extend(trainer.steps_in_order(&train, 10).unwrap());
    assert_eq!(losses.remove(0), losses[0], "the first step twice");
    for (step, (got, expected)) in losses.iter().zip(&golden["losses"].values).enumerate() {
        let expected = f64::from(*expected);
        assert!((got - expected).abs() <= 1e-4 * expected, "loss of step {step}: {got}, expected {expected}");
    }
    for NamedTensor { name, values, .. } in trainer.parameters().unwrap() {
        let expected = &golden[&format!("after10/{name}")].values;
        let bad = compare::bad_elements(&values, expected, |_| 1e-4);
        assert!(bad.is_empty(), "after10/{name}: {} beyond 1e-4, the first {:?}", bad.len(), bad[0]);
    }
}

#[test]
fn ten_steps_agree_with_pytorch_on_the_cpu() {
    let device = devices::cpu().unwrap();
    engines(Precision::F32).for_each(|engine| ten_steps_agree_with_pytorch(&device, engine));
}

#[test]
fn ten_steps_agree_with_pytorch_on_an_adapter() {
    let device = devices::adapter().unwrap();
    engines(Precision::F32).for_each(|engine| ten_steps_agree_with_pytorch(&device, engine));
}
