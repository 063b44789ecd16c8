//! The way back from windows to images: the gradient of `im2col`.
//!
//! # Formula
//! `dx[b, y, x, c] = Σ cols[(b, oy, ox), (ky, kx, c)]` over the window elements that lie on `(y, x)`, that is
//! `oy*stride_height + ky = y + pad_top` and `ox*stride_width + kx = x + pad_left`, in the order of `(oy, ox)`.
//!
//! # Shapes
//! `cols [batch*out_height*out_width, kernel_height*kernel_width*channels]`,
//! `dx [batch, height, width, channels]`.
//!
//! # Dispatch
//! One thread per element of `dx` gathers from the windows that cover it, so no two threads write one element.
//!
//! # Errors
//! Those of [`Window`], a window of more than 16384 elements, or a buffer of another length.
//!
//! # Source
//! The transpose of im2col; gathering instead of scattering as in Caffe's `col2im_gpu_kernel`.

use crate::contract::prelude::*;
use crate::window::{Params, Window, cases, cases::CONVOLUTIONS, count};

buffers! {
    /// Gradient of the windows, one per row.
    cols: Read<f32 | f16>,
    /// Gradient of the images.
    dx: Write<f32 | f16>,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "col2im",
    summary: "sum of all windows that cover each element of an image: the gradient of im2col",
    wgsl: include_str!("../../../shaders/col2im.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| Threads::Line(count(&Params::from_words(words).input())),
    variants: &Variant::LINE,
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: |words| {
        let p = Params::from_words(words);
        Cost { flops: p.taps(), bytes: 4 * (count(&p.input()) + p.taps()) }
    },
    reference: |words, operands| reference(Params::from_words(words), Host::new(operands)),
    fast_cpu: None,
    cases,
};

/// The gradient of the images of [`im2col`](crate::im2col).
///
/// # Errors
/// [`ShapeError`] for a window that does not fit and buffers of another length.
pub fn call(io: Io, window: Window) -> Result<Call, ShapeError> {
    let params = window.looped_params(&KERNEL)?;
    Ok(Check::new(&KERNEL, io.into_slices())
        .len("cols", &params.patches())?
        .len("dx", &params.input())?
        .call(params.to_words()))
}

/// Scatters each window over its image, as the definition says.
fn reference(p: Params, io: Host<'_>) {
    let [height, width, channels] = [p.height, p.width, p.channels].map(|dim| dim as usize);
    let kernel_width = p.kernel_width as usize;
    let out_width = p.out_width as usize;
    let patch_len = p.kernel_height as usize * kernel_width * channels;
    let image_cols = io.cols.par_chunks_exact(p.out_height as usize * out_width * patch_len);
    io.dx.par_chunks_mut(height * width * channels).zip(image_cols).for_each(|(dx, cols)| {
        let mut wide = vec![0.0f64; dx.len()];
        for (i, patch) in cols.chunks_exact(patch_len).enumerate() {
            for (tap, values) in patch.chunks_exact(channels).enumerate() {
                let (y, x) = (p.row(i / out_width, tap / kernel_width), p.column(i % out_width, tap % kernel_width));
                if let (Some(y), Some(x)) = (y, x) {
                    let sums = &mut wide[(y * width + x) * channels..][..channels];
                    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(*value));
                }
            }
        }
        dx.iter_mut().zip(&wide).for_each(|(dx, wide)| *dx = *wide as f32);
    });
}

fn cases() -> Vec<Case> {
    CONVOLUTIONS
        .iter()
        .map(|window| {
            let params = cases::params(window, &KERNEL);
            let mut case = Case::named(window.to_string());
            let io = Io {
                cols: case.random("cols", params.taps() as usize),
                dx: case.output("dx", count(&params.input()) as usize),
            };
            case.finish(call(io, *window))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_worked_by_hand() {
        // The windows of im2col's test, numbered by their elements: each is added where it was read from.
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
        let cols: Vec<f32> = (1..=16u8).map(f32::from).collect();
        let mut dx = [99.0; 6];
        reference(window.params(&KERNEL).unwrap(), Host { cols: &cols, dx: &mut dx });
        assert_eq!(dx, [4.0 + 10.0, 7.0 + 13.0, 8.0 + 14.0, 12.0, 15.0, 16.0]);
    }

    #[test]
    fn a_window_too_large_for_one_thread_is_refused() {
        let mut case = Case::named("wrong");
        let io = Io { cols: case.random("cols", 1), dx: case.output("dx", 1) };
        let window = Window { height: 129, width: 129, kernel_height: 129, kernel_width: 129, ..CONVOLUTIONS[0] };
        let error = call(io, window).unwrap_err().to_string();
        assert!(error.starts_with("col2im: a window of 129x129 has more than 16384 elements"), "{error}");
    }
}
