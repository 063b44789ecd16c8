//! Convolution with a max pool of 2×2 as a matrix product through workgroup memory: the family for real GPUs.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d_pool`], whose alternative it is: the same bindings and params, and every output is folded in the
//! same order. Padding is added as zeros.
//!
//! # Dispatch
//! One workgroup per tile of `BLOCK_M` pixels by `BLOCK_N` filters; each thread makes `ROWS × COLUMNS` of its elements,
//! `ROWS / 4` windows of the pool.
//!
//! # Source
//! The implicit matrix product of Chetlur et al., "cuDNN: Efficient Primitives for Deep Learning" (2014), with the tiles of
//! [`matmul_shared`](crate::matmul_shared).

use crate::contract::prelude::*;
use crate::conv2d::Params;
use crate::conv2d_pool;
use crate::convolution::Convolution;
use crate::matmul_shared::{blocks, keeps_busy, one_of_each_pair, tile};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_pool_shared",
    summary: "convolution with bias, optional ReLU and max pool of 2x2 through workgroup memory",
    wgsl: include_str!("../../../shaders/conv2d_pool_shared.wgsl"),
    bindings: conv2d_pool::KERNEL.bindings,
    params: conv2d_pool::KERNEL.params,
    threads,
    variants: &[
        tile!("32x32x8, 4x4", 64, [32, 32, 8], [4, 4], [("BUFFERS", 1)], |words| !fills(words, 64, 32)),
        tile!("64x32x8, 8x4", 64, [64, 32, 8], [8, 4], [("BUFFERS", 1)], |words| !fills(words, 64, 64)),
        tile!("64x64x8, 8x4", 128, [64, 64, 8], [8, 4], [("BUFFERS", 1)], |_| true),
        tile!("64x64x8, 8x4, two buffers", 128, [64, 64, 8], [8, 4], [("BUFFERS", 2)], |_| true),
    ],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: conv2d_pool::cost,
    reference: conv2d_pool::reference_of,
    fast_cpu: conv2d_pool::KERNEL.fast_cpu,
    cases: || one_of_each_pair(conv2d_pool::cases_of(&KERNEL)),
};

/// The convolution of a batch of images and the maxima of its outputs; a graph usually calls [`conv2d_pool`] and lets the plan choose.
///
/// # Errors
/// Those of [`conv2d_pool::call`].
pub fn call(io: conv2d_pool::Io, shape: Convolution, relu: bool) -> Result<Call, ShapeError> {
    conv2d_pool::call_of(&KERNEL, io.into_slices(), shape, relu)
}

fn fills(words: &[u32], block_m: u64, block_n: u64) -> bool {
    let (pixels, filters) = extent(words);
    keeps_busy(pixels, filters, 1, [block_m, block_n])
}

/// Rows and columns of the product; rows in no window are left out.
fn extent(words: &[u32]) -> (u64, u64) {
    let p = Params::from_words(words);
    let maxima: u64 = [p.batch, p.out_height / 2, p.out_width / 2].map(u64::from).iter().product();
    (4 * maxima, p.filters.into())
}

fn threads(words: &[u32], tile: Tile) -> Threads {
    let (pixels, filters) = extent(words);
    blocks(pixels, filters, tile)
}
