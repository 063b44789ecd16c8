//! Every window of a batch of images as a row, so that a convolution becomes a matrix product.
//!
//! # Formula
//! `cols[(b, oy, ox), (ky, kx, c)] = x[b, oy*stride_height + ky - pad_top, ox*stride_width + kx - pad_left, c]`,
//! or 0 where that lies on padding.
//!
//! # Shapes
//! `x [batch, height, width, channels]`,
//! `cols [batch*out_height*out_width, kernel_height*kernel_width*channels]`.
//!
//! # Dispatch
//! One thread per element of `cols`; neighbours read neighbouring channels.
//!
//! # Errors
//! Those of [`Window`], or a buffer of another length.
//!
//! # Source
//! Chellapilla, Puri and Simard, "High Performance Convolutional Neural Networks for Document Processing" (2006).

use crate::contract::prelude::*;
use crate::window::{Params, Window, cases, cases::CONVOLUTIONS, count};

buffers! {
    /// Images.
    x: Read<f32 | f16>,
    /// Windows, one per row.
    cols: Write<f32 | f16>,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "im2col",
    summary: "every window of a batch of images as a row of a matrix",
    wgsl: include_str!("../../../shaders/im2col.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| Threads::Line(Params::from_words(words).taps()),
    variants: &Variant::LINE,
    alternatives: &[],
    tolerance: Tolerance::EXACT,
    cost: |words| {
        let p = Params::from_words(words);
        Cost { flops: 0, bytes: 4 * (count(&p.input()) + p.taps()) }
    },
    reference: |words, operands| reference(Params::from_words(words), Host::new(operands)),
    fast_cpu: None,
    cases,
};

/// The windows of a batch of images, padded with zeros.
///
/// # Errors
/// [`ShapeError`] for a window that does not fit and buffers of another length.
pub fn call(io: Io, window: Window) -> Result<Call, ShapeError> {
    let params = window.params(&KERNEL)?;
    Ok(Check::new(&KERNEL, io.into_slices())
        .len("x", &params.input())?
        .len("cols", &params.patches())?
        .call(params.to_words()))
}

fn reference(p: Params, io: Host<'_>) {
    let [height, width, channels] = [p.height, p.width, p.channels].map(|dim| dim as usize);
    let [kernel_height, kernel_width] = [p.kernel_height, p.kernel_width].map(|dim| dim as usize);
    let [out_height, out_width] = [p.out_height, p.out_width].map(|dim| dim as usize);
    io.cols.par_chunks_mut(kernel_height * kernel_width * channels).enumerate().for_each(|(i, patch)| {
        let (ox, oy, image) = (i % out_width, i / out_width % out_height, i / (out_width * out_height));
        let pixel = |y: usize, x: usize| ((image * height + y) * width + x) * channels;
        for (ky, taps) in patch.chunks_exact_mut(kernel_width * channels).enumerate() {
            // A row of the window that lies within the image is contiguous there too.
            match (p.row(oy, ky), p.column(ox, 0), p.column(ox, kernel_width - 1)) {
                (None, _, _) => taps.fill(0.0),
                (Some(y), Some(x), Some(_)) => taps.copy_from_slice(&io.x[pixel(y, x)..][..kernel_width * channels]),
                (Some(y), _, _) => {
                    for (kx, values) in taps.chunks_exact_mut(channels).enumerate() {
                        match p.column(ox, kx) {
                            Some(x) => values.copy_from_slice(&io.x[pixel(y, x)..][..channels]),
                            None => values.fill(0.0),
                        }
                    }
                }
            }
        }
    });
}

fn cases() -> Vec<Case> {
    CONVOLUTIONS
        .iter()
        .map(|window| {
            let params = cases::params(window, &KERNEL);
            let mut case = Case::named(window.to_string());
            let io = Io {
                x: case.random("x", count(&params.input()) as usize),
                cols: case.output("cols", params.taps() as usize),
            };
            case.finish(call(io, *window))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_worked_by_hand() {
        // A 2x3 image, a 2x2 kernel that steps 1 down and 2 across, one row and one column of padding before it.
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let window = Window {
            batch: 1,
            height: 2,
            width: 3,
            channels: 1,
            kernel_height: 2,
            kernel_width: 2,
            stride_height: 1,
            stride_width: 2,
            pad_top: 1,
            pad_left: 1,
            pad_bottom: 0,
            pad_right: 0,
        };
        let mut cols = [9.0; 16];
        reference(window.params(&KERNEL).unwrap(), Host { x: &x, cols: &mut cols });
        let expected = [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 2.0, 3.0], [0.0, 1.0, 0.0, 4.0], [2.0, 3.0, 5.0, 6.0]];
        assert_eq!(cols, *expected.as_flattened());
    }

    #[test]
    fn a_window_that_does_not_fit_names_the_kernel() {
        let mut case = Case::named("wrong");
        let io = Io { x: case.random("x", 4), cols: case.output("cols", 1) };
        let error = call(io, Window { kernel_height: 9, ..CONVOLUTIONS[0] }).unwrap_err().to_string();
        assert!(error.starts_with("im2col: kernel height 9 is larger than"), "{error}");
    }
}
