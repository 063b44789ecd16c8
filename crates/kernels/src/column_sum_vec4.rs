//! Sums over rows, four columns to a load.
//!
//! # Formula, Shapes, Errors
//! Those of [`column_sum`], whose alternative it is, for columns that vectors of four divide: the same bindings and
//! params, and every output is folded in the same order.
//!
//! # Dispatch
//! One thread per four elements of `y`: x along columns, y along shares.
//!
//! # Source
//! On adapters that emulate lanes a load of four elements costs little more than one of one; see docs/performance.md.

use crate::column_sum::{self, Io, Params};
use crate::contract::prelude::*;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "column_sum_vec4",
    summary: "sum of each column with vector loads, optionally in shares of the rows",
    wgsl: include_str!("../../../shaders/column_sum_vec4.wgsl"),
    bindings: column_sum::KERNEL.bindings,
    params: column_sum::KERNEL.params,
    threads: |words, _| {
        let p = Params::from_words(words);
        Threads::Grid([u64::from(p.columns / 4), p.splits.into(), 1])
    },
    variants: &[Variant {
        name: "32 threads",
        workgroup: [32, 1, 1],
        constants: &[("WORKGROUP", 32), ("ROWS", 8)],
        family: Family::BarrierFree,
        subgroup: None,
        fits,
    }],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: column_sum::KERNEL.cost,
    reference: column_sum::KERNEL.reference,
    fast_cpu: None,
    cases,
};

/// Vectors of four in no more than 65535 workgroups of 32; the plain kernel folds longer lines.
fn fits(words: &[u32]) -> bool {
    let columns = Params::from_words(words).columns;
    columns.is_multiple_of(4) && columns <= 65_535 * 32 * 4
}

fn cases() -> Vec<Case> {
    // Tiles ± 1, one, and more than 65536 terms in one column.
    [(1, 4, 1), (7, 64, 1), (8, 36, 1), (41, 28, 3), (64, 132, 5), (70_001, 4, 16)]
        .into_iter()
        .map(|(rows, columns, splits)| {
            let mut case = Case::named(format!("{rows}x{columns} in {splits}"));
            let io =
                Io { x: case.random("x", (rows * columns) as usize), y: case.output("y", (splits * columns) as usize) };
            case.finish(column_sum::call(io, rows, columns, splits).map(|call| call.through(&KERNEL)))
        })
        .collect()
}
