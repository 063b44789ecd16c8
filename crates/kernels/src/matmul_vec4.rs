//! Matrix product in registers alone, four elements to a load.
//!
//! # Formula, Shapes, Errors
//! Those of [`matmul`], whose alternative it is, for shapes that vectors of four divide: the same
//! bindings and params, and every output is folded in the same order.
//!
//! # Dispatch
//! One thread per `ROWS × 4·VECTORS` tile of `c` and split; `LANES_N` neighbours along the columns.
//!
//! # Source
//! On adapters that emulate lanes a load costs far more than a multiply-add, and one of four elements little more
//! than one of one; see docs/performance.md.

use crate::contract::prelude::*;
use crate::matmul::{self, Layout};

/// A tile that is good for products of at least the columns of one workgroup.
macro_rules! tile {
    ($name:literal, $lanes_n:literal, $rows:literal, $vectors:literal) => {
        Variant {
            name: $name,
            workgroup: [8, 1, 1],
            constants: &[("WORKGROUP", 8), ("LANES_N", $lanes_n), ("ROWS", $rows), ("VECTORS", $vectors)],
            family: Family::BarrierFree,
            subgroup: None,
            fits: |words| divides(words) && matmul::extent(words).1 >= 4 * $lanes_n * $vectors,
        }
    };
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "matmul_vec4",
    summary: "matrix product in registers with vector loads, optionally split along the inner dimension",
    wgsl: include_str!("../../../shaders/matmul_vec4.wgsl"),
    bindings: matmul::KERNEL.bindings,
    params: matmul::KERNEL.params,
    threads,
    variants: &[tile!("16x16, 4 lanes", 4, 16, 4), tile!("16x8, 4 lanes", 4, 16, 2)],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: matmul::cost,
    reference: matmul::reference_of,
    fast_cpu: Some(matmul::fast_of),
    cases: || matmul::cases_of(&KERNEL),
};

/// Whether vectors of four divide the shape along the direction in which each matrix is contiguous, and a grid of at most
/// 65535 tiles of eight rows holds it.
pub(crate) fn divides(words: &[u32]) -> bool {
    let (m, n, k, layout) = matmul::shape(words);
    let fours = |dims: &[u32]| dims.iter().all(|dim| dim % 4 == 0) && m <= 8 * 65_535;
    match layout {
        Layout::NN | Layout::NT => fours(&[n, k]),
        Layout::TN => fours(&[m, n]),
    }
}

/// One product, or `dims.splits` partial ones; a graph usually calls [`matmul`] and lets the plan choose.
///
/// # Errors
/// Those of [`matmul::call`], and shapes that vectors of four do not divide.
pub fn call(io: matmul::Io, dims: matmul::Dims) -> Result<Call, ShapeError> {
    matmul::call_of(&KERNEL, io.into_slices(), dims)
}

fn threads(words: &[u32], tile: Tile) -> Threads {
    let (m, n, splits) = matmul::extent(words);
    let (lanes_n, workgroup) = (tile.get("LANES_N"), tile.get("WORKGROUP"));
    let rows = tile.get("ROWS") * (workgroup / lanes_n);
    Threads::Grid([n.div_ceil(4 * tile.get("VECTORS") * lanes_n) * workgroup, m.div_ceil(rows), splits])
}
