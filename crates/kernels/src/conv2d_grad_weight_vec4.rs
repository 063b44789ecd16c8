//! The gradient of a convolution's weights and of its bias, in registers alone, four elements to a load.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d_grad_weight`], whose alternative it is, for channels and filters that vectors of four divide: the
//! same bindings and params, and every output is folded in the same order.
//!
//! # Dispatch
//! The weights are a matrix with a row for each `(ky, kx, c)` and a column for each filter: one thread per
//! `4·ROW_VECTORS × 4·VECTORS` tile of it and share; `LANES_F` neighbours along the filters.
//!
//! # Source
//! On adapters that emulate lanes a load costs far more than a multiply-add, and one of four elements little more
//! than one of one; see docs/performance.md.

use crate::contract::prelude::*;
use crate::conv2d_grad_weight::{self, Params};

/// A tile that is good for weights of at least the filters of one workgroup.
macro_rules! tile {
    ($name:literal, $lanes_f:literal, $row_vectors:literal, $vectors:literal) => {
        Variant {
            name: $name,
            workgroup: [8, 1, 1],
            constants: &[("WORKGROUP", 8), ("LANES_F", $lanes_f), ("ROW_VECTORS", $row_vectors), ("VECTORS", $vectors)],
            family: Family::BarrierFree,
            subgroup: None,
            fits: |words| {
                let p = Params::from_words(words);
                divides(words) && p.filters >= 4 * $lanes_f * $vectors
            },
        }
    };
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_grad_weight_vec4",
    summary: "gradient of a convolution's weights and bias in registers with vector loads",
    wgsl: include_str!("../../../shaders/conv2d_grad_weight_vec4.wgsl"),
    bindings: conv2d_grad_weight::KERNEL.bindings,
    params: conv2d_grad_weight::KERNEL.params,
    threads,
    variants: &[tile!("16x16, 2 lanes", 2, 4, 4), tile!("16x4, 1 lane", 1, 4, 1)],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: conv2d_grad_weight::cost,
    reference: conv2d_grad_weight::reference_of,
    fast_cpu: None,
    cases: || conv2d_grad_weight::cases_of(&KERNEL),
};

/// Whether vectors of four divide channels, filters and the start of the bias.
pub(crate) fn divides(words: &[u32]) -> bool {
    let p = Params::from_words(words);
    [p.channels, p.filters, p.bias_offset].iter().all(|dim| dim % 4 == 0) && is_regular(&p)
}

/// Whether there are outputs at all if they are pooled, and the gap before the bias is short.
pub(crate) fn is_regular(p: &Params) -> bool {
    let gap = p.bias_offset - p.kernel_height * p.kernel_width * p.channels * p.filters;
    gap <= 4096 && (p.pooled == 0 || p.out_height.min(p.out_width) >= 2)
}

fn threads(words: &[u32], tile: Tile) -> Threads {
    let p = Params::from_words(words);
    let rows = u64::from(p.kernel_height * p.kernel_width * p.channels / 4);
    let (lanes_f, workgroup) = (tile.get("LANES_F"), tile.get("WORKGROUP"));
    let filters = u64::from(p.filters).div_ceil(4 * tile.get("VECTORS") * lanes_f);
    Threads::Grid([
        filters * workgroup,
        rows.div_ceil(tile.get("ROW_VECTORS") * (workgroup / lanes_f)),
        p.splits.into(),
    ])
}
