//! Convolution with bias, optional ReLU and a max pool of 2×2 for images of few channels: four filters to a load, one
//! channel.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d_pool`], whose alternative it is: the same bindings and params, and every sum is folded in the same
//! order.
//!
//! # Dispatch
//! One thread per `PIXELS × 4·VECTORS` outputs in front of the pool, every four pixels of which are a window of it;
//! `LANES_N` neighbours along the filters, the next ones along the windows. Pixels that no window holds are not made.
//!
//! # Source
//! That of [`conv2d_first`](crate::conv2d_first).

use crate::contract::prelude::*;
use crate::conv2d_pool;
use crate::conv2d_first::tile;
use crate::conv2d_pool_vec4::pooled_pixels;
use crate::conv2d_vec4::threads;
use crate::convolution::Convolution;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_pool_first",
    summary: "convolution with bias, optional ReLU and max pool of 2x2, for few channels",
    wgsl: include_str!("../../../shaders/conv2d_pool_first.wgsl"),
    bindings: conv2d_pool::KERNEL.bindings,
    params: conv2d_pool::KERNEL.params,
    threads: |words, tile| threads(words, tile, pooled_pixels(words)),
    variants: &[
        tile!("4x32, 1 lane", BarrierFree, 8, 1, 4, 8),
        tile!("8x16, 1 lane", BarrierFree, 8, 1, 8, 4),
        tile!("8x4, 1 lane", BarrierFree, 8, 1, 8, 1),
        tile!("4x4 of 64 threads", Any, 64, 8, 4, 1),
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
/// Those of [`conv2d_pool::call`].
pub fn call(io: conv2d_pool::Io, shape: Convolution, relu: bool) -> Result<Call, ShapeError> {
    conv2d_pool::call_of(&KERNEL, io.into_slices(), shape, relu)
}
