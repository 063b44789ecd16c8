//! The gradient of `max_pool`.
//!
//! # Formula
//! `dx[b, y, x, c] = Σ dy[b, oy, ox, c]` over the windows that `(y, x)` won, in the order of `(oy, ox)`.
//!
//! # Shapes
//! `winner` and `dy [batch, out_height, out_width, channels]`, `dx [batch, height, width, channels]`.
//!
//! # Dispatch
//! One thread per element of `dx` asks the windows that cover it, so windows may overlap without atomics.
//!
//! # Errors
//! Those of [`max_pool`](crate::max_pool), or a buffer of another length.
//!
//! # Source
//! The transpose of the selection that `max_pool` made.

use crate::contract::prelude::*;
use crate::window::{Params, Window, cases, cases::POOLS, count};

buffers! {
    /// Position of each maximum within its window.
    winner: Read<u32>,
    /// Gradient of the maxima.
    dy: Read<f32 | f16>,
    /// Gradient of the images.
    dx: Write<f32 | f16>,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "max_pool_grad",
    summary: "gradient of each window's maximum, at the element that won",
    wgsl: include_str!("../../../shaders/max_pool_grad.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| Threads::Line(count(&Params::from_words(words).input())),
    variants: &Variant::LINE,
    alternatives: &[],
    tolerance: Tolerance::ROUNDED,
    cost: |words| {
        let p = Params::from_words(words);
        Cost { flops: p.taps(), bytes: 4 * (count(&p.input()) + 2 * count(&p.output())) }
    },
    reference: |words, operands| reference(Params::from_words(words), Host::new(operands)),
    fast_cpu: None,
    cases,
};

/// The gradient of the images of [`max_pool`](crate::max_pool).
///
/// # Errors
/// [`ShapeError`] for a window that does not fit and buffers of another length.
pub fn call(io: Io, window: Window) -> Result<Call, ShapeError> {
    let params = window.pool_params(&KERNEL)?;
    Ok(Check::new(&KERNEL, io.into_slices())
        .len("winner", &params.output())?
        .len("dy", &params.output())?
        .len("dx", &params.input())?
        .call(params.to_words()))
}

/// Scatters each gradient to its winner, as the definition says.
fn reference(p: Params, io: Host<'_>) {
    let [width, channels, kernel_width] = [p.width, p.channels, p.kernel_width].map(|dim| dim as usize);
    let out_width = p.out_width as usize;
    let out_len = p.out_height as usize * out_width * channels;
    let outputs = io.dy.par_chunks(out_len).zip(io.winner.par_chunks(out_len));
    io.dx.par_chunks_mut(p.height as usize * width * channels).zip(outputs).for_each(|(dx, (dy, winner))| {
        dx.fill(0.0);
        let windows = dy.chunks_exact(channels).zip(winner.chunks_exact(channels)).enumerate();
        for (window, (dy, winner)) in windows {
            let (ox, oy) = (window % out_width, window / out_width);
            for (channel, (dy, winner)) in dy.iter().zip(winner).enumerate() {
                let (ky, kx) = (*winner as usize / kernel_width, *winner as usize % kernel_width);
                if let (Some(y), Some(x)) = (p.row(oy, ky), p.column(ox, kx)) {
                    dx[(y * width + x) * channels + channel] += dy;
                }
            }
        }
    });
}

fn cases() -> Vec<Case> {
    POOLS
        .iter()
        .map(|window| {
            let params = cases::params(window, &KERNEL);
            let outputs = count(&params.output()) as u32;
            let mut case = Case::named(window.to_string());
            let area = params.kernel_height * params.kernel_width;
            let io = Io {
                winner: case.integers("winner", (0..outputs).map(|i| crate::hash::bits(11, 2, i) % area)),
                dy: case.random("dy", outputs as usize),
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
    fn gradients_worked_by_hand() {
        // 2x2 windows that overlap by one column over a 2x3 image; both chose the middle of the top row.
        let window = Window { height: 2, width: 3, kernel_height: 2, kernel_width: 2, ..POOLS[0] };
        let mut dx = [9.0; 6];
        let params = window.pool_params(&KERNEL).unwrap();
        reference(params, Host { winner: &[1, 0], dy: &[10.0, 5.0], dx: &mut dx });
        assert_eq!(dx, [0.0, 15.0, 0.0, 0.0, 0.0, 0.0]);
        reference(params, Host { winner: &[2, 3], dy: &[10.0, 5.0], dx: &mut dx });
        assert_eq!(dx, [0.0, 0.0, 0.0, 10.0, 0.0, 5.0]);
    }
}
