//! What a device can do at best: one kernel bound by arithmetic, one by memory.

use super::measure;
use anyhow::Result;
use serde::Serialize;
use tilegrad_kernels::{Call, Cost, Element, ShapeError, Slice, add, matmul};
use tilegrad_runtime::{Device, Graph, Memory, Plan, Purpose};

/// Best rates seen.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ceilings {
    /// A matrix product of 512 × 512 × 512.
    pub gflops: f64,
    /// A sum of two vectors of 16 MiB.
    pub gbytes_per_s: f64,
}

/// A micro kernel, ready to run.
pub struct Probe {
    pub plan: Plan,
    cost: Cost,
}

/// Runs both micro kernels; the best of five samples counts.
pub fn ceilings(device: &Device) -> Result<Ceilings> {
    let (product, sum) = (product(device)?, sum(device, 4 << 20)?);
    let gflops = product.cost.flops as f64 / product.best(device)? * 1e-9;
    let gbytes_per_s = sum.cost.bytes as f64 / sum.best(device)? * 1e-9;
    Ok(Ceilings { gflops, gbytes_per_s })
}

/// A matrix product of 512 × 512 × 512.
pub fn product(device: &Device) -> Result<Probe> {
    let side = 512;
    Probe::new(device, (side * side) as usize, |[a, b, c]| {
        let dims = matmul::Dims { m: side, n: side, k: side, layout: matmul::Layout::NN, splits: 1 };
        matmul::call(matmul::Io { a, b, c }, dims)
    })
}

/// A sum of two vectors of `count` elements.
pub fn sum(device: &Device, count: u32) -> Result<Probe> {
    Probe::new(device, count as usize, |[a, b, y]| add::call(add::Io { a, b, y }, count))
}

impl Probe {
    /// A call over three float buffers of `len` elements.
    fn new(device: &Device, len: usize, call: impl Fn([Slice; 3]) -> Result<Call, ShapeError>) -> Result<Self> {
        let mut graph = Graph::new();
        let slices = [len; 3].map(|len| graph.external("operand", len, Element::F32, Purpose::Scratch));
        let call = call(slices.clone())?;
        let cost = call.cost();
        graph.push("ceiling", call);
        // Numbers as they occur: zeros would be flattered by some processors.
        let values: Vec<u32> = (0..len as u32).map(|i| (1.0 + (i % 97) as f32 / 97.0).to_bits()).collect();
        let [a, b, c] = [(); 3].map(|()| device.upload("operand", &values));
        let memories: [Memory; 3] = [a?, b?, c?];
        let plan = device.prepare(&graph, &slices.iter().zip(&memories).collect::<Vec<_>>())?;
        Ok(Self { plan, cost })
    }

    /// Seconds of the best of five samples.
    fn best(&self, device: &Device) -> Result<f64> {
        let samples = measure::repetitions(5, |times| self.run(device, times))?;
        Ok(samples.into_iter().fold(f64::INFINITY, f64::min))
    }

    /// Runs the call `times` times and waits.
    pub fn run(&self, device: &Device, times: u32) -> Result<()> {
        self.plan.run(times)?;
        Ok(device.wait()?)
    }
}
