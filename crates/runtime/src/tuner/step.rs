//! A whole graph with two sets of variants, in turns.

use super::measure::{SAMPLES, Samples, repetitions};
use crate::device::Choose;
use crate::{Device, Graph, Memory, RuntimeError};
use tilegrad_kernels::{Element, Slice, hash};

/// Seconds of one run of a graph.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepTimes {
    /// With the variants that are taken without a tuning.
    pub default_s: f64,
    /// With the chosen ones.
    pub tuned_s: f64,
}

impl StepTimes {
    /// Whether the chosen set is worth keeping.
    pub fn is_faster(&self) -> bool {
        self.tuned_s < self.default_s
    }
}

/// Times `graph` with both sets; none if the clock gave nothing that can be true.
pub fn time(
    device: &Device,
    graph: &Graph,
    default: &Choose<'_>,
    tuned: &Choose<'_>,
) -> Result<Option<StepTimes>, RuntimeError> {
    let bound = external(device, graph)?;
    let external: Vec<(&Slice, &Memory)> = bound.iter().map(|(slice, memory)| (slice, memory)).collect();
    let mut plans = Vec::new();
    for choose in [default, tuned] {
        let plan = device.prepare_with(graph, &external, choose)?;
        let mut repeat = |times: u32| plan.run(times).and_then(|()| device.wait());
        repeat(1)?;
        let Some(count) = repetitions(&mut repeat)? else { return Ok(None) };
        plans.push((plan, count, Samples::default()));
    }
    // The second set goes first in every other turn, so that a machine that slows down favours neither.
    for turn in 0..2 * SAMPLES {
        for at in [turn % 2, (turn + 1) % 2] {
            let (plan, count, samples) = &mut plans[at];
            samples.take(&mut |times| plan.run(times).and_then(|()| device.wait()), *count)?;
        }
    }
    let medians: Option<Vec<f64>> = plans.iter().map(|(_, _, samples)| samples.median()).collect();
    Ok(medians.map(|medians| StepTimes { default_s: medians[0], tuned_s: medians[1] }))
}

/// Memory for each external buffer. Small positive floats, so that nothing overflows or becomes a denormal in a few
/// steps; zero for integers, which is right wherever an index is meant.
fn external(device: &Device, graph: &Graph) -> Result<Vec<(Slice, Memory)>, RuntimeError> {
    let mut bound: Vec<(Slice, Memory)> = Vec::new();
    for slice in graph.nodes().iter().flat_map(|node| node.call.buffers()) {
        let buffer = graph.buffer(slice.buffer);
        if !buffer.external || bound.iter().any(|(other, _)| other.buffer == slice.buffer) {
            continue;
        }
        let whole = graph.whole(slice.buffer);
        let value = |at: u32| match buffer.element {
            Element::F32 | Element::F16 => 0.01 * hash::uniform(1, slice.buffer.0, at) + 0.001,
            Element::U32 => 0.0,
        };
        let words = buffer.element.pack(&(0..buffer.len as u32).map(value).collect::<Vec<f32>>());
        bound.push((whole, device.upload(&buffer.name, &words)?));
    }
    Ok(bound)
}
