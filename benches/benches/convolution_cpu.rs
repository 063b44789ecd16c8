//! The reference network's convolutions on the CPU device, call by call, beside matrix products of the same sizes by the
//! `gemm` crate: `cargo bench -p tilegrad-benches --bench convolution_cpu`.
//!
//! Not criterion: one table of the best of many short runs tells more about code on a machine that others use too.

#![allow(missing_docs, reason = "a program")]
#![allow(clippy::print_stdout, reason = "its table is the result")]

use std::time::{Duration, Instant};
use tilegrad_kernels::convolution::Convolution;
use tilegrad_kernels::window::Window;
use tilegrad_kernels::{Case, conv2d, conv2d_grad_input, conv2d_grad_weight, conv2d_pool, matmul};
use tilegrad_runtime::{Device, Graph, Plan, Purpose};

/// Name, size of the square images, channels, kernel, filters, and whether a pool follows.
const LAYERS: [(&str, u32, u32, u32, u32, bool); 5] = [
    ("conv1", 28, 1, 3, 32, true),
    ("conv2", 13, 32, 3, 64, true),
    ("conv3", 5, 64, 3, 64, false),
    ("dense1", 1, 576, 1, 64, false),
    ("dense2", 1, 64, 1, 10, false),
];

fn convolution(batch: u32, (_, size, channels, kernel, filters, _): (&str, u32, u32, u32, u32, bool)) -> Convolution {
    let window = Window {
        batch,
        height: size,
        width: size,
        channels,
        kernel_height: kernel,
        kernel_width: kernel,
        stride_height: 1,
        stride_width: 1,
        pad_top: 0,
        pad_left: 0,
        pad_bottom: 0,
        pad_right: 0,
    };
    Convolution { window, filters }
}

/// Elements of images, outputs or maxima, winners, weights.
fn sizes(shape: Convolution, pooled: bool) -> [usize; 4] {
    let Window { batch, height, width, channels, kernel_height, kernel_width, .. } = shape.window;
    let side = |size: u32, kernel: u32| (size - kernel + 1) / if pooled { 2 } else { 1 };
    let y = batch * side(height, kernel_height) * side(width, kernel_width) * shape.filters;
    let winner = if pooled { y / 4 } else { 1 };
    let weight = kernel_height * kernel_width * channels * shape.filters;
    [batch * height * width * channels, y, winner, weight].map(|len| len as usize)
}

/// Winners as a ReLU and a pool leave them.
fn winners(len: usize) -> impl Iterator<Item = u32> {
    (0..len as u32).map(|i| u32::from_le_bytes(i.wrapping_mul(2_654_435_761).to_le_bytes().map(|byte| byte % 5)))
}

fn forward(shape: Convolution, pooled: bool) -> Case {
    let [x, y, winner, weight] = sizes(shape, pooled);
    let mut case = Case::named("forward");
    let (x, weight) = (case.random("x", x), case.random("weight", weight));
    let bias = case.random("bias", shape.filters as usize);
    let y = case.output("y", y);
    if !pooled {
        return case.finish(conv2d::call(conv2d::Io { x, weight, bias, y }, shape, true));
    }
    let winner = case.output_integers("winner", winner);
    case.finish(conv2d_pool::call(conv2d_pool::Io { x, weight, bias, y, winner }, shape, true))
}

fn grad_weight(shape: Convolution, pooled: bool) -> Case {
    let [x, y, winner, weight] = sizes(shape, pooled);
    let splits = conv2d_grad_weight::splits(shape).unwrap();
    let bias_offset = (weight as u32).next_multiple_of(64);
    let mut case = Case::named("grad_weight");
    let io = conv2d_grad_weight::Io {
        x: case.random("x", x),
        dy: case.random("dy", y),
        winner: case.integers("winner", winners(winner)),
        grad: case.output("grad", (splits * (bias_offset + shape.filters)) as usize),
    };
    case.finish(conv2d_grad_weight::call(io, shape, conv2d_grad_weight::Layout { pooled, splits, bias_offset }))
}

fn grad_input(shape: Convolution, pooled: bool) -> Case {
    let [x, y, winner, weight] = sizes(shape, pooled);
    let mut case = Case::named("grad_input");
    let io = conv2d_grad_input::Io {
        dy: case.random("dy", y),
        winner: case.integers("winner", winners(winner)),
        weight: case.random("weight", weight),
        x: case.random("x", x),
        dx: case.output("dx", x),
    };
    case.finish(conv2d_grad_input::call(io, shape, conv2d_grad_input::Fused { pooled, relu: true }))
}

fn product(m: u32, k: u32, n: u32, layout: matmul::Layout) -> Case {
    let mut case = Case::named("gemm");
    let io = matmul::Io {
        a: case.random("a", (m * k) as usize),
        b: case.random("b", (k * n) as usize),
        c: case.output("c", (m * n) as usize),
    };
    case.finish(matmul::call(io, matmul::Dims { m, n, k, layout, splits: 1 }))
}

fn prepare(device: &Device, cases: &[&Case]) -> Plan {
    let mut graph = Graph::new();
    let (mut slices, mut memories) = (Vec::new(), Vec::new());
    for case in cases {
        let call = case.call.rebound(|slice| graph.external(&slice.name, slice.len, slice.element, Purpose::Scratch));
        let contents = case.buffers.iter().map(|buffer| device.upload(&buffer.slice.name, &buffer.words).unwrap());
        memories.extend(contents);
        slices.extend(call.buffers().iter().cloned());
        graph.push("bench", call);
    }
    device.prepare(&graph, &slices.iter().zip(&memories).collect::<Vec<_>>()).unwrap()
}

/// Shortest and median milliseconds of many runs.
fn time(plan: &Plan) -> (f64, f64) {
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(300) {
        let start = Instant::now();
        plan.run(1).unwrap();
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    (times[0], times[times.len() / 2])
}

fn row(device: &Device, name: &str, case: &Case, gemm: &Case) {
    let flops = case.call.cost().flops as f64 / 1e6;
    let (best, median) = time(&prepare(device, &[case]));
    print!(
        "{name:>12} {:12} {flops:8.2} MFLOP {best:8.4} ms {median:8.4} median {:7.0} GFLOP/s",
        case.name,
        flops / best
    );
    let (best, _) = time(&prepare(device, &[gemm]));
    println!("   gemm {best:8.4} ms {:6.0} GFLOP/s", gemm.call.cost().flops as f64 / 1e6 / best);
}

fn table(device: &Device, batch: u32, train: bool) {
    println!("batch {batch}");
    let mut cases = Vec::new();
    let mut add = |case: Case, name, gemm| {
        row(device, name, &case, &gemm);
        cases.push(case);
    };
    for layer in LAYERS {
        let (name, size, channels, kernel, filters, pooled) = layer;
        let shape = convolution(batch, layer);
        let (pixels, terms) = (batch * (size - kernel + 1).pow(2), kernel * kernel * channels);
        let gemm = product(pixels, terms, filters, matmul::Layout::NN);
        add(forward(shape, pooled), name, gemm);
        if !train {
            continue;
        }
        let gemm = product(terms, pixels, filters, matmul::Layout::TN);
        add(grad_weight(shape, pooled), name, gemm);
        if name != "conv1" {
            let gemm = product(pixels, filters, terms, matmul::Layout::NT);
            add(grad_input(shape, pooled), name, gemm);
        }
    }
    let (best, median) = time(&prepare(device, &cases.iter().collect::<Vec<_>>()));
    println!("all in one plan: {best:.3} ms, median {median:.3}");
}

fn main() {
    for device in tilegrad_benches::devices().unwrap() {
        table(&device, 64, true);
        table(&device, 256, false);
        table(&device, 1, false);
    }
}
