//! Every kernel on the largest of its cases, on the CPU device and on the one that `TILEGRAD_BENCH_DEVICE` names: with the
//! variant that the device prefers among the kernel's own.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use std::time::{Duration, Instant};
use tilegrad_kernels::{Access, Case, Cost, Family, KERNELS, Kernel, Variant};
use tilegrad_runtime::{Device, Graph, Memory, Plan, Purpose, RuntimeError};

/// Most runs in one submission.
const GROUP: u64 = 64;

/// The case with the most work. An alternative has the cases of its kernel that fit it.
fn largest(kernel: &Kernel) -> Option<Case> {
    (kernel.cases)().into_iter().max_by_key(|case| {
        let cost = case.call.cost();
        (cost.flops.max(cost.bytes), cost.bytes)
    })
}

/// The kernel's own variant for this device, even where the runtime would take an alternative. One that is written for
/// subgroups of a certain size is left to the tuner, which knows the adapter's.
fn variant(kernel: &'static Kernel, device: &Device, params: &[u32]) -> Option<&'static Variant> {
    let fitting = || kernel.variants.iter().filter(|variant| (variant.fits)(params) && variant.subgroup.is_none());
    let of = |family: Family| fitting().find(|variant| variant.family == family);
    of(device.family()).or_else(|| of(Family::Any)).or_else(|| fitting().next())
}

fn prepare(device: &Device, kernel: &'static Kernel, case: &Case) -> Result<Bench, RuntimeError> {
    let mut graph = Graph::new();
    let call = case.call.rebound(|slice| graph.external(&slice.name, slice.len, slice.element, Purpose::Scratch));
    graph.push("bench", call.clone());
    let memories = case.buffers.iter().map(|buffer| device.upload(&buffer.slice.name, &buffer.words));
    let memories = memories.collect::<Result<Vec<_>, _>>()?;
    let bound: Vec<_> = call.buffers().iter().zip(&memories).collect();
    let plan = device.prepare_with(&graph, &bound, &|call| {
        let variant = variant(kernel, device, call.params());
        variant
            .map(|variant| (kernel, variant))
            .ok_or_else(|| RuntimeError::Graph(format!("no variant of {} fits its case {}", kernel.name, case.name)))
    })?;
    let state = kernel.bindings.iter().position(|b| b.name == "state" && b.access == Access::ReadWrite);
    let state = state.map(|at| (memories[at].clone(), case.buffers[at].words.clone()));
    Ok(Bench { plan, state })
}

/// The bound that a kernel runs against: arithmetic if it has much of it, else memory.
fn throughput(cost: Cost) -> Throughput {
    if cost.flops > 8 * cost.bytes { Throughput::Elements(cost.flops) } else { Throughput::Bytes(cost.bytes) }
}

/// A kernel on a case, ready to run.
struct Bench {
    plan: Plan,
    /// What the kernel moves on, with the words that it begins with: a second run would find another amount of work.
    state: Option<(Memory, Vec<u32>)>,
}

impl Bench {
    /// Runs as a training does: many in one submission, one wait. If the state must be put back, one at a time.
    fn time(&self, device: &Device, mut runs: u64) -> Result<Duration, RuntimeError> {
        let mut taken = Duration::ZERO;
        while runs > 0 {
            let now = if self.state.is_some() { 1 } else { runs.min(GROUP) };
            if let Some((memory, words)) = &self.state {
                device.write(memory, 0, words)?;
                device.wait()?;
            }
            let begun = Instant::now();
            self.plan.run(now as u32)?;
            device.wait()?;
            taken += begun.elapsed();
            runs -= now;
        }
        Ok(taken)
    }
}

fn bench_kernel(group: &mut BenchmarkGroup<'_, WallTime>, device: &Device, kernel: &'static Kernel) {
    let Some(case) = largest(kernel) else { return };
    let bench = prepare(device, kernel, &case).unwrap();
    group.throughput(throughput(case.call.cost()));
    group.bench_function(format!("{} {}", kernel.name, case.name), |bencher| {
        bencher.iter_custom(|runs| bench.time(device, runs).unwrap());
    });
}

fn bench(criterion: &mut Criterion) {
    for device in tilegrad_benches::devices().unwrap() {
        let mut group = criterion.benchmark_group(format!("kernels on {}", device.info().name));
        group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
        KERNELS.iter().for_each(|kernel| bench_kernel(&mut group, &device, kernel));
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
