//! Convolution with bias, optional ReLU and a max pool of 2×2 as an implicit matrix product in registers, in which
//! the lanes of a subgroup load different pixels and hand them to each other.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d_pool`], whose alternative it is, for channels that four divides: the same bindings and params,
//! and every sum is folded in the same order.
//!
//! # Dispatch
//! One subgroup per `PIXELS × 4·VECTORS·LANES_N` outputs in front of the pool, every four pixels of which are a
//! window of it, its lanes along the filters. Pixels that no window holds are not made.
//!
//! # Source
//! That of [`conv2d_subgroup`](crate::conv2d_subgroup).

use crate::contract::prelude::*;
use crate::conv2d_pool;
use crate::conv2d_pool_vec4::pooled_pixels;
use crate::conv2d_subgroup::{threads, tile};
use crate::convolution::Convolution;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_pool_subgroup",
    summary: "convolution with bias, optional ReLU and max pool of 2x2, in registers that a subgroup shares",
    wgsl: include_str!("../../../shaders/conv2d_pool_subgroup.wgsl"),
    bindings: conv2d_pool::KERNEL.bindings,
    params: conv2d_pool::KERNEL.params,
    threads: |words, tile| threads(words, tile, pooled_pixels(words)),
    variants: &[tile!("16x64 of 8 lanes", 16, 2), tile!("16x32 of 8 lanes", 16, 1)],
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
