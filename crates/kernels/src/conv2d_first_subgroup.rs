//! Convolution with bias and optional ReLU for images of few channels, in registers, in which the lanes of a
//! subgroup load different pixels and hand them to each other.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d`], whose alternative it is, for filters that four divides: the same bindings and params, and
//! every sum is folded in the same order.
//!
//! # Dispatch
//! One subgroup per `PIXELS × 4·VECTORS·LANES_N` tile of the matrix `y [batch·out_height·out_width, filters]`, its
//! lanes along the filters.
//!
//! # Source
//! That of [`conv2d_subgroup`](crate::conv2d_subgroup). Lanes that a loop may have ended need a branch for every
//! load, so short sums are written out without one.

use crate::contract::prelude::*;
use crate::conv2d::{self, Params};
use crate::conv2d_subgroup::threads;
use crate::conv2d_vec4::{fills, pixels};
use crate::convolution::Convolution;

/// A tile for adapters whose subgroups all have eight lanes.
macro_rules! tile {
    ($name:literal, $terms:literal, $fits:expr) => {
        Variant {
            name: $name,
            workgroup: [8, 1, 1],
            constants: &[("WORKGROUP", 8), ("LANES_N", 8), ("PIXELS", 16), ("VECTORS", 1), ("TERMS", $terms)],
            family: Family::BarrierFree,
            subgroup: Some(8),
            fits: $fits,
        }
    };
}

pub(crate) use tile;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_first_subgroup",
    summary: "convolution with bias and optional ReLU for few channels, in registers that a subgroup shares",
    wgsl: include_str!("../../../shaders/conv2d_first_subgroup.wgsl"),
    bindings: conv2d::KERNEL.bindings,
    params: conv2d::KERNEL.params,
    threads: |words, tile| threads(words, tile, pixels(words)),
    variants: &[
        tile!("16x32 of 8 lanes, no loop", 9, |words| suits(words) && terms(words) <= 9),
        tile!("16x32 of 8 lanes, 3 terms", 3, suits),
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

/// Whether vectors of four divide the filters, and eight of them fill the lanes.
pub(crate) fn suits(words: &[u32]) -> bool {
    crate::conv2d_first::divides(words) && fills(words, 8)
}

/// Terms of each sum.
pub(crate) fn terms(words: &[u32]) -> u32 {
    let p = Params::from_words(words);
    p.kernel_height * p.kernel_width * p.channels
}
