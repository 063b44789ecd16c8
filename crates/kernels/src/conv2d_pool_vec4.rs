//! Convolution with bias, optional ReLU and a max pool of 2×2 as an implicit matrix product in registers alone, four
//! elements to a load.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d_pool`], whose alternative it is, for channels that four divides: the same bindings and params, and
//! every sum is folded in the same order.
//!
//! # Dispatch
//! One thread per `PIXELS × 4·VECTORS` outputs in front of the pool, every four pixels of which are a window of it;
//! `LANES_N` neighbours along the filters, the next ones along the windows. Pixels that no window holds are not made.
//!
//! # Source
//! That of [`conv2d_vec4`](crate::conv2d_vec4).

use crate::contract::prelude::*;
use crate::conv2d_pool;
use crate::conv2d::Params;
use crate::conv2d_vec4::{threads, tile, tile64};
use crate::convolution::Convolution;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_pool_vec4",
    summary: "convolution with bias, optional ReLU and max pool of 2x2, in registers with vector loads",
    wgsl: include_str!("../../../shaders/conv2d_pool_vec4.wgsl"),
    bindings: conv2d_pool::KERNEL.bindings,
    params: conv2d_pool::KERNEL.params,
    threads: |words, tile| threads(words, tile, pooled_pixels(words)),
    variants: &[
        tile!("16x16, 4 lanes", 4, 16, 4),
        tile!("16x16, 1 lane", 1, 16, 4),
        tile!("4x16, 1 lane", 1, 4, 4),
        tile!("8x8, 2 lanes", 2, 8, 2),
        tile!("8x4, 1 lane", 1, 8, 1),
        tile64!("4x4 of 64 threads", 8, 4, 1),
    ],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: conv2d_pool::cost,
    reference: conv2d_pool::reference_of,
    fast_cpu: None,
    cases: || conv2d_pool::cases_of(&KERNEL),
};

/// The convolution of a batch of images and the maxima of its outputs; a graph usually calls [`conv2d_pool`] and lets the
/// plan choose.
///
/// # Errors
/// Those of [`conv2d_pool::call`], and channels that four does not divide.
pub fn call(io: conv2d_pool::Io, shape: Convolution, relu: bool) -> Result<Call, ShapeError> {
    conv2d_pool::call_of(&KERNEL, io.into_slices(), shape, relu)
}

/// Pixels under the windows of the pool.
pub(crate) fn pooled_pixels(words: &[u32]) -> u64 {
    let p = Params::from_words(words);
    4 * [p.batch, p.out_height / 2, p.out_width / 2].iter().map(|&dim| u64::from(dim)).product::<u64>()
}
