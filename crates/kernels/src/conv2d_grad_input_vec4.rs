//! The gradient of a convolution's images, in registers alone, four elements to a load.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d_grad_input`], whose alternative it is, for channels and filters that vectors of four divide: the
//! same bindings and params, and every output is folded in the same order.
//!
//! # Dispatch
//! One thread per `4·VECTORS` channels of one pixel in `IMAGES` images; `LANES_C` neighbours along the channels. Since all
//! threads of a workgroup look at the same pixel, they skip the taps outside of the image and between strides together.
//!
//! # Source
//! On adapters that emulate lanes a load costs far more than a multiply-add, and one of four elements little more
//! than one of one; see docs/performance.md.

use crate::contract::prelude::*;
use crate::conv2d_grad_input::{self, Params};

/// A tile, and which batches and channels it is good for.
macro_rules! tile {
    ($name:literal, $lanes_c:literal, $images:literal, $vectors:literal, $suits:expr) => {
        Variant {
            name: $name,
            workgroup: [8, 1, 1],
            constants: &[("WORKGROUP", 8), ("LANES_C", $lanes_c), ("IMAGES", $images), ("VECTORS", $vectors)],
            family: Family::BarrierFree,
            subgroup: None,
            fits: |words| divides(words) && $suits(Params::from_words(words)),
        }
    };
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_grad_input_vec4",
    summary: "gradient of a convolution's images in registers with vector loads",
    wgsl: include_str!("../../../shaders/conv2d_grad_input_vec4.wgsl"),
    bindings: conv2d_grad_input::KERNEL.bindings,
    params: conv2d_grad_input::KERNEL.params,
    threads,
    variants: &[
        tile!("16 images x 8, 4 lanes", 4, 16, 2, |p: Params| p.batch > 16 && p.channels > 16),
        tile!("4 images x 4, 4 lanes", 4, 4, 1, |_| true),
    ],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: conv2d_grad_input::cost,
    reference: conv2d_grad_input::reference_of,
    fast_cpu: None,
    cases: || conv2d_grad_input::cases_of(&KERNEL),
};

/// Whether vectors of four divide channels and filters.
pub(crate) fn divides(words: &[u32]) -> bool {
    let p = Params::from_words(words);
    // Rows and columns are the grid's, which has at most 65535 of each.
    [p.channels, p.filters].iter().all(|dim| dim % 4 == 0) && p.width.max(p.height) <= 65_535
}

fn threads(words: &[u32], tile: Tile) -> Threads {
    let p = Params::from_words(words);
    let (lanes_c, workgroup) = (tile.get("LANES_C"), tile.get("WORKGROUP"));
    let images = u64::from(p.batch).div_ceil(tile.get("IMAGES") * (workgroup / lanes_c));
    let channels = u64::from(p.channels).div_ceil(4 * tile.get("VECTORS") * lanes_c);
    Threads::Grid([images * channels * workgroup, p.width.into(), p.height.into()])
}
