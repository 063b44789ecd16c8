//! Matrix product in registers alone, four elements to a load, in blocks of 4×4 without arrays.
//!
//! # Formula, Shapes, Errors
//! Those of [`matmul`], whose alternative it is, for shapes that vectors of four divide: the same bindings and params,
//! and every output is folded in the same order.
//!
//! # Dispatch
//! One thread per 8 × 8 tile of `c` and split; `LANES_N` neighbours along the columns.
//!
//! # Source
//! Compilers that keep arrays in memory, such as SwiftShader's, are five to seven times faster on it than on
//! [`matmul_vec4`](crate::matmul_vec4); see docs/performance.md.

use crate::contract::prelude::*;
use crate::matmul;
use crate::matmul_vec4::divides;

/// A tile of 8 × 8 elements per thread.
macro_rules! tile {
    ($name:literal, $workgroup:literal, $lanes_n:literal, $fits:expr) => {
        Variant {
            name: $name,
            workgroup: [$workgroup, 1, 1],
            constants: &[("WORKGROUP", $workgroup), ("LANES_N", $lanes_n)],
            family: Family::BarrierFree,
            subgroup: None,
            fits: $fits,
        }
    };
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "matmul_blocks",
    summary: "matrix product in registers with vector loads and without arrays",
    wgsl: include_str!("../../../shaders/matmul_blocks.wgsl"),
    bindings: matmul::KERNEL.bindings,
    params: matmul::KERNEL.params,
    threads,
    variants: &[
        tile!("8x8, 8 lanes", 8, 8, |words| divides(words) && matmul::extent(words).1 >= 64),
        tile!("8x8, 1 lane", 8, 1, divides),
    ],
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
    let (lanes_n, workgroup) = (tile.get("LANES_N"), tile.get("WORKGROUP"));
    Threads::Grid([n.div_ceil(8 * lanes_n) * workgroup, m.div_ceil(8 * (workgroup / lanes_n)), splits])
}
