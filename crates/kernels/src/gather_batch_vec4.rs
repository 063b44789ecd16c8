//! One batch of examples, four bytes at a time.
//!
//! # Formula, Shapes, Errors
//! Those of [`gather_batch`], whose alternative it is, for examples of whole words: the same bindings and params.
//!
//! # Dispatch
//! One thread per four elements of `x`.
//!
//! # Source
//! On adapters that emulate lanes a load of one byte costs as much as one of a word; see docs/performance.md.

use crate::contract::prelude::*;
use crate::gather_batch::{self, Dims, Io, Params};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "gather_batch_vec4",
    summary: "one batch of examples, gathered by index and scaled to floats four at a time",
    wgsl: include_str!("../../../shaders/gather_batch_vec4.wgsl"),
    bindings: gather_batch::KERNEL.bindings,
    params: gather_batch::KERNEL.params,
    threads: |words, _| {
        let p = Params::from_words(words);
        Threads::Line(u64::from(p.batch) * u64::from(p.size / 4))
    },
    variants: &[Variant {
        name: "line64",
        workgroup: [64, 1, 1],
        constants: &[],
        family: Family::BarrierFree,
        subgroup: None,
        fits,
    }],
    alternatives: &[],
    tolerance: Tolerance::ROUNDED,
    cost: gather_batch::KERNEL.cost,
    reference: gather_batch::KERNEL.reference,
    fast_cpu: None,
    cases,
};

fn fits(words: &[u32]) -> bool {
    Params::from_words(words).size.is_multiple_of(4)
}

fn cases() -> Vec<Case> {
    // Examples, bytes of each, batch, and where the pass stands: full, short and empty batches, workgroups ± 1, and a
    // state that points beyond the indices.
    [(1, 4, 1, 0, 1), (10, 784, 2, 3, 10), (9, 252, 4, 2, 9), (41, 260, 55, 0, 41), (5, 4, 2, 9, 100)]
        .into_iter()
        .map(|(examples, size, batch, position, count)| {
            let mut case = Case::named(format!("{batch} of {examples}x{size} at batch {position} of {count}"));
            let dims = Dims { examples, size, indices: examples, batch, scale: 1.0 / 255.0, shift: -0.5 };
            let io = Io {
                images: case.bytes("images", (examples * size / 4) as usize),
                labels: case.integers("labels", (0..examples).map(|i| i % 10)),
                // Backwards; the last index lies beyond the data.
                indices: case.integers("indices", (0..examples).map(|i| examples - i)),
                state: case.state(position, count),
                x: case.output("x", (batch * size) as usize),
                y: case.output_integers("y", batch as usize),
            };
            case.finish(gather_batch::call(io, dims).map(|call| Call { kernel: &KERNEL, ..call }))
        })
        .collect()
}
