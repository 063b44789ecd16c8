//! Convolution with bias and optional ReLU for images of few channels: four filters to a load, one channel.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d`], whose alternative it is, for filters that four divides: the same bindings and params, and
//! every output is folded in the same order.
//!
//! # Dispatch
//! One thread per `PIXELS × 4·VECTORS` tile of the matrix `y [batch·out_height·out_width, filters]`; `LANES_N`
//! neighbours along the filters, the next ones along the pixels.
//!
//! # Source
//! As [`conv2d_vec4`](crate::conv2d_vec4). A sum is so short that drivers unroll its loops.

use crate::contract::prelude::*;
use crate::conv2d::{self, Params};
use crate::conv2d_vec4::{pixels, threads};
use crate::convolution::Convolution;

/// A tile that fits filters enough for all lanes.
macro_rules! tile {
    ($name:literal, $family:ident, $workgroup:literal, $lanes_n:literal, $pixels:literal, $vectors:literal) => {
        Variant {
            name: $name,
            workgroup: [$workgroup, 1, 1],
            constants: crate::conv2d_vec4::constants!($workgroup, $lanes_n, $pixels, $vectors),
            family: Family::$family,
            subgroup: None,
            fits: |words| {
                crate::conv2d_first::divides(words)
                    && (Family::$family == Family::Any
                        || crate::conv2d_vec4::fills(words, $lanes_n * $vectors, 8 / $lanes_n * $pixels))
            },
        }
    };
}

pub(crate) use tile;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_first",
    summary: "convolution with bias and optional ReLU for few channels, in registers with vector loads of weights",
    wgsl: include_str!("../../../shaders/conv2d_first.wgsl"),
    bindings: conv2d::KERNEL.bindings,
    params: conv2d::KERNEL.params,
    threads: |words, tile| threads(words, tile, pixels(words)),
    variants: &[
        tile!("4x32, 1 lane", BarrierFree, 8, 1, 4, 8),
        tile!("8x16, 1 lane", BarrierFree, 8, 1, 8, 4),
        tile!("8x4, 1 lane", BarrierFree, 8, 1, 8, 1),
        tile!("4x4 of 64 threads", Any, 64, 8, 4, 1),
    ],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: conv2d::cost,
    reference: conv2d::reference_of,
    fast_cpu: None,
    cases: || conv2d::cases_of(&KERNEL),
};

/// The convolution of a batch of images; a graph usually calls [`conv2d`] and lets the plan choose.
///
/// # Errors
/// Those of [`conv2d::call`], and filters that four does not divide.
pub fn call(io: conv2d::Io, shape: Convolution, relu: bool) -> Result<Call, ShapeError> {
    conv2d::call_of(&KERNEL, io.into_slices(), shape, relu)
}

/// Whether vectors of four divide the filters.
pub(crate) fn divides(words: &[u32]) -> bool {
    Params::from_words(words).filters.is_multiple_of(4)
}
