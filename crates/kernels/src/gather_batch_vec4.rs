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
use crate::gather_batch::{self, Params};

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
    // Examples, those in the binding, bytes of each, batch, and where the pass stands: full, short and empty batches,
    // workgroups ± 1, a state that points beyond the indices, and parts of the data.
    [
        (1, 0..1, 4, 1, 0, 1),
        (10, 0..10, 784, 2, 3, 10),
        (9, 0..9, 252, 4, 2, 9),
        (41, 0..41, 260, 55, 0, 41),
        (5, 0..5, 4, 2, 9, 100),
        (41, 0..13, 260, 55, 0, 41),
        (41, 13..26, 260, 55, 0, 41),
        (41, 26..41, 260, 55, 0, 41),
    ]
    .into_iter()
    .map(|(examples, part, size, batch, position, count)| {
        gather_batch::case_of(examples, part, size, (batch, position, count))
            .finish(|io, dims| gather_batch::call(io, dims).map(|call| call.through(&KERNEL)))
    })
    .collect()
}
