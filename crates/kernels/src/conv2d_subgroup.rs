//! Convolution with bias and optional ReLU as an implicit matrix product in registers, in which the lanes of a
//! subgroup load different pixels and hand them to each other.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d`], whose alternative it is, for channels and filters that four divides: the same bindings and
//! params, and every sum is folded in the same order.
//!
//! # Dispatch
//! One subgroup per `PIXELS × 4·VECTORS·LANES_N` tile of the matrix `y [batch·out_height·out_width, filters]`, its
//! lanes along the filters.
//!
//! # Source
//! On adapters that emulate lanes a load costs far more than a multiply-add, but `subgroupShuffle` from a lane
//! whose number is a constant is one instruction; see docs/performance.md.

use crate::contract::prelude::*;
use crate::conv2d;
use crate::conv2d_vec4::{pixels, whole_tiles};
use crate::convolution::Convolution;

/// A tile for adapters whose subgroups all have eight lanes.
macro_rules! tile {
    ($name:literal, $pixels:literal, $vectors:literal) => {
        Variant {
            name: $name,
            workgroup: [8, 1, 1],
            constants: &[("WORKGROUP", 8), ("LANES_N", 8), ("PIXELS", $pixels), ("VECTORS", $vectors)],
            family: Family::BarrierFree,
            subgroup: Some(8),
            fits: |words| crate::conv2d_vec4::divides(words) && crate::conv2d_vec4::fills(words, 8 * $vectors),
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
    variants: &[tile!("16x64 of 8 lanes", 16, 2), tile!("16x32 of 8 lanes", 16, 1)],
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

/// One workgroup of a subgroup's lanes per tile.
pub(crate) fn threads(words: &[u32], tile: Tile, pixels: u64) -> Threads {
    let lanes = tile.get("LANES_N");
    whole_tiles(words, lanes, lanes * tile.get("VECTORS"), pixels.div_ceil(tile.get("PIXELS")))
}
