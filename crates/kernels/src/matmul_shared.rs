//! Matrix product through workgroup memory: the family for real GPUs.
//!
//! # Formula, Shapes, Errors
//! Those of [`matmul`], whose alternative it is: the same bindings and params, and every output
//! is folded in the same order.
//!
//! # Dispatch
//! One workgroup per `BLOCK_M × BLOCK_N` tile of `c` and split; each thread makes `ROWS × COLUMNS` of its elements.
//!
//! # Source
//! Block tiling with staged, transposed `a` is described step by step in Simon Boehm, "How to Optimize a CUDA
//! Matmul Kernel for cuBLAS-like Performance" (2022).

use crate::contract::prelude::*;
use crate::matmul::{self, Layout};

/// A variant for GPUs: threads, the workgroup's tile as rows, columns and inner indices, and each thread's rows and columns.
///
/// All of these kernels stage their tiles four elements to a vector, so `m * k / 4` and `n * k / 4` are multiples of the
/// threads, which are a multiple of `k`, `m / 4` and `n / 4`.
macro_rules! tile {
    ($name:literal, $threads:literal, [$m:literal, $n:literal, $k:literal], [$rows:literal, $columns:literal],
     [$($extra:expr),*], $fits:expr) => {
        Variant {
            name: $name,
            workgroup: [$threads, 1, 1],
            constants: &[
                ("WORKGROUP", $threads),
                ("BLOCK_M", $m),
                ("BLOCK_N", $n),
                ("BLOCK_K", $k),
                ("ROWS", $rows),
                ("COLUMNS", $columns),
                $($extra),*
            ],
            family: Family::SharedMemory,
            subgroup: None,
            fits: $fits,
        }
    };
}

pub(crate) use tile;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "matmul_shared",
    summary: "matrix product through workgroup memory, optionally split along the inner dimension",
    wgsl: include_str!("../../../shaders/matmul_shared.wgsl"),
    bindings: matmul::KERNEL.bindings,
    params: matmul::KERNEL.params,
    threads,
    variants: &[
        tile!("32x32x8, 4x4", 64, [32, 32, 8], [4, 4], [("BUFFERS", 1)], |words| !fills(words, 64, 32)),
        tile!("64x32x8, 8x4", 64, [64, 32, 8], [8, 4], [("BUFFERS", 1)], |words| !fills(words, 64, 64)),
        tile!("64x64x8, 8x4", 128, [64, 64, 8], [8, 4], [("BUFFERS", 1)], |_| true),
        tile!("128x64x8, 8x8, two buffers", 128, [128, 64, 8], [8, 8], [("BUFFERS", 2)], |_| true),
    ],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: matmul::cost,
    reference: matmul::reference_of,
    fast_cpu: Some(matmul::fast_of),
    cases: || matmul::cases_of(&KERNEL).into_iter().filter(is_cheap).collect(),
};

/// One product, or `dims.splits` partial ones; a graph usually calls [`matmul`] and lets the plan choose.
///
/// # Errors
/// Those of [`matmul::call`].
pub fn call(io: matmul::Io, dims: matmul::Dims) -> Result<Call, ShapeError> {
    matmul::call_of(&KERNEL, io.into_slices(), dims)
}

/// Whether tiles of this size cover `rows × columns`, `splits` times, with workgroups enough to keep a GPU busy and without
/// leaving most of a tile empty. Larger tiles read less memory per product, so the largest that does is the default.
pub(crate) fn keeps_busy(rows: u64, columns: u64, splits: u64, tile: [u64; 2]) -> bool {
    const BUSY: u64 = 32;
    let groups = rows.div_ceil(tile[0]) * columns.div_ceil(tile[1]) * splits;
    groups >= BUSY && 2 * columns > tile[1]
}

/// A workgroup per tile. Images can have more tiles of pixels than one dimension of a dispatch holds, so what is beyond
/// `MOST` goes on in the third.
pub(crate) fn blocks(rows: u64, columns: u64, tile: Tile) -> Threads {
    const MOST: u64 = 32_768;
    let tiles = rows.div_ceil(tile.get("BLOCK_M"));
    let layers = tiles.div_ceil(MOST);
    Threads::Grid([columns.div_ceil(tile.get("BLOCK_N")) * tile.get("WORKGROUP"), tiles.div_ceil(layers), layers])
}

/// Barriers are so slow on the adapters of CI that long sums are checked in one layout only.
fn is_cheap(case: &Case) -> bool {
    let (_, _, k, layout) = matmul::shape(case.call.params());
    k <= 10_000 || layout == Layout::NN
}

/// Half of the cases, which come in pairs without and with a ReLU: alternately the first and the second of a pair. The ReLU
/// meets the kernels in their last lines only, and each case compiles each variant anew.
pub(crate) fn one_of_each_pair(cases: Vec<Case>) -> Vec<Case> {
    let kept = |at: usize| matches!(at % 4, 0 | 3);
    cases.into_iter().enumerate().filter(|(at, _)| kept(*at)).map(|(_, case)| case).collect()
}

fn fills(words: &[u32], block_m: u64, block_n: u64) -> bool {
    let (m, n, splits) = matmul::extent(words);
    keeps_busy(m, n, splits, [block_m, block_n])
}

fn threads(words: &[u32], tile: Tile) -> Threads {
    let (m, n, splits) = matmul::extent(words);
    Threads::Grid([n.div_ceil(tile.get("BLOCK_N")) * tile.get("WORKGROUP"), m.div_ceil(tile.get("BLOCK_M")), splits])
}
