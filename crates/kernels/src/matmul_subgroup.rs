//! Matrix product in registers, in which the lanes of a subgroup load different parts of `a` and hand them to each other.
//!
//! # Formula, Shapes, Errors
//! Those of [`matmul`], whose alternative it is, for shapes that vectors of four divide: the same bindings and params,
//! and every output is folded in the same order.
//!
//! # Dispatch
//! One subgroup per `ROWS × 4·LANES_N` tile of `c` and split, its lanes along the columns.
//!
//! # Source
//! On adapters that emulate lanes a load costs far more than a multiply-add, but `subgroupShuffle` from a lane whose
//! number is a constant is one instruction; see docs/performance.md.

use crate::contract::prelude::*;
use crate::matmul;
use crate::matmul_vec4::divides;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "matmul_subgroup",
    summary: "matrix product in registers that a subgroup shares, optionally split along the inner dimension",
    wgsl: include_str!("../../../shaders/matmul_subgroup.wgsl"),
    bindings: matmul::KERNEL.bindings,
    params: matmul::KERNEL.params,
    threads,
    variants: &[Variant {
        name: "16x32 of 8 lanes",
        workgroup: [8, 1, 1],
        constants: &[("WORKGROUP", 8), ("LANES_N", 8), ("ROWS", 16)],
        family: Family::BarrierFree,
        subgroup: Some(8),
        fits: |words| divides(words) && matmul::extent(words).1 >= 32,
    }],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: matmul::cost,
    reference: matmul::reference_of,
    fast_cpu: Some(matmul::fast_of),
    cases: || matmul::cases_of(&KERNEL),
};

/// One product, or `dims.splits` partial ones; a graph usually calls [`matmul`] and lets the plan choose.
///
/// # Errors
/// Those of [`matmul::call`].
pub fn call(io: matmul::Io, dims: matmul::Dims) -> Result<Call, ShapeError> {
    matmul::call_of(&KERNEL, io.into_slices(), dims)
}

fn threads(words: &[u32], tile: Tile) -> Threads {
    let (m, n, splits) = matmul::extent(words);
    let lanes = tile.get("LANES_N");
    Threads::Grid([n.div_ceil(4 * lanes) * lanes, m.div_ceil(tile.get("ROWS")), splits])
}
