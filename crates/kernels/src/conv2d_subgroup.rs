//! Convolution with bias and optional ReLU as an implicit matrix product in registers, in which the lanes of a subgroup
//! load different pixels and hand them to each other.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d`], whose alternative it is, for channels and filters that four divides: the same bindings and
//! params, and every output is folded in the same order.
//!
//! # Dispatch
//! One subgroup per `PIXELS × 4·VECTORS·LANES_N` tile of the matrix `y [batch·out_height·out_width, filters]`, its lanes
//! along the filters.
//!
//! # Source
//! On adapters that emulate lanes a load costs far more than a multiply-add, but `subgroupShuffle` from a lane whose
//! number is a constant is one instruction; see docs/performance.md.

use crate::contract::prelude::*;
use crate::conv2d;
use crate::conv2d_vec4::{pixels, threads};
use crate::convolution::Convolution;

/// A tile for adapters whose subgroups all have `lanes` lanes.
macro_rules! tile {
    ($name:literal, $lanes:literal, $pixels:literal, $vectors:literal) => {
        Variant {
            name: $name,
            workgroup: [$lanes, 1, 1],
            constants: crate::conv2d_vec4::constants!($lanes, $lanes, $pixels, $vectors),
            family: Family::BarrierFree,
            subgroup: Some($lanes),
            fits: |words| {
                crate::conv2d_vec4::divides(words) && crate::conv2d_vec4::fills(words, $lanes * $vectors, $pixels)
            },
        }
    };
}

pub(crate) use tile;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_subgroup",
    summary: "convolution with bias and optional ReLU, in registers that a subgroup shares",
    wgsl: include_str!("../../../shaders/conv2d_subgroup.wgsl"),
    bindings: conv2d::KERNEL.bindings,
    params: conv2d::KERNEL.params,
    threads: |words, tile| threads(words, tile, pixels(words)),
    variants: &[
        tile!("16x64 of 8 lanes", 8, 16, 2),
        tile!("16x32 of 8 lanes", 8, 16, 1),
        tile!("16x64 of 4 lanes", 4, 16, 4),
        tile!("16x32 of 4 lanes", 4, 16, 2),
        tile!("16x16 of 4 lanes", 4, 16, 1),
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
/// Those of [`conv2d::call`], and channels and filters that four does not divide.
pub fn call(io: conv2d::Io, shape: Convolution, relu: bool) -> Result<Call, ShapeError> {
    conv2d::call_of(&KERNEL, io.into_slices(), shape, relu)
}
