//! The gradient of a convolution's images as a matrix product through workgroup memory: the family for real GPUs.
//!
//! # Formula, Shapes, Errors
//! Those of [`conv2d_grad_input`], whose alternative it is for filters that four divides: the same bindings and params, and
//! every output is folded in the same order. Windows that do not meet a pixel are added as zeros.
//!
//! # Dispatch
//! One workgroup per tile of `BLOCK_M` pixels by `BLOCK_N` channels; each thread makes `ROWS × COLUMNS` of its elements.
//!
//! # Source
//! The transpose of the forward pass as an implicit matrix product; see [`conv2d_shared`](crate::conv2d_shared). With
//! strides above 1 most windows miss, and the zeros are multiplied all the same.

use crate::contract::prelude::*;
use crate::conv2d_grad_input::{self, Fused, Params};
use crate::convolution::Convolution;
use crate::matmul_shared::{blocks, keeps_busy, one_of_each_pair, tile};
use crate::window::count;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_grad_input_shared",
    summary: "gradient of a convolution's images through workgroup memory",
    wgsl: include_str!("../../../shaders/conv2d_grad_input_shared.wgsl"),
    bindings: conv2d_grad_input::KERNEL.bindings,
    params: conv2d_grad_input::KERNEL.params,
    threads,
    variants: &[
        tile!("32x32x16, 4x4", 64, [32, 32, 16], [4, 4], [], |words| takes(words) && !fills(words, 64, 32)),
        tile!("64x32x16, 8x4", 64, [64, 32, 16], [8, 4], [], takes),
        tile!("128x32x16, 8x4", 128, [128, 32, 16], [8, 4], [], takes),
    ],
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: conv2d_grad_input::cost,
    reference: conv2d_grad_input::reference_of,
    fast_cpu: conv2d_grad_input::KERNEL.fast_cpu,
    cases: || one_of_each_pair(conv2d_grad_input::cases_of(&KERNEL)),
};

/// The gradient of the images of a batch; a graph usually calls [`conv2d_grad_input`] and lets the plan choose.
///
/// # Errors
/// Those of [`conv2d_grad_input::call`].
pub fn call(io: conv2d_grad_input::Io, shape: Convolution, fused: Fused) -> Result<Call, ShapeError> {
    conv2d_grad_input::call_of(&KERNEL, io.into_slices(), shape, fused)
}

/// Filters come in vectors of four.
fn takes(words: &[u32]) -> bool {
    Params::from_words(words).filters.is_multiple_of(4)
}

fn fills(words: &[u32], block_m: u64, block_n: u64) -> bool {
    let (pixels, channels) = extent(words);
    keeps_busy(pixels, channels, 1, [block_m, block_n])
}

/// Rows and columns of the product.
fn extent(words: &[u32]) -> (u64, u64) {
    let p = Params::from_words(words);
    (count(&p.window().input()) / u64::from(p.channels), p.channels.into())
}

fn threads(words: &[u32], tile: Tile) -> Threads {
    let (pixels, channels) = extent(words);
    blocks(pixels, channels, tile)
}
