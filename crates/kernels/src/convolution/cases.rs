//! Shapes that the convolution kernels are checked on.

use super::Convolution;
use crate::window::Window;

const fn square([batch, height, width, channels]: [u32; 4], kernel: u32, stride: u32, pad: u32) -> Window {
    Window {
        batch,
        height,
        width,
        channels,
        kernel_height: kernel,
        kernel_width: kernel,
        stride_height: stride,
        stride_width: stride,
        pad_top: pad,
        pad_left: pad,
        pad_bottom: pad,
        pad_right: pad,
    }
}

const fn case(window: Window, filters: u32) -> Convolution {
    Convolution { window, filters }
}

/// Convolutions, and dense layers as such.
pub(crate) const SHAPES: &[Convolution] = &[
    case(square([1, 1, 1, 1], 1, 1, 0), 1),
    // The reference network's own.
    case(square([3, 28, 28, 1], 3, 1, 0), 32),
    case(square([3, 13, 13, 32], 3, 1, 0), 64),
    case(square([5, 5, 5, 64], 3, 1, 0), 64),
    case(square([17, 1, 1, 576], 1, 1, 0), 64),
    case(square([17, 1, 1, 64], 1, 1, 0), 10),
    // Three channels, as a picture has them, and tiles ± 1 in every direction.
    case(square([2, 9, 11, 3], 3, 1, 1), 16),
    case(square([1, 6, 7, 3], 5, 2, 2), 17),
    case(square([1, 3, 17, 4], 1, 1, 0), 33),
    case(square([1, 4, 16, 16], 1, 1, 0), 128),
    case(square([1, 5, 13, 12], 3, 1, 1), 132),
    case(square([2, 7, 8, 20], 3, 1, 1), 36),
    // Primes.
    case(square([1, 41, 47, 5], 3, 2, 1), 7),
    case(square([2, 11, 13, 7], 2, 1, 0), 11),
    // Strides of 2 and 3, one of them with gaps between the windows, with vectors of four.
    case(square([2, 11, 11, 4], 5, 2, 2), 8),
    case(square([2, 10, 14, 8], 2, 3, 0), 12),
    case(square([3, 8, 8, 16], 3, 2, 1), 32),
    // Uneven kernels, strides and pads, and a kernel larger than the image.
    case(
        Window {
            kernel_width: 2,
            stride_width: 2,
            pad_top: 1,
            pad_left: 0,
            pad_bottom: 2,
            pad_right: 1,
            ..square([2, 8, 7, 4], 3, 1, 0)
        },
        8,
    ),
    case(square([2, 2, 2, 4], 3, 1, 1), 4),
    // Pads wider than what the windows cover.
    case(Window { pad_left: 8, pad_right: 8, stride_width: 20, ..square([1, 4, 4, 1], 3, 20, 0) }, 1),
];

/// Places in [`SHAPES`] of those that are also checked with a pixel that is not a number.
pub(crate) const WITH_A_NAN: [usize; 2] = [1, 2];

/// Those that a max pool of 2×2 can follow.
pub(crate) fn poolable() -> impl Iterator<Item = Convolution> {
    let fits = |shape: &Convolution| {
        let size = (shape.window.out_height(), shape.window.out_width());
        shape.filters.is_multiple_of(4) && matches!(size, (Ok(2..), Ok(2..)))
    };
    SHAPES.iter().copied().filter(fits)
}

/// Small whole numbers: their sums are exact in any order, so that maxima tie often and winners can be compared
/// exactly.
pub(crate) fn whole(stream: u32, len: usize) -> impl Iterator<Item = f32> {
    (0..len as u32).map(move |i| (crate::hash::bits(len as u32, stream, i) % 5) as f32 - 2.0)
}
