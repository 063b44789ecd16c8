//! Convolutions at the speed of the processor's multiply-adds.
//!
//! Each is one call of [`tile::cover`] per band of images: a tile of sums stays in vector registers while it walks over
//! the images where they lie, so no columns are made. `pulp` chooses AVX-512, AVX2, NEON or plain floats once per call.

mod bands;
mod elementwise;
mod forward;
mod grad_input;
mod grad_weight;
mod gradient;
mod scratch;
mod simd;
mod starts;
mod tile;
mod weights;
mod windows;
mod winners;

pub(crate) use elementwise::{AdamBuffers, adam, column_sum, gather};
pub(crate) use forward::{Inputs, conv2d, conv2d_pool};
pub(crate) use grad_input::conv2d_grad_input;
pub(crate) use grad_weight::conv2d_grad_weight;
