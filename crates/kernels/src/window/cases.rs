//! Shapes that the window kernels are checked on.

use super::{Params, Window};
use crate::contract::Kernel;

/// `[batch, height, width, channels]` under a square kernel, stride and pad.
const fn square([batch, height, width, channels]: [u32; 4], kernel: u32, stride: u32, pad: u32) -> Window {
    rectangle([batch, height, width, channels], [kernel, kernel], [stride, stride], [pad, pad, pad, pad])
}

/// Pads are top, left, bottom, right.
const fn rectangle(x: [u32; 4], kernel: [u32; 2], stride: [u32; 2], pads: [u32; 4]) -> Window {
    Window {
        batch: x[0],
        height: x[1],
        width: x[2],
        channels: x[3],
        kernel_height: kernel[0],
        kernel_width: kernel[1],
        stride_height: stride[0],
        stride_width: stride[1],
        pad_top: pads[0],
        pad_left: pads[1],
        pad_bottom: pads[2],
        pad_right: pads[3],
    }
}

/// Windows of convolutions.
pub(crate) const CONVOLUTIONS: &[Window] = &[
    square([1, 1, 1, 1], 1, 1, 0),
    // The reference network's own.
    square([2, 28, 28, 1], 3, 1, 0),
    square([2, 13, 13, 32], 3, 1, 0),
    square([2, 5, 5, 64], 3, 1, 0),
    // Workgroups ± 1.
    square([1, 7, 9, 1], 1, 1, 0),
    square([1, 8, 8, 1], 1, 1, 0),
    square([1, 5, 13, 1], 1, 1, 0),
    // Primes.
    square([1, 41, 47, 5], 3, 2, 1),
    square([3, 11, 55, 7], 2, 1, 0),
    // Strides of 1, 2 and 3, one of them with gaps between the windows.
    square([3, 9, 7, 3], 3, 1, 1),
    square([2, 11, 11, 4], 5, 2, 2),
    square([2, 10, 14, 3], 2, 3, 0),
    rectangle([2, 10, 6, 2], [2, 4], [1, 1], [0, 0, 0, 0]),
    rectangle([2, 9, 12, 3], [3, 2], [2, 3], [0, 0, 0, 0]),
    // Uneven pads, whole windows on padding, and a kernel larger than the image.
    rectangle([2, 8, 7, 3], [4, 3], [1, 2], [1, 0, 2, 1]),
    rectangle([1, 3, 4, 2], [2, 1], [1, 1], [2, 1, 3, 0]),
    square([2, 2, 2, 3], 3, 1, 1),
];

/// Windows of pools.
pub(crate) const POOLS: &[Window] = &[
    square([1, 1, 1, 1], 1, 1, 0),
    // The reference network's own, with a last row and column that no window reaches.
    square([2, 26, 26, 32], 2, 2, 0),
    square([2, 11, 11, 64], 2, 2, 0),
    // Workgroups ± 1.
    square([1, 2, 2, 63], 2, 2, 0),
    square([1, 2, 2, 64], 2, 2, 0),
    square([1, 2, 2, 65], 2, 2, 0),
    // Primes.
    square([1, 41, 47, 5], 3, 3, 0),
    square([3, 11, 55, 7], 2, 2, 0),
    // Overlapping windows, and gaps between windows.
    square([3, 9, 7, 5], 3, 2, 0),
    square([2, 7, 9, 6], 3, 1, 1),
    square([2, 8, 8, 3], 2, 1, 0),
    square([2, 10, 14, 3], 2, 3, 0),
    rectangle([2, 9, 12, 3], [3, 2], [2, 1], [0, 0, 0, 0]),
    rectangle([2, 6, 9, 3], [1, 4], [1, 3], [0, 0, 0, 0]),
    // Uneven pads, as "same" pools have, and one window over the whole image.
    rectangle([2, 7, 8, 3], [2, 3], [2, 2], [0, 0, 1, 1]),
    rectangle([2, 5, 6, 3], [3, 3], [2, 2], [2, 1, 0, 2]),
    square([3, 13, 13, 4], 13, 1, 0),
];

/// Params of a call of `kernel`.
///
/// # Panics
/// If the window does not fit: the case is then wrong.
pub(crate) fn params(window: &Window, kernel: &Kernel) -> Params {
    match window.params(kernel) {
        Ok(params) => params,
        Err(error) => panic!("case {window}: {error}"),
    }
}
