//! Convolution with bias, optional ReLU and a max pool of 2×2 as an implicit matrix product in registers alone,
//! four elements to a load.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d_pool`], whose alternative it is, for channels that four divides: the same bindings and params,
//! and every sum is folded in the same order.
//!
//! # Dispatch
//! One thread per 8 filters of 2 maxima, `LANES_N` neighbours along the filters, the next ones along the maxima of
//! all images. Pixels that no window of the pool holds are not made.
//!
//! # Source
//! That of [`conv2d_vec4`](crate::conv2d_vec4).

use crate::contract::prelude::*;
use crate::conv2d::Params;
use crate::conv2d_pool;
use crate::conv2d_vec4::{divides, threads, tile};
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
        tile!("8x8, 8 lanes", 8, 8, divides),
        tile!("8x8, 2 lanes", 8, 2, divides),
        tile!("8x8, 1 lane", 8, 1, divides),
    ],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: conv2d_pool::cost,
    reference: conv2d_pool::reference_of,
    fast_cpu: None,
    cases: || conv2d_pool::cases_of(&KERNEL),
};

/// The convolution of a batch of images and the maxima of its outputs.
///
/// A graph usually calls [`conv2d_pool`] and lets the plan choose.
///
/// # Errors
/// Those of [`conv2d_pool::call`].
pub fn call(io: conv2d_pool::Io, shape: Convolution, relu: bool) -> Result<Call, ShapeError> {
    conv2d_pool::call_of(&KERNEL, io.into_slices(), shape, relu)
}

/// Pixels under the windows of the pool.
pub(crate) fn pooled_pixels(words: &[u32]) -> u64 {
    let p = Params::from_words(words);
    4 * [p.batch, p.out_height / 2, p.out_width / 2].iter().map(|&dim| u64::from(dim)).product::<u64>()
}
