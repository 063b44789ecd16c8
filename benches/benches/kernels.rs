//! Every kernel on the largest of its cases, with the variant that the device gets by default.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tilegrad_kernels::{Case, KERNELS, Kernel};
use tilegrad_runtime::{Device, Graph, Plan, Purpose, RuntimeError};

fn largest(kernel: &Kernel) -> Option<Case> {
    (kernel.cases)().into_iter().max_by_key(|case| {
        let cost = case.call.cost();
        (cost.flops.max(cost.bytes), cost.bytes)
    })
}

fn prepare(device: &Device, case: &Case) -> Result<Plan, RuntimeError> {
    let mut graph = Graph::new();
    let mut call = case.call.clone();
    for (slice, buffer) in call.buffers.iter_mut().zip(&case.buffers) {
        *slice = graph.external(&buffer.slice.name, buffer.words.len(), buffer.slice.element, Purpose::Scratch);
    }
    graph.push("bench", call.clone());
    let memories = case.buffers.iter().map(|buffer| device.upload(&buffer.slice.name, &buffer.words));
    let memories = memories.collect::<Result<Vec<_>, _>>()?;
    device.prepare(&graph, &call.buffers.iter().zip(&memories).collect::<Vec<_>>())
}

fn bench(criterion: &mut Criterion) {
    let device = tilegrad_benches::device().unwrap();
    let mut group = criterion.benchmark_group("kernels");
    group.sample_size(10);
    for case in KERNELS.iter().filter_map(|kernel| largest(kernel)) {
        let cost = case.call.cost();
        // The bound that a kernel runs against: arithmetic if it has much of it, else memory.
        group.throughput(if cost.flops > 8 * cost.bytes {
            Throughput::Elements(cost.flops)
        } else {
            Throughput::Bytes(cost.bytes)
        });
        let plan = prepare(&device, &case).unwrap();
        group.bench_function(format!("{} {}", case.call.kernel.name, case.name), |bencher| {
            bencher.iter(|| {
                plan.run(1).unwrap();
                device.wait().unwrap();
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
