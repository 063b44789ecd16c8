//! What a device can do at best: one kernel bound by arithmetic, one by memory.

use anyhow::Result;
use serde::Serialize;
use std::time::Instant;
use tilegrad_kernels::{Call, Element, ShapeError, Slice, add, matmul};
use tilegrad_runtime::{Device, Graph, Memory, Purpose};

/// Best rates seen.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ceilings {
    /// A matrix product of 512 × 512 × 512.
    pub gflops: f64,
    /// A sum of two vectors of 16 MiB.
    pub gbytes_per_s: f64,
}

/// Runs both micro kernels; the best of five samples counts.
pub fn measure(device: &Device) -> Result<Ceilings> {
    let side = 512;
    let square = (side * side) as usize;
    let product = seconds(device, [square; 3], |[a, b, c]| {
        let dims = matmul::Dims { m: side, n: side, k: side, layout: matmul::Layout::NN, splits: 1 };
        matmul::call(matmul::Io { a, b, c }, dims)
    })?;
    let count = 4 << 20;
    let sum = seconds(device, [count as usize; 3], |[a, b, y]| add::call(add::Io { a, b, y }, count))?;
    Ok(Ceilings { gflops: product.0 * 1e-9, gbytes_per_s: sum.1 * 1e-9 })
}

/// Operations and bytes per second of a call over three float buffers.
fn seconds(
    device: &Device,
    lens: [usize; 3],
    call: impl Fn([Slice; 3]) -> Result<Call, ShapeError>,
) -> Result<(f64, f64)> {
    let mut graph = Graph::new();
    let slices = lens.map(|len| graph.external("operand", len, Element::F32, Purpose::Scratch));
    let call = call(slices.clone())?;
    let cost = call.cost();
    graph.push("ceiling", call);
    // Numbers as they occur: zeros would be flattered by some processors.
    let values: Vec<u32> = (0..lens[0] as u32).map(|i| (1.0 + (i % 97) as f32 / 97.0).to_bits()).collect();
    let memories = lens.map(|_| device.upload("operand", &values));
    let [a, b, c] = memories;
    let memories: [Memory; 3] = [a?, b?, c?];
    let plan = device.prepare(&graph, &slices.iter().zip(&memories).collect::<Vec<_>>())?;
    plan.run(1)?;
    device.wait()?;
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let begun = Instant::now();
        plan.run(4)?;
        device.wait()?;
        best = best.min(begun.elapsed().as_secs_f64() / 4.0);
    }
    Ok((cost.flops as f64 / best, cost.bytes as f64 / best))
}
