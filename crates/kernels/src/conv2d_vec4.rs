//! Convolution with bias and optional ReLU as an implicit matrix product in registers alone, four elements to a
//! load.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d`], whose alternative it is, for channels and filters that four divides: the same bindings and
//! params, and every sum is folded in the same order.
//!
//! # Dispatch
//! One thread per 8 pixels × 8 filters, `LANES_N` neighbours along the filters, the next ones along the pixels of
//! all images.
//!
//! # Source
//! On adapters that emulate lanes a load costs far more than a multiply-add, and one of four elements little more
//! than one of one; see docs/performance.md. The implicit matrix product is that of Chetlur et al., "cuDNN:
//! Efficient Primitives for Deep Learning" (2014).

use crate::contract::prelude::*;
use crate::conv2d::{self, Params};
use crate::convolution::Convolution;

/// A tile of 8 pixels × 8 filters per thread, for filters enough for all lanes or for one lane.
macro_rules! tile {
    ($name:literal, $workgroup:literal, $lanes_n:literal, $suits:path) => {
        Variant {
            name: $name,
            workgroup: [$workgroup, 1, 1],
            constants: &[("WORKGROUP", $workgroup), ("LANES_N", $lanes_n)],
            family: Family::BarrierFree,
            subgroup: None,
            fits: |words| $suits(words) && ($lanes_n == 1 || crate::conv2d_vec4::fills(words, 2 * $lanes_n)),
        }
    };
}

pub(crate) use tile;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_vec4",
    summary: "convolution with bias and optional ReLU, in registers with vector loads",
    wgsl: include_str!("../../../shaders/conv2d_vec4.wgsl"),
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

/// Whether vectors of four divide the channels and the filters.
pub(crate) fn divides(words: &[u32]) -> bool {
    let p = Params::from_words(words);
    p.channels.is_multiple_of(4) && p.filters.is_multiple_of(4)
}

/// Whether tiles of `vectors` vectors of filters have few beyond the edge.
pub(crate) fn fills(words: &[u32], vectors: u32) -> bool {
    let wanted = Params::from_words(words).filters / 4;
    wanted >= vectors && wanted.next_multiple_of(vectors) - wanted <= wanted / 4
}

/// Pixels of all outputs of a batch.
pub(crate) fn pixels(words: &[u32]) -> u64 {
    let p = Params::from_words(words);
    [p.batch, p.out_height, p.out_width].iter().map(|&dim| u64::from(dim)).product()
}

/// Whole workgroups that make tiles of 8 pixels × 8 filters per thread.
pub(crate) fn threads(words: &[u32], tile: Tile, pixels: u64) -> Threads {
    let (workgroup, lanes_n) = (tile.get("WORKGROUP"), tile.get("LANES_N"));
    whole_tiles(words, workgroup, 2 * lanes_n, pixels.div_ceil(workgroup / lanes_n * 8))
}

/// Whole workgroups, each of which makes one of `tiles_m` tiles of pixels, and filters of `vectors` vectors: x along the
/// filters, y and z along the pixels.
pub(crate) fn whole_tiles(words: &[u32], workgroup: u64, vectors: u64, tiles_m: u64) -> Threads {
    /// Workgroups along an axis that every adapter allows.
    const LONGEST_AXIS: u64 = 65_535;
    let tiles_n = u64::from(Params::from_words(words).filters / 4).div_ceil(vectors);
    let layers = tiles_m.div_ceil(LONGEST_AXIS);
    Threads::Grid([tiles_n * workgroup, tiles_m.div_ceil(layers), layers])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_tiles_than_one_axis_takes_are_laid_in_layers() {
        let words = Params { filters: 12, ..bytemuck::Zeroable::zeroed() }.to_words();
        assert_eq!(whole_tiles(&words, 8, 2, 65_535), Threads::Grid([16, 65_535, 1]));
        assert_eq!(whole_tiles(&words, 8, 2, 65_536), Threads::Grid([16, 32_768, 2]));
    }
}
