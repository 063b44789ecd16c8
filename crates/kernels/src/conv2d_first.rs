//! Convolution with bias and optional ReLU for images of few channels: four filters to a load, one channel.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d`], whose alternative it is, for filters that four divides: the same bindings and params, and
//! every sum is folded in the same order.
//!
//! # Dispatch
//! One thread per 8 pixels × 8 filters, `LANES_N` neighbours along the filters, the next ones along the pixels of
//! all images.
//!
//! # Source
//! That of [`conv2d_vec4`](crate::conv2d_vec4).

use crate::contract::prelude::*;
use crate::conv2d::{self, Params};
use crate::conv2d_vec4::{pixels, threads, tile};
use crate::convolution::Convolution;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_first",
    summary: "convolution with bias and optional ReLU for few channels, in registers with vector loads of weights",
    wgsl: include_str!("../../../shaders/conv2d_first.wgsl"),
    bindings: conv2d::KERNEL.bindings,
    params: conv2d::KERNEL.params,
    threads: |words, tile| threads(words, tile, pixels(words)),
    variants: &[
        tile!("8x8, 8 lanes", 8, 8, divides),
        tile!("8x8, 2 lanes", 8, 2, divides),
        tile!("8x8, 1 lane", 8, 1, divides),
    ],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: conv2d::cost,
    reference: conv2d::reference_of,
    fast_cpu: None,
    cases: || conv2d::cases_of(&KERNEL),
};

/// The convolution of a batch of images.
///
/// A graph usually calls [`conv2d`] and lets the plan choose.
///
/// # Errors
/// Those of [`conv2d::call`].
pub fn call(io: conv2d::Io, shape: Convolution, relu: bool) -> Result<Call, ShapeError> {
    conv2d::call_of(&KERNEL, io.into_slices(), shape, relu)
}

/// Whether vectors of four divide the filters.
pub(crate) fn divides(words: &[u32]) -> bool {
    Params::from_words(words).filters.is_multiple_of(4)
}
