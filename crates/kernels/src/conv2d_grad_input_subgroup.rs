//! The gradient of a convolution's images, in registers alone, with loads that the lanes of a subgroup share.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d_grad_input`], whose alternative it is, for channels and filters that vectors of four divide: the
//! same bindings and params, and every output is folded in the same order.
//!
//! # Dispatch
//! One subgroup per pixel of `LANES·GROUPS` images and `4·VECTORS·LANES` channels, which lie along its threads. Each thread
//! loads the outputs' gradient of another image and hands it to all.
//!
//! # Source
//! On adapters that emulate lanes a load costs far more than a shuffle between known lanes; see docs/performance.md.

use crate::contract::prelude::*;
use crate::conv2d_grad_input::{self, Params};
use crate::conv2d_grad_input_vec4::divides;

/// A tile, and which batches and channels it is good for.
macro_rules! tile {
    ($name:literal, $lanes:literal, $groups:literal, $vectors:literal, $suits:expr) => {
        Variant {
            name: $name,
            workgroup: [$lanes, 1, 1],
            constants: &[("LANES", $lanes), ("GROUPS", $groups), ("VECTORS", $vectors)],
            family: Family::BarrierFree,
            subgroup: Some($lanes),
            fits: |words| divides(words) && $suits(Params::from_words(words)),
        }
    };
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_grad_input_subgroup",
    summary: "gradient of a convolution's images in registers with loads shared by a subgroup",
    wgsl: include_str!("../../../shaders/conv2d_grad_input_subgroup.wgsl"),
    bindings: conv2d_grad_input::KERNEL.bindings,
    params: conv2d_grad_input::KERNEL.params,
    threads,
    variants: &[
        tile!("8 lanes, 32 images x 4", 8, 4, 1, |p: Params| p.batch > 16 && p.channels > 16),
        tile!("8 lanes, 16 images x 4", 8, 2, 1, |p: Params| p.batch > 8 && p.channels > 16),
        tile!("8 lanes, 8 images x 4", 8, 1, 1, |_| true),
        tile!("4 lanes, 16 images x 8", 4, 4, 2, |p: Params| p.batch > 8 && p.channels > 16),
        tile!("4 lanes, 8 images x 4", 4, 2, 1, |_| true),
    ],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: conv2d_grad_input::cost,
    reference: conv2d_grad_input::reference_of,
    fast_cpu: None,
    cases: || conv2d_grad_input::cases_of(&KERNEL),
};

fn threads(words: &[u32], tile: Tile) -> Threads {
    let p = Params::from_words(words);
    let lanes = tile.get("LANES");
    let images = u64::from(p.batch).div_ceil(lanes * tile.get("GROUPS"));
    let channels = u64::from(p.channels).div_ceil(4 * tile.get("VECTORS") * lanes);
    Threads::Grid([images * channels * lanes, p.width.into(), p.height.into()])
}
