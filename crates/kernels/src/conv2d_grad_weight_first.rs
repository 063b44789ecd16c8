//! The gradient of a convolution's weights and of its bias, in registers alone, for images of few channels.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d_grad_weight`], whose alternative it is, for filters that vectors of four divide: the same bindings and
//! params, and every output is folded in the same order.
//!
//! # Dispatch
//! The weights are a matrix with a row for each `(ky, kx, c)` and a column for each filter: one thread per
//! `ROWS × 4·VECTORS` tile of it and share; `LANES_F` neighbours along the filters, the next ones along the shares.
//!
//! # Source
//! On adapters that emulate lanes a load costs far more than a multiply-add, and one of four elements little more
//! than one of one; see docs/performance.md.

use crate::contract::prelude::*;
use crate::conv2d_grad_weight::{self, Params};
use crate::conv2d_grad_weight_vec4::is_regular;

/// A tile, and which filters and shares it is good for.
macro_rules! tile {
    ($name:literal, $lanes_f:literal, $rows:literal, $vectors:literal, $suits:expr) => {
        Variant {
            name: $name,
            workgroup: [8, 1, 1],
            constants: &[("WORKGROUP", 8), ("LANES_F", $lanes_f), ("ROWS", $rows), ("VECTORS", $vectors)],
            family: Family::BarrierFree,
            subgroup: None,
            fits: |words| divides(words) && $suits(Params::from_words(words)),
        }
    };
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_grad_weight_first",
    summary: "gradient of a convolution's weights and bias in registers, for few channels",
    wgsl: include_str!("../../../shaders/conv2d_grad_weight_first.wgsl"),
    bindings: conv2d_grad_weight::KERNEL.bindings,
    params: conv2d_grad_weight::KERNEL.params,
    threads,
    variants: &[
        tile!("9x16, 2 lanes", 2, 9, 4, |p: Params| p.filters >= 32 && p.splits >= 4),
        tile!("9x4, 4 lanes", 4, 9, 1, |_| true),
    ],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: conv2d_grad_weight::cost,
    reference: conv2d_grad_weight::reference_of,
    fast_cpu: None,
    cases: || conv2d_grad_weight::cases_of(&KERNEL),
};

/// Whether vectors of four divide filters and the start of the bias, and the rows are few.
fn divides(words: &[u32]) -> bool {
    let p = Params::from_words(words);
    let rows = p.kernel_height * p.kernel_width * p.channels;
    p.filters.is_multiple_of(4) && p.bias_offset.is_multiple_of(4) && rows <= 96 && is_regular(&p)
}

fn threads(words: &[u32], tile: Tile) -> Threads {
    let p = Params::from_words(words);
    let rows = u64::from(p.kernel_height * p.kernel_width * p.channels);
    let (lanes_f, workgroup) = (tile.get("LANES_F"), tile.get("WORKGROUP"));
    let filters = u64::from(p.filters).div_ceil(4 * tile.get("VECTORS") * lanes_f);
    let splits = u64::from(p.splits).div_ceil(workgroup / lanes_f);
    Threads::Grid([filters * workgroup, rows.div_ceil(tile.get("ROWS")), splits])
}
