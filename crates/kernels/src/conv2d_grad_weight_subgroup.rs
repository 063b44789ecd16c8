//! The gradient of a convolution's weights and of its bias, in registers alone, with loads that the lanes of a subgroup
//! share.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d_grad_weight`], whose alternative it is, for channels and filters that vectors of four divide: the
//! same bindings and params, and every output is folded in the same order.
//!
//! # Dispatch
//! The weights are a matrix with a row for each `(ky, kx, c)` and a column for each filter: one subgroup per
//! `4·LANES·GROUPS × 4·VECTORS·LANES` tile of it and share, whose threads lie along the filters. Each thread loads four
//! channels of another tap and hands them to all.
//!
//! # Source
//! On adapters that emulate lanes a load costs far more than a shuffle between known lanes; see docs/performance.md.

use crate::contract::prelude::*;
use crate::conv2d_grad_weight::{self, Params};
use crate::conv2d_grad_weight_vec4::divides;

/// A tile that is good for weights of at least the filters of one subgroup.
macro_rules! tile {
    ($name:literal, $lanes:literal, $groups:literal, $vectors:literal) => {
        Variant {
            name: $name,
            workgroup: [$lanes, 1, 1],
            constants: &[("LANES", $lanes), ("GROUPS", $groups), ("VECTORS", $vectors)],
            family: Family::BarrierFree,
            subgroup: Some($lanes),
            fits: |words| divides(words) && Params::from_words(words).filters >= 4 * $lanes * $vectors,
        }
    };
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_grad_weight_subgroup",
    summary: "gradient of a convolution's weights and bias in registers with loads shared by a subgroup",
    wgsl: include_str!("../../../shaders/conv2d_grad_weight_subgroup.wgsl"),
    bindings: conv2d_grad_weight::KERNEL.bindings,
    params: conv2d_grad_weight::KERNEL.params,
    threads,
    variants: &[
        tile!("8 lanes, 32x8", 8, 1, 2),
        tile!("8 lanes, 32x4", 8, 1, 1),
        tile!("4 lanes, 16x16", 4, 1, 4),
        tile!("4 lanes, 16x4", 4, 1, 1),
    ],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: conv2d_grad_weight::cost,
    reference: conv2d_grad_weight::reference_of,
    fast_cpu: None,
    cases: || conv2d_grad_weight::cases_of(&KERNEL),
};

fn threads(words: &[u32], tile: Tile) -> Threads {
    let p = Params::from_words(words);
    let rows = u64::from(p.kernel_height * p.kernel_width * p.channels / 4);
    let lanes = tile.get("LANES");
    let filters = u64::from(p.filters).div_ceil(4 * tile.get("VECTORS") * lanes);
    Threads::Grid([filters * lanes, rows.div_ceil(lanes * tile.get("GROUPS")), p.splits.into()])
}
