//! The maximum of each window, channel by channel.
//!
//! # Formula
//! `y[b, oy, ox, c] = max x[b, oy*stride_height + ky - pad_top, ox*stride_width + kx - pad_left, c]` over the
//! `(ky, kx)` that lie on the image, and `winner = ky*kernel_width + kx` of the first maximum in row-major order.
//! Padding never wins. A NaN in the window wins, the last one if there are several.
//!
//! # Shapes
//! `x [batch, height, width, channels]`, `y` and `winner [batch, out_height, out_width, channels]`.
//!
//! # Dispatch
//! One thread per element of `y`; neighbours read neighbouring channels.
//!
//! # Errors
//! Those of [`Window`], a pad as large as the kernel, a window of more than 16384 elements, or a buffer of
//! another length.
//!
//! # Source
//! The order of winners and the rule for NaN are those of PyTorch's `max_pool2d`.

use crate::contract::prelude::*;
use crate::window::{Params, Window, cases, cases::POOLS, count};

buffers! {
    /// Images.
    x: Read<f32 | f16>,
    /// Maxima.
    y: Write<f32 | f16>,
    /// Position of each maximum within its window, for the gradient.
    winner: Write<u32>,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "max_pool",
    summary: "maximum of each window and its position",
    wgsl: include_str!("../../../shaders/max_pool.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| Threads::Line(count(&Params::from_words(words).output())),
    variants: &Variant::LINE,
    alternatives: &[],
    tolerance: Tolerance::EXACT,
    cost: |words| {
        let p = Params::from_words(words);
        Cost { flops: p.taps(), bytes: 4 * (count(&p.input()) + 2 * count(&p.output())) }
    },
    reference: |words, operands| reference(Params::from_words(words), Host::new(operands)),
    fast_cpu: None,
    cases,
};

/// The maxima of the windows of a batch of images.
///
/// # Errors
/// [`ShapeError`] for a window that does not fit and buffers of another length.
pub fn call(io: Io, window: Window) -> Result<Call, ShapeError> {
    let params = window.pool_params(&KERNEL)?;
    Ok(Check::new(&KERNEL, io.into_slices())
        .len("x", &params.input())?
        .len("y", &params.output())?
        .len("winner", &params.output())?
        .call(params.to_words()))
}

fn reference(p: Params, io: Host<'_>) {
    let [height, width, channels] = [p.height, p.width, p.channels].map(|dim| dim as usize);
    let [kernel_height, kernel_width] = [p.kernel_height, p.kernel_width].map(|dim| dim as usize);
    let [out_height, out_width] = [p.out_height, p.out_width].map(|dim| dim as usize);
    let rows = io.y.par_chunks_mut(out_width * channels).zip(io.winner.par_chunks_mut(out_width * channels));
    rows.enumerate().for_each(|(line, (y_row, winner_row))| {
        let (image, oy) = (line / out_height, line % out_height);
        let pixels = y_row.chunks_exact_mut(channels).zip(winner_row.chunks_exact_mut(channels));
        for (ox, (best, winner)) in pixels.enumerate() {
            let mut first = true;
            for tap in 0..kernel_height * kernel_width {
                let place = (p.row(oy, tap / kernel_width), p.column(ox, tap % kernel_width));
                let (Some(y), Some(x)) = place else { continue };
                let values = &io.x[((image * height + y) * width + x) * channels..][..channels];
                for ((best, winner), value) in best.iter_mut().zip(winner.iter_mut()).zip(values) {
                    // Choices instead of branches, so that the loop over channels is made of vectors.
                    let wins = first | (*value > *best) | value.is_nan();
                    *best = if wins { *value } else { *best };
                    *winner = if wins { tap as u32 } else { *winner };
                }
                first = false;
            }
        }
    });
}

fn cases() -> Vec<Case> {
    let plain = POOLS.iter().map(|window| case_of(window, window.to_string(), &[]));
    let nan = case_of(&POOLS[8], format!("{} with NaN", POOLS[8]), &[0, 100, 101, 500]);
    plain.chain([nan]).collect()
}

/// Values on a coarse grid, so that many windows have two equal maxima; NaN at the places `nan`.
fn case_of(window: &Window, name: String, nan: &[u32]) -> Case {
    let params = cases::params(window, &KERNEL);
    let mut case = Case::named(name);
    let outputs = count(&params.output()) as usize;
    let value = |i: u32| if nan.contains(&i) { f32::NAN } else { (crate::hash::normal(3, 1, i) * 4.0).round() };
    let x = (0..count(&params.input()) as u32).map(value);
    let io =
        Io { x: case.floats("x", x), y: case.output("y", outputs), winner: case.output_integers("winner", outputs) };
    case.finish(call(io, *window))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2x2 windows that overlap by one column over a 2x3 image.
    fn pool(x: [f32; 6], pad: u32) -> (Vec<f32>, Vec<u32>) {
        let window = Window { height: 2, width: 3, kernel_height: 2, kernel_width: 2, pad_left: pad, ..POOLS[0] };
        let params = window.pool_params(&KERNEL).unwrap();
        let (mut y, mut winner) = (vec![9.0; 2 + pad as usize], vec![9; 2 + pad as usize]);
        reference(params, Host { x: &x, y: &mut y, winner: &mut winner });
        (y, winner)
    }

    #[test]
    fn maxima_worked_by_hand() {
        assert_eq!(pool([1.0, 2.0, 3.0, 4.0, 0.0, -1.0], 0), (vec![4.0, 3.0], vec![2, 1]));
        // Equal ones: the first in row-major order wins.
        assert_eq!(pool([5.0; 6], 0), (vec![5.0, 5.0], vec![0, 0]));
    }

    #[test]
    fn padding_never_wins() {
        assert_eq!(pool([-7.0, -2.0, -3.0, -4.0, -6.0, -1.0], 1), (vec![-4.0, -2.0, -1.0], vec![3, 1, 3]));
        assert_eq!(pool([f32::NEG_INFINITY; 6], 1).1, [1, 0, 0]);
    }

    #[test]
    fn a_nan_comes_out_as_nan() {
        let (y, winner) = pool([1.0, 2.0, 9.0, f32::NAN, 8.0, 0.0], 0);
        assert!(y[0].is_nan() && y[1] == 9.0);
        assert_eq!(winner, [2, 1]);
    }

    #[test]
    fn a_window_that_may_hold_only_padding_is_refused() {
        let window = Window { pad_bottom: 1, ..POOLS[0] };
        let error = window.pool_params(&KERNEL).unwrap_err().to_string();
        assert_eq!(error, "max_pool: pads 0 and 1 along the height must be smaller than the kernel height 1");
    }
}
