//! Matrix product through workgroup memory: the family for real GPUs.
//!
//! # Formula, Shapes, Errors
//! Those of [`matmul`], whose alternative it is: the same bindings and params, and every output
//! is folded in the same order.
//!
//! # Dispatch
//! One workgroup per `BLOCK_M × BLOCK_N` tile of `c` and split; each thread makes 4 × 4 of its elements.
//!
//! # Source
//! Block tiling with staged, transposed `a` is described step by step in Simon Boehm, "How to Optimize a CUDA
//! Matmul Kernel for cuBLAS-like Performance" (2022).

use crate::contract::prelude::*;
use crate::matmul;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "matmul_shared",
    summary: "matrix product through workgroup memory, optionally split along the inner dimension",
    wgsl: include_str!("../../../shaders/matmul_shared.wgsl"),
    bindings: matmul::KERNEL.bindings,
    params: matmul::KERNEL.params,
    threads,
    variants: &[
        Variant {
            name: "32x32x8",
            workgroup: [64, 1, 1],
            constants: &[("WORKGROUP", 64), ("BLOCK_M", 32), ("BLOCK_N", 32), ("BLOCK_K", 8)],
            family: Family::SharedMemory,
            subgroup: None,
            fits: |_| true,
        },
        Variant {
            name: "64x64x16",
            workgroup: [256, 1, 1],
            constants: &[("WORKGROUP", 256), ("BLOCK_M", 64), ("BLOCK_N", 64), ("BLOCK_K", 16)],
            family: Family::SharedMemory,
            subgroup: None,
            fits: |_| true,
        },
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
    Threads::Grid([
        n.div_ceil(tile.get("BLOCK_N")) * tile.get("WORKGROUP"),
        m.div_ceil(tile.get("BLOCK_M")),
        splits,
    ])
}
