//! `tilegrad bench matmul`: a matrix product as the engine runs it.

use super::{median, rounded};
use crate::device::{self, DeviceArgs};
use crate::output::{json, say, tell};
use anyhow::{Context, Result};
use clap::{Args, value_parser};
use serde::Serialize;
use std::time::{Duration, Instant};
use tilegrad_kernels::matmul::{self, Dims, Layout};
use tilegrad_kernels::{Element, Slice, column_sum};
use tilegrad_runtime::{Device, Graph, Plan, Purpose};

/// Measure the product of an m x k and a k x n matrix of 32-bit floats.
///
/// The inner dimension is cut as it is in a training, and the time includes adding up the parts. Products run in groups that
/// take at least 20 ms; the median of nine groups counts.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tilegrad bench matmul --device software --m 512 --n 512 --k 512 --json")]
pub struct MatmulArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Rows of the product
    #[arg(long, default_value_t = 512, value_parser = value_parser!(u32).range(1..))]
    m: u32,
    /// Columns of the product
    #[arg(long, default_value_t = 512, value_parser = value_parser!(u32).range(1..))]
    n: u32,
    /// Inner dimension
    #[arg(long, default_value_t = 512, value_parser = value_parser!(u32).range(1..))]
    k: u32,
    /// One line of JSON instead of text
    #[arg(long)]
    json: bool,
}

const SAMPLES: u32 = 9;
/// Shorter samples measure the clock.
const SAMPLE: Duration = Duration::from_millis(20);
/// Most products in one sample.
const MOST: u32 = 256;

#[derive(Serialize)]
struct Measured {
    device: String,
    m: u32,
    n: u32,
    k: u32,
    ms: f64,
    gflops: f64,
}

/// Measures.
pub fn run(args: &MatmulArgs) -> Result<()> {
    let device = args.device.open()?;
    let plan = prepare(&device, args)?;
    let seconds = measure(&device, &plan)?;
    let flops = 2.0 * f64::from(args.m) * f64::from(args.n) * f64::from(args.k);
    let measured = Measured {
        device: device.info().name.clone(),
        m: args.m,
        n: args.n,
        k: args.k,
        ms: rounded(seconds * 1e3),
        gflops: rounded(flops / seconds / 1e9),
    };
    if args.json {
        return json(&measured);
    }
    tell!("device: {}", device::line(&device));
    let Measured { m, n, k, ms, gflops, .. } = measured;
    say!("{m} x {k} times {k} x {n}: {ms} ms, {gflops} GFLOP/s");
    Ok(())
}

/// One product, and the sum of its parts if there are several.
fn prepare(device: &Device, args: &MatmulArgs) -> Result<Plan> {
    let (m, n, k) = (args.m, args.n, args.k);
    let mut graph = Graph::new();
    let len = |rows: u32, columns: u32| {
        (rows as usize)
            .checked_mul(columns as usize)
            .filter(|&len| len <= u32::MAX as usize)
            .with_context(|| format!("a matrix of {rows} x {columns} has more than 2^32 elements"))
    };
    let a = graph.external("a", len(m, k)?, Element::F32, Purpose::Data);
    let b = graph.external("b", len(k, n)?, Element::F32, Purpose::Data);
    let product = graph.external("product", len(m, n)?, Element::F32, Purpose::Data);
    let splits = matmul::splits(m, n, k);
    let c = match splits {
        1 => product.clone(),
        _ => graph.transient("partial products", product.len * splits as usize, Element::F32, Purpose::Scratch),
    };
    let io = matmul::Io { a: a.clone(), b: b.clone(), c: c.clone() };
    graph.push("product", matmul::call(io, Dims { m, n, k, layout: Layout::NN, splits })?);
    if splits > 1 {
        let io = column_sum::Io { x: c, y: product.clone() };
        graph.push("sum", column_sum::call(io, splits, m * n, 1)?);
    }
    let memory = [filled(device, &a)?, filled(device, &b)?, device.alloc("product", product.len)?];
    Ok(device.prepare(&graph, &[(&a, &memory[0]), (&b, &memory[1]), (&product, &memory[2])])?)
}

/// Numbers between -1 and 1: zeros and denormals may be faster or slower than what a training meets.
fn filled(device: &Device, slice: &Slice) -> Result<tilegrad_runtime::Memory> {
    let value = |at: usize| ((at as u32).wrapping_mul(0x9e37_79b9) as f32 / 2f32.powi(31) - 1.0).to_bits();
    Ok(device.upload(&slice.name, &(0..slice.len).map(value).collect::<Vec<u32>>())?)
}

/// Seconds of one product.
fn measure(device: &Device, plan: &Plan) -> Result<f64> {
    let time = |times: u32| -> Result<Duration> {
        let begun = Instant::now();
        plan.run(times)?;
        device.wait()?;
        Ok(begun.elapsed())
    };
    let mut times = 1;
    time(times)?;
    while time(times)? < SAMPLE && times < MOST {
        times *= 2;
    }
    let samples = (0..SAMPLES).map(|_| time(times).map(|taken| taken.as_secs_f64() / f64::from(times)));
    Ok(median(samples.collect::<Result<_>>()?))
}
