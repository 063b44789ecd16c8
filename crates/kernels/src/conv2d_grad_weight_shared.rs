//! The gradient of a convolution's weights and of its bias as a matrix product through workgroup memory: the family for real
//! GPUs.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d_grad_weight`], whose alternative it is for filters that four divides: the same bindings and params, and
//! every output is folded in the same order. Padding is added as zeros.
//!
//! # Dispatch
//! One workgroup per share and tile of `BLOCK_M` taps and channels by `BLOCK_N` filters; each thread makes `ROWS × COLUMNS`
//! of its elements. The workgroups of the first rows add up the bias as well.
//!
//! # Source
//! The product of the columns' transpose and of the outputs' gradient, as the fully implicit form of
//! [`conv2d_shared`](crate::conv2d_shared).

use crate::contract::prelude::*;
use crate::conv2d_grad_weight::{self, Layout, Params};
use crate::convolution::{Convolution, weight};
use crate::matmul_shared::{keeps_busy, tile};
use crate::window::count;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_grad_weight_shared",
    summary: "gradient of a convolution's weights and bias through workgroup memory, optionally in shares",
    wgsl: include_str!("../../../shaders/conv2d_grad_weight_shared.wgsl"),
    bindings: conv2d_grad_weight::KERNEL.bindings,
    params: conv2d_grad_weight::KERNEL.params,
    threads,
    variants: &[
        tile!("32x32x8, 4x4", 64, [32, 32, 8], [4, 4], [], |words| takes(words) && !fills(words, 64, 32)),
        tile!("64x32x8, 8x4", 64, [64, 32, 8], [8, 4], [], |words| takes(words) && !fills(words, 64, 64)),
        tile!("64x64x8, 8x4", 128, [64, 64, 8], [8, 4], [], takes),
    ],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: conv2d_grad_weight::cost,
    reference: conv2d_grad_weight::reference_of,
    fast_cpu: conv2d_grad_weight::KERNEL.fast_cpu,
    cases: || conv2d_grad_weight::cases_of(&KERNEL),
};

/// The gradient of weights and bias; a graph usually calls [`conv2d_grad_weight`] and lets the plan choose.
///
/// # Errors
/// Those of [`conv2d_grad_weight::call`].
pub fn call(io: conv2d_grad_weight::Io, shape: Convolution, layout: Layout) -> Result<Call, ShapeError> {
    conv2d_grad_weight::call_of(&KERNEL, io.into_slices(), shape, layout)
}

/// Filters come in vectors of four.
fn takes(words: &[u32]) -> bool {
    Params::from_words(words).filters.is_multiple_of(4)
}

fn fills(words: &[u32], block_m: u64, block_n: u64) -> bool {
    let (rows, filters, splits) = extent(words);
    keeps_busy(rows, filters, splits, [block_m, block_n])
}

/// Rows and columns of the product, and shares.
fn extent(words: &[u32]) -> (u64, u64, u64) {
    let p = Params::from_words(words);
    (count(&weight(&p.window(), 1)), p.filters.into(), p.splits.into())
}

fn threads(words: &[u32], tile: Tile) -> Threads {
    let (rows, filters, splits) = extent(words);
    Threads::Grid([
        filters.div_ceil(tile.get("BLOCK_N")) * tile.get("WORKGROUP"),
        rows.div_ceil(tile.get("BLOCK_M")),
        splits,
    ])
}
