//! The mean of each window, channel by channel.
//!
//! # Formula
//! `y[b, oy, ox, c]` is the mean of `x[b, oy*stride_height + ky - pad_top, ox*stride_width + kx - pad_left, c]`
//! over the `(ky, kx)` that lie on the image: padding counts neither above nor below the fraction line.
//!
//! # Shapes
//! `x [batch, height, width, channels]`, `y [batch, out_height, out_width, channels]`.
//!
//! # Dispatch
//! One thread per element of `y`; neighbours read neighbouring channels.
//!
//! # Errors
//! Those of [`Window`], a pad as large as the kernel, a window of more than 16384 elements, or a buffer of
//! another length.
//!
//! # Source
//! The divisor is that of Keras' `AveragePooling2D` and of PyTorch's `count_include_pad=False`.

use crate::contract::prelude::*;
use crate::window::{Params, Window, cases, cases::POOLS, count};

buffers! {
    /// Images.
    x: Read<f32 | f16>,
    /// Means.
    y: Write<f32 | f16>,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "avg_pool",
    summary: "mean of each window",
    wgsl: include_str!("../../../shaders/avg_pool.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| Threads::Line(count(&Params::from_words(words).output())),
    variants: &Variant::LINE,
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: |words| {
        let p = Params::from_words(words);
        Cost { flops: p.taps(), bytes: 4 * (count(&p.input()) + count(&p.output())) }
    },
    reference: |words, operands| reference(Params::from_words(words), Host::new(operands)),
    fast_cpu: None,
    cases,
};

/// The means of the windows of a batch of images.
///
/// # Errors
/// [`ShapeError`] for a window that does not fit and buffers of another length.
pub fn call(io: Io, window: Window) -> Result<Call, ShapeError> {
    let params = window.pool_params(&KERNEL)?;
    Ok(Check::new(&KERNEL, io.into_slices())
        .len("x", &params.input())?
        .len("y", &params.output())?
        .call(params.to_words()))
}

fn reference(p: Params, io: Host<'_>) {
    let [height, width, channels] = [p.height, p.width, p.channels].map(|dim| dim as usize);
    let [kernel_height, kernel_width] = [p.kernel_height, p.kernel_width].map(|dim| dim as usize);
    let [out_height, out_width] = [p.out_height, p.out_width].map(|dim| dim as usize);
    io.y.par_chunks_mut(out_width * channels).enumerate().for_each(|(line, y_row)| {
        let (image, oy) = (line / out_height, line % out_height);
        let mut sums = vec![0.0f64; channels];
        for (ox, means) in y_row.chunks_exact_mut(channels).enumerate() {
            sums.fill(0.0);
            let mut held = 0.0;
            for tap in 0..kernel_height * kernel_width {
                let place = (p.row(oy, tap / kernel_width), p.column(ox, tap % kernel_width));
                let (Some(y), Some(x)) = place else { continue };
                let values = &io.x[((image * height + y) * width + x) * channels..][..channels];
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(*value));
                held += 1.0;
            }
            means.iter_mut().zip(&sums).for_each(|(mean, sum)| *mean = (*sum / held) as f32);
        }
    });
}

fn cases() -> Vec<Case> {
    POOLS
        .iter()
        .map(|window| {
            let params = cases::params(window, &KERNEL);
            let mut case = Case::named(window.to_string());
            let io = Io {
                x: case.random("x", count(&params.input()) as usize),
                y: case.output("y", count(&params.output()) as usize),
            };
            case.finish(call(io, *window))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_worked_by_hand() {
        // 2x2 windows, one column apart, over a 2x2 image with a column of padding on its left.
        let window = Window { height: 2, width: 2, kernel_height: 2, kernel_width: 2, pad_left: 1, ..POOLS[0] };
        let mut y = [9.0; 2];
        reference(window.pool_params(&KERNEL).unwrap(), Host { x: &[1.0, 2.0, 3.0, 6.0], y: &mut y });
        assert_eq!(y, [2.0, 3.0]);
    }
}
