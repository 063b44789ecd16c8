//! Single operations against PyTorch, forward and backward, on the CPU device and on an adapter.
//!
//! The cases come from ops.json in `GOLDEN_DIR`; a case of an operation that the engine does not have fails
//! unless it stands in `NOT_YET`.

#![allow(clippy::print_stdout, reason = "what was covered is part of the result")]

use serde_json::Value;
use std::collections::HashMap;
use tilegrad_kernels::state::{Metrics, StepState};
use tilegrad_kernels::{
    Call, Element, KERNELS, Slice, Tolerance, adam, advance_step, mean_squared_error, sgd, softmax_cross_entropy,
};
use tilegrad_model::data::ImageShape;
use tilegrad_model::{
    Engine, Layer, LayerProgram, Lowering, Optimiser, Padding, Pair, Precision, Shape, avg_pool, conv2d, dense,
    max_pool,
};
use tilegrad_runtime::{Device, Graph, Memory, Purpose};
use tilegrad_tests::compare::assert_close;
use tilegrad_tests::devices;
use tilegrad_tests::golden::{self, Tensor};

/// Operations that golden numbers exist for and kernels do not yet.
const NOT_YET: &[&str] = &["batch_norm", "rmsprop", "adadelta"];

const TOLERANCE: Tolerance =
    Tolerance { relative: 2e-4, scaled: 1e-5, reason: "f32 sums of up to a thousand terms against float64" };

/// For 16-bit floats: inputs and gradients are rounded to 11 bits, each to 1/2048 of itself, and so are results. In a sum of
/// products the roundings cancel in part, but it may be small beside its terms.
const HALF_TOLERANCE: Tolerance =
    Tolerance { relative: 2e-3, scaled: 2e-3, reason: "f32 sums over inputs of 11 bits against float64" };

struct Golden<'a> {
    case: &'a Value,
    name: &'a str,
    tensors: &'a HashMap<String, Tensor>,
}

impl Golden<'_> {
    fn tensor(&self, role: &str) -> &Tensor {
        let key = format!("{}/{role}", self.name);
        self.tensors.get(&key).unwrap_or_else(|| panic!("ops.safetensors has no {key}"))
    }

    fn number(&self, key: &str) -> u32 {
        self.case[key].as_u64().unwrap_or_else(|| panic!("{}: `{key}` is no number", self.name)) as u32
    }

    fn setting(&self, key: &str) -> f32 {
        self.case["settings"][key].as_f64().unwrap_or(0.0) as f32
    }

    fn assert(&self, got: &[f32], role: &str, device: &Device) {
        self.assert_within(TOLERANCE, got, role, device);
    }

    fn assert_within(&self, tolerance: Tolerance, got: &[f32], role: &str, device: &Device) {
        let what = format!("{} {role} on {}", self.name, device.info().name);
        assert_close(got, &self.tensor(role).values, tolerance, &what);
    }
}

fn read(device: &Device, memory: &Memory) -> Vec<f32> {
    device.read(memory).unwrap().into_iter().map(f32::from_bits).collect()
}

fn upload(device: &Device, name: &str, values: &[f32]) -> Memory {
    device.upload(name, &values.iter().map(|value| value.to_bits()).collect::<Vec<u32>>()).unwrap()
}

/// Batch and shape of an input tensor.
fn split_shape(tensor: &Tensor) -> (u32, Shape) {
    match tensor.shape[..] {
        [batch, height, width, channels] => (batch, Shape::Image(ImageShape { height, width, channels })),
        [batch, units] => (batch, Shape::Vector(units)),
        _ => panic!("an input of shape {:?}", tensor.shape),
    }
}

/// In both lowerings, where the layer has two, and in both precisions.
fn check_layer(device: &Device, golden: &Golden<'_>, layer: Layer) {
    let halves = device.stores_halves();
    if !halves {
        println!("NOT COVERED on {}: {} in 16 bits", device.info().name, golden.name);
    }
    for lowering in [Lowering::Implicit, Lowering::Im2col] {
        for precision in [Precision::F32].into_iter().chain(halves.then_some(Precision::F16)) {
            check_lowered(device, golden, layer.clone(), Engine { lowering, precision, ..Engine::default() });
        }
    }
}

fn check_lowered(device: &Device, golden: &Golden<'_>, layer: Layer, engine: Engine) {
    let (batch, shape) = split_shape(golden.tensor("in.x"));
    let pools = matches!(layer, Layer::MaxPool { .. });
    let program = LayerProgram::record(layer, shape, batch, engine).unwrap();
    let mut block = vec![0.0; program.set.len()];
    for spec in program.set.specs() {
        let role = spec.name.trim_start_matches("layer.");
        let values = &golden.tensor(&format!("in.{role}")).values;
        block[spec.offset..spec.offset + spec.len()].copy_from_slice(values);
    }
    let parameters = upload(device, "parameters", &block);
    let gradients = device.alloc("gradients", block.len()).unwrap();
    let stored = |slice: &Slice, values: &[f32]| device.upload(&slice.name, &slice.element.pack(values)).unwrap();
    let x = stored(&program.input, &golden.tensor("in.x").values);
    let d_output = stored(&program.d_output, &golden.tensor("dout").values);
    let output = device.alloc("output", program.output.words()).unwrap();
    let d_input = device.alloc("d_input", program.d_input.words()).unwrap();
    let mut external = vec![
        (&program.input, &x),
        (&program.output, &output),
        (&program.d_output, &d_output),
        (&program.d_input, &d_input),
    ];
    external.push((&program.parameters, &parameters));
    external.push((&program.gradients, &gradients));
    device.prepare(&program.graph, &external).unwrap().run(1).unwrap();
    let tolerance = if engine.precision == Precision::F16 { HALF_TOLERANCE } else { TOLERANCE };
    for (slice, memory, role) in [(&program.output, &output, "out"), (&program.d_input, &d_input, "grad.x")] {
        if pools && role == "grad.x" && engine.precision == Precision::F16 {
            let why =
                "two pixels may be equal once they are rounded, another one wins, and the gradient goes elsewhere";
            println!("NOT COVERED on {}: {} {role} in 16 bits, because {why}", device.info().name, golden.name);
            continue;
        }
        let values = slice.element.floats(&device.read(memory).unwrap(), slice.len);
        golden.assert_within(tolerance, &values, role, device);
    }
    let block = read(device, &gradients);
    for spec in program.set.specs() {
        let role = spec.name.trim_start_matches("layer.");
        let values = &block[spec.offset..spec.offset + spec.len()];
        golden.assert_within(tolerance, values, &format!("grad.{role}"), device);
    }
}

/// Runs one call over given buffers and returns what they hold afterwards.
fn run(device: &Device, buffers: &[(Slice, Vec<u32>)], graph: &Graph) -> Vec<Vec<u32>> {
    let memories: Vec<Memory> =
        buffers.iter().map(|(slice, words)| device.upload(&slice.name, words).unwrap()).collect();
    let external: Vec<_> = buffers.iter().map(|(slice, _)| slice).zip(&memories).collect();
    device.prepare(graph, &external).unwrap().run(1).unwrap();
    memories.iter().map(|memory| device.read(memory).unwrap()).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn state(count: u32, learning_rate: f32) -> StepState {
    StepState { step: 0, batch: 0, count, seed: 0, learning_rate, beta1_gap: 0.0, beta2_gap: 0.0, epoch: 0 }
}

/// A loss gives the mean of its rows and, for a gradient of one, the gradient of its input.
fn check_loss(device: &Device, golden: &Golden<'_>, input: &str) {
    let x = golden.tensor(&format!("in.{input}"));
    let (rows, columns) = (x.shape[0], x.shape[1]);
    let mut graph = Graph::new();
    let mut buffers: Vec<(Slice, Vec<u32>)> = Vec::new();
    let mut add = |graph: &mut Graph, name: &str, element, words: Vec<u32>| {
        let slice = graph.external(name, words.len(), element, Purpose::Scratch);
        buffers.push((slice.clone(), words));
        slice
    };
    let inputs = add(&mut graph, input, Element::F32, bits(&x.values));
    let state = add(&mut graph, "state", Element::U32, state(rows, 0.0).to_words());
    let d_input = add(&mut graph, "d_input", Element::F32, vec![0; x.values.len()]);
    let row_metrics = add(&mut graph, "row_metrics", Element::F32, vec![0; 2 * rows as usize]);
    let call: Call = if input == "logits" {
        let labels = golden.tensor("in.labels").values.iter().map(|label| *label as u32).collect();
        let labels = add(&mut graph, "labels", Element::U32, labels);
        let io = softmax_cross_entropy::Io { logits: inputs, labels, state, d_logits: d_input, row_metrics };
        softmax_cross_entropy::call(io, (rows, columns), 1.0).unwrap()
    } else {
        let targets = add(&mut graph, "targets", Element::F32, bits(&golden.tensor("in.target").values));
        let io = mean_squared_error::Io { prediction: inputs, targets, state, d_prediction: d_input, row_metrics };
        mean_squared_error::call(io, (rows, columns), 1.0).unwrap()
    };
    graph.push("loss", call);
    let after = run(device, &buffers, &graph);
    let losses: Vec<f32> = after[3].chunks(2).map(|row| f32::from_bits(row[0])).collect();
    let mean = losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / f64::from(rows);
    golden.assert(&[mean as f32], "out", device);
    let d_out = golden.tensor("dout").values[0];
    let d_input: Vec<f32> = after[2].iter().map(|word| f32::from_bits(*word) * d_out).collect();
    golden.assert(&d_input, &format!("grad.{input}"), device);
}

/// Steps with given gradients; the device advances its own step state in between.
fn check_optimiser(device: &Device, golden: &Golden<'_>) {
    let param = &golden.tensor("in.param").values;
    let gradients = &golden.tensor("in.grads").values;
    let count = param.len().next_multiple_of(64);
    let padded = |values: &[f32]| {
        let mut padded = values.to_vec();
        padded.resize(count, 0.0);
        bits(&padded)
    };
    let adaptive = golden.name.starts_with("adam");
    let betas = golden.case["settings"]["betas"]
        .as_array()
        .map(|betas| (betas[0].as_f64().unwrap() as f32, betas[1].as_f64().unwrap() as f32));
    let (beta1, beta2) = betas.unwrap_or((0.0, 0.0));
    let mut graph = Graph::new();
    let mut external = |name: &str, element, len| graph.external(name, len, element, Purpose::Scratch);
    let [grad, p, m, v] = ["grad", "param", "m", "v"].map(|name| external(name, Element::F32, count));
    let rows = external("row_metrics", Element::F32, 2);
    let step_state = external("state", Element::U32, StepState::WORDS);
    let metrics = external("metrics", Element::U32, Metrics::WORDS);
    let call = if adaptive {
        let io =
            adam::Io { grad: grad.clone(), state: step_state.clone(), param: p.clone(), m: m.clone(), v: v.clone() };
        let (epsilon, weight_decay, loss_scale) = (golden.setting("eps"), golden.setting("weight_decay"), 1.0);
        adam::call(io, adam::Settings { count: count as u32, beta1, beta2, epsilon, weight_decay, loss_scale })
    } else {
        let io = sgd::Io { grad: grad.clone(), state: step_state.clone(), param: p.clone(), velocity: m.clone() };
        let nesterov = golden.case["settings"]["nesterov"].as_bool().unwrap_or(false);
        let (momentum, weight_decay, loss_scale) = (golden.setting("momentum"), golden.setting("weight_decay"), 1.0);
        sgd::call(io, sgd::Settings { count: count as u32, momentum, nesterov, weight_decay, loss_scale })
    };
    graph.push("optimiser", call.unwrap());
    let io = advance_step::Io { row_metrics: rows.clone(), state: step_state.clone(), metrics: metrics.clone() };
    graph.push("advance", advance_step::call(io, advance_step::Settings { batch: 1, beta1, beta2 }).unwrap());
    let slices = [grad, p, m, v, rows, step_state, metrics];
    let memories: Vec<Memory> = slices.iter().map(|slice| device.alloc(&slice.name, slice.len).unwrap()).collect();
    device.write(&memories[1], 0, &padded(param)).unwrap();
    device.write(&memories[5], 0, &state(100, golden.setting("lr")).to_words()).unwrap();
    let plan = device.prepare(&graph, &slices.iter().zip(&memories).collect::<Vec<_>>()).unwrap();
    for step in gradients.chunks(param.len()) {
        device.write(&memories[0], 0, &padded(step)).unwrap();
        plan.run(1).unwrap();
    }
    golden.assert(&read(device, &memories[1])[..param.len()], "out", device);
}

fn check(device: &Device, golden: &Golden<'_>) -> bool {
    let op = golden.case["op"].as_str().unwrap_or_default();
    let side = |key: &str| Pair::from(golden.number(key));
    match op {
        "conv2d" => {
            let weight = &golden.tensor("in.weight").shape;
            let layer = conv2d(weight[3], (weight[0], weight[1]));
            let padding = Padding::Explicit(side("pad"));
            check_layer(device, golden, layer.stride(side("stride")).padding(padding));
        }
        "dense" => check_layer(device, golden, dense(golden.tensor("in.weight").shape[1])),
        "max_pool" => check_layer(device, golden, max_pool(side("size")).stride(side("stride"))),
        "avg_pool" => check_layer(device, golden, avg_pool(side("size")).stride(side("stride"))),
        "softmax_cross_entropy" => check_loss(device, golden, "logits"),
        "mse" => check_loss(device, golden, "prediction"),
        "optimiser" if !NOT_YET.contains(&golden.name) => check_optimiser(device, golden),
        _ => {
            let known = NOT_YET.contains(&op) || NOT_YET.contains(&golden.name);
            assert!(known, "{}: the engine has no operation `{op}`", golden.name);
            println!("not covered: {} ({op})", golden.name);
            return false;
        }
    }
    true
}

fn every_case_agrees(device: &Device) {
    let tensors = golden::tensors("ops.safetensors").unwrap();
    let cases = golden::cases().unwrap();
    let check = |case| check(device, &Golden { case, name: case["name"].as_str().unwrap(), tensors: &tensors });
    let covered = cases.iter().filter(|case| check(case)).count();
    println!("{covered} of {} golden cases agree on {}", cases.len(), device.info().name);
    assert!(covered > 0, "no golden case is covered");
}

/// What is said to be missing is missing: what has become possible is checked from then on.
#[test]
fn what_is_not_there_yet_is_neither_kernel_nor_layer_nor_optimiser() {
    let cases = golden::cases().unwrap();
    for word in NOT_YET {
        let is_case = |case: &&Value| case["op"] == *word || case["name"] == *word;
        assert!(cases.iter().any(|case| is_case(&case)), "`{word}` stands in NOT_YET, and no golden case needs it");
        let kernel = KERNELS.iter().find(|kernel| kernel.name.starts_with(word)).map(|kernel| kernel.name);
        let kinds = Layer::KINDS.iter().chain(Optimiser::KINDS).copied();
        let known = kinds.chain(kernel).find(|known| known.starts_with(word));
        assert_eq!(known, None, "`{word}` stands in NOT_YET, but the engine has it: check its golden cases");
    }
}

#[test]
fn every_golden_case_agrees_on_the_cpu() {
    every_case_agrees(&devices::cpu().unwrap());
}

#[test]
fn every_golden_case_agrees_on_an_adapter() {
    every_case_agrees(&devices::adapter().unwrap());
}
