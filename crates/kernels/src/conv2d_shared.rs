//! Convolution as a matrix product through workgroup memory: the family for real GPUs.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d`], whose alternative it is for filters that four divides: the same bindings and params, and every
//! output is folded in the same order. Padding is added as zeros.
//!
//! # Dispatch
//! One workgroup per tile of `BLOCK_M` pixels by `BLOCK_N` filters; each thread makes `ROWS × COLUMNS` of its elements.
//!
//! # Source
//! The implicit matrix product of Chetlur et al., "cuDNN: Efficient Primitives for Deep Learning" (2014), with the tiles of
//! [`matmul_shared`](crate::matmul_shared).

use crate::contract::prelude::*;
use crate::conv2d::{self, Params};
use crate::convolution::Convolution;
use crate::matmul_shared::{blocks, keeps_busy, one_of_each_pair, tile};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_shared",
    summary: "convolution with bias and optional ReLU through workgroup memory",
    wgsl: include_str!("../../../shaders/conv2d_shared.wgsl"),
    bindings: conv2d::KERNEL.bindings,
    params: conv2d::KERNEL.params,
    threads,
    variants: &[
        tile!("32x32x8, 4x4", 64, [32, 32, 8], [4, 4], [("BUFFERS", 1)], |words| takes(words) && !fills(words, 64, 32)),
        tile!("64x32x8, 8x4", 64, [64, 32, 8], [8, 4], [("BUFFERS", 1)], |words| takes(words) && !fills(words, 64, 64)),
        tile!("64x64x8, 8x4", 128, [64, 64, 8], [8, 4], [("BUFFERS", 1)], takes),
        tile!("64x64x8, 8x4, two buffers", 128, [64, 64, 8], [8, 4], [("BUFFERS", 2)], takes),
    ],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: conv2d::cost,
    reference: conv2d::reference_of,
    fast_cpu: conv2d::KERNEL.fast_cpu,
    cases: || one_of_each_pair(conv2d::cases_of(&KERNEL)),
};

/// The convolution of a batch of images; a graph usually calls [`conv2d`] and lets the plan choose.
///
/// # Errors
/// Those of [`conv2d::call`].
pub fn call(io: conv2d::Io, shape: Convolution, relu: bool) -> Result<Call, ShapeError> {
    conv2d::call_of(&KERNEL, io.into_slices(), shape, relu)
}

/// Filters come in vectors of four.
fn takes(words: &[u32]) -> bool {
    Params::from_words(words).filters.is_multiple_of(4)
}

fn fills(words: &[u32], block_m: u64, block_n: u64) -> bool {
    let (pixels, filters) = extent(words);
    keeps_busy(pixels, filters, 1, [block_m, block_n])
}

/// Rows and columns of the product.
fn extent(words: &[u32]) -> (u64, u64) {
    let p = Params::from_words(words);
    ([p.batch, p.out_height, p.out_width].map(u64::from).iter().product(), p.filters.into())
}

fn threads(words: &[u32], tile: Tile) -> Threads {
    let (pixels, filters) = extent(words);
    blocks(pixels, filters, tile)
}
