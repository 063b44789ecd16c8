//! Fusion: what joins, what must not, and that the results stay the same.

use tilegrad_kernels::{Tolerance, hash};
use tilegrad_model::data::{Dataset, ImageShape};
use tilegrad_model::{
    Config, DataSize, Lowering, Mode, Network, NetworkBuilder, Padding, Program, Trainer, add, conv2d, dense, flatten,
    max_pool, relu,
};
use tilegrad_runtime::Device;
use tilegrad_tests::compare::assert_close;
use tilegrad_tests::devices;

const SHAPE: ImageShape = ImageShape { height: 11, width: 10, channels: 3 };

fn noise(count: u32) -> Dataset {
    let len = count * SHAPE.len().unwrap() as u32;
    let images = (0..len).map(|i| hash::bits(1, 0, i) as u8).collect();
    let labels = (0..count).map(|i| hash::bits(2, 0, i) % 4).collect();
    Dataset::new("noise", SHAPE, images, labels, ["a", "b", "c", "d"].map(str::to_owned).to_vec()).unwrap()
}

/// A network's name, its layers, and how often each fused kernel must appear in its training step.
struct Example {
    name: &'static str,
    network: Network,
    pools: usize,
    cut_gradients: usize,
}

fn example(name: &'static str, layers: NetworkBuilder, pools: usize, cut_gradients: usize) -> Example {
    let network = layers.layer(flatten()).layer(dense(4)).build().unwrap();
    Example { name, network, pools, cut_gradients }
}

fn examples() -> Vec<Example> {
    let start = || Network::builder(SHAPE);
    let branch = start()
        .named("stem", conv2d(8, 3).relu())
        .named("pooled", max_pool(2))
        .layer_from("other", max_pool(2), &["stem"])
        .layer_from("sum", add(), &["pooled", "other"]);
    let residual = start().named("stem", conv2d(8, 3).padding(Padding::Same).relu());
    let residual = residual
        .named("inner", conv2d(8, 3).padding(Padding::Same).relu())
        .layer_from("sum", add(), &["stem", "inner"])
        .layer(max_pool(2));
    vec![
        example("relu and pool", start().layer(conv2d(8, 3).relu()).layer(max_pool(2)), 1, 0),
        example(
            "two of them",
            start().layer(conv2d(4, 2).relu()).layer(max_pool(2)).layer(conv2d(8, 2).relu()).layer(max_pool(2)),
            2,
            0,
        ),
        example("a pool without relu", start().layer(conv2d(8, 3)).layer(max_pool(2)), 1, 0),
        example("relu as a layer", start().layer(conv2d(8, 3)).layer(relu()).layer(max_pool(2)), 1, 0),
        example("relu between convolutions", start().layer(conv2d(8, 3).relu()).layer(conv2d(6, 3)), 0, 1),
        example("a pool of three", start().layer(conv2d(8, 3).relu()).layer(max_pool(3)), 0, 0),
        example("overlapping windows", start().layer(conv2d(8, 3).relu()).layer(max_pool(2).stride(1)), 0, 0),
        example("a padded pool", start().layer(conv2d(8, 3).relu()).layer(max_pool(2).padding(Padding::Same)), 0, 0),
        example("filters not in fours", start().layer(conv2d(6, 3).relu()).layer(max_pool(2)), 0, 0),
        example("two pools over one convolution", branch, 0, 0),
        example("a residual connection", residual, 0, 0),
    ]
}

fn config(network: Network, fuse: bool) -> Config {
    let mut config = Config::new(network);
    config.train.batch = 16;
    config.data.validation_split = 0.0;
    config.engine.fuse = fuse;
    config
}

fn step(network: &Network, fuse: bool) -> Program {
    let data = DataSize::whole(16, 16);
    Program::record(&config(network.clone(), fuse), Mode::Train, 16, data).unwrap()
}

#[test]
fn each_rule_joins_what_it_should_and_nothing_else() {
    for Example { name, network, pools, cut_gradients } in examples() {
        let count = |program: &Program, kernel: &str, param: Option<&str>| {
            let calls = program.graph.nodes().iter().map(|node| &node.call);
            let fits = |call: &&tilegrad_kernels::Call| {
                call.kernel().name == kernel && param.is_none_or(|param| call.param(param) == Some(1))
            };
            calls.filter(fits).count()
        };
        let (plain, fused) = (step(&network, false), step(&network, true));
        fused.graph.check().unwrap();
        assert_eq!(count(&fused, "conv2d_pool", None), pools, "{name}: fused pools");
        assert_eq!(count(&fused, "conv2d_grad_weight", Some("pooled")), pools, "{name}: expanding gradients");
        assert_eq!(count(&fused, "conv2d_grad_input", Some("relu")), cut_gradients, "{name}: cut gradients");
        assert_eq!(count(&plain, "conv2d_pool", None) + count(&plain, "conv2d", Some("relu")), 0, "{name}: --no-fuse");
        assert!(fused.graph.nodes().len() <= plain.graph.nodes().len(), "{name}");
    }
}

fn gradients(device: &Device, network: &Network, fuse: bool) -> (f64, Vec<f32>) {
    let mut trainer = Trainer::new(device.clone(), config(network.clone(), fuse)).unwrap();
    let loss = trainer.steps_in_order(&noise(16), 1).unwrap()[0];
    (loss, trainer.gradients().unwrap().into_iter().flat_map(|tensor| tensor.values).collect())
}

fn fused_steps_agree(device: &Device) {
    let tolerance = Tolerance { relative: 1e-4, scaled: 1e-5, reason: "the same sums, perhaps in another order" };
    for Example { name, network, .. } in examples() {
        let ((loss, plain), (fused_loss, fused)) =
            (gradients(device, &network, false), gradients(device, &network, true));
        assert!((loss - fused_loss).abs() < 1e-5, "{name}: loss {loss}, fused {fused_loss}");
        assert!(plain.iter().any(|gradient| *gradient != 0.0), "{name}: nothing to compare");
        assert_close(&fused, &plain, tolerance, &format!("{name} on {}", device.info().name));
    }
}

#[test]
fn a_fused_step_has_the_gradients_of_the_plain_one_on_the_cpu() {
    fused_steps_agree(&devices::cpu().unwrap());
}

#[test]
fn a_fused_step_has_the_gradients_of_the_plain_one_on_an_adapter() {
    fused_steps_agree(&devices::adapter().unwrap());
}

/// A ReLU or a pool that turned a NaN into a zero would hide a training that is broken.
#[test]
fn a_weight_that_is_not_a_number_is_seen_in_the_loss() {
    for device in [devices::cpu().unwrap(), devices::adapter().unwrap()] {
        for (fuse, lowering) in [(true, Lowering::Implicit), (false, Lowering::Implicit), (true, Lowering::Im2col)] {
            let mut config = config(examples().remove(0).network, fuse);
            config.engine.lowering = lowering;
            let mut trainer = Trainer::new(device.clone(), config).unwrap();
            let first = trainer.parameters().unwrap().remove(0);
            let mut values = first.values;
            values[0] = f32::NAN;
            trainer.set_parameter(&first.name, &values).unwrap();
            let result = trainer.steps_in_order(&noise(16), 1);
            let hidden = result.as_ref().is_ok_and(|losses| losses[0].is_finite());
            assert!(!hidden, "fuse {fuse}, {lowering:?} on {}: {result:?}", device.info().name);
        }
    }
}
