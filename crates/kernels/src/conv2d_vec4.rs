//! Convolution with bias and optional ReLU as an implicit matrix product in registers alone, four elements to a load.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d`], whose alternative it is, for channels and filters that four divides: the same bindings and
//! params, and every output is folded in the same order.
//!
//! # Dispatch
//! One thread per `PIXELS × 4·VECTORS` tile of the matrix `y [batch·out_height·out_width, filters]`; `LANES_N`
//! neighbours along the filters, the next ones along the pixels.
//!
//! # Source
//! On adapters that emulate lanes a load costs far more than a multiply-add, and one of four elements little more
//! than one of one; see docs/performance.md. The implicit matrix product is that of Chetlur et al., "cuDNN: Efficient
//! Primitives for Deep Learning" (2014).

use crate::contract::prelude::*;
use crate::conv2d::{self, Params};
use crate::convolution::Convolution;

/// Tile constants of the kernels that make tiles of pixels and filters.
macro_rules! constants {
    ($workgroup:literal, $lanes_n:literal, $pixels:literal, $vectors:literal) => {
        &[("WORKGROUP", $workgroup), ("LANES_N", $lanes_n), ("PIXELS", $pixels), ("VECTORS", $vectors)]
    };
}

/// Tiles for software adapters that fit filters enough for all lanes.
macro_rules! tile {
    ($name:literal, $lanes_n:literal, $pixels:literal, $vectors:literal) => {
        Variant {
            name: $name,
            workgroup: [8, 1, 1],
            constants: crate::conv2d_vec4::constants!(8, $lanes_n, $pixels, $vectors),
            family: Family::BarrierFree,
            subgroup: None,
            fits: |words| {
                crate::conv2d_vec4::divides(words)
                    && crate::conv2d_vec4::fills(words, $lanes_n * $vectors, 8 / $lanes_n * $pixels)
            },
        }
    };
}

/// A small tile that is good everywhere, and fits all shapes that four divides.
macro_rules! tile64 {
    ($name:literal, $lanes_n:literal, $pixels:literal, $vectors:literal) => {
        Variant {
            name: $name,
            workgroup: [64, 1, 1],
            constants: crate::conv2d_vec4::constants!(64, $lanes_n, $pixels, $vectors),
            family: Family::Any,
            subgroup: None,
            fits: crate::conv2d_vec4::divides,
        }
    };
}

pub(crate) use {constants, tile, tile64};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_vec4",
    summary: "convolution with bias and optional ReLU, in registers with vector loads",
    wgsl: include_str!("../../../shaders/conv2d_vec4.wgsl"),
    bindings: conv2d::KERNEL.bindings,
    params: conv2d::KERNEL.params,
    threads: |words, tile| threads(words, tile, pixels(words)),
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

/// Whether vectors of four divide the channels and the filters.
pub(crate) fn divides(words: &[u32]) -> bool {
    let p = Params::from_words(words);
    p.channels.is_multiple_of(4) && p.filters.is_multiple_of(4)
}

/// Whether there are filters for `vectors` vectors, without too many beyond the edge, and pixels for a few workgroups of
/// `pixels` each.
pub(crate) fn fills(words: &[u32], vectors: u32, pixels: u32) -> bool {
    let wanted = Params::from_words(words).filters / 4;
    let made = wanted.next_multiple_of(vectors);
    wanted >= vectors && made - wanted <= wanted / 4 && self::pixels(words) >= 2 * u64::from(pixels)
}

/// Pixels of all outputs of a batch.
pub(crate) fn pixels(words: &[u32]) -> u64 {
    let p = Params::from_words(words);
    [p.batch, p.out_height, p.out_width].iter().map(|&dim| u64::from(dim)).product()
}

/// Whole workgroups that make tiles of `pixels` pixels and of all filters.
pub(crate) fn threads(words: &[u32], tile: Tile, pixels: u64) -> Threads {
    let (workgroup, lanes_n) = (tile.get("WORKGROUP"), tile.get("LANES_N"));
    let vectors = u64::from(Params::from_words(words).filters / 4);
    let tiles_n = vectors.div_ceil(lanes_n * tile.get("VECTORS"));
    Threads::Line(tiles_n * pixels.div_ceil(workgroup / lanes_n * tile.get("PIXELS")) * workgroup)
}
