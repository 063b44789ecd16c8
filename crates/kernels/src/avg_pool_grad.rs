//! The gradient of `avg_pool`.
//!
//! # Formula
//! `dx[b, y, x, c] = Σ dy[b, oy, ox, c] / held(oy, ox)` over the windows that cover `(y, x)`, in the order of
//! `(oy, ox)`, where `held` counts the elements of a window that lie on the image.
//!
//! # Shapes
//! `dy [batch, out_height, out_width, channels]`, `dx [batch, height, width, channels]`.
//!
//! # Dispatch
//! One thread per element of `dx` gathers from the windows that cover it, so no two threads write one element.
//!
//! # Errors
//! Those of [`avg_pool`](crate::avg_pool), or a buffer of another length.
//!
//! # Source
//! The transpose of `avg_pool`.

use crate::contract::prelude::*;
use crate::window::{Params, Window, cases, cases::POOLS, count};

buffers! {
    /// Gradient of the means.
    dy: Read<f32 | f16>,
    /// Gradient of the images.
    dx: Write<f32 | f16>,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "avg_pool_grad",
    summary: "gradient of each window's mean, spread over its elements",
    wgsl: include_str!("../../../shaders/avg_pool_grad.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| Threads::Line(count(&Params::from_words(words).input())),
    variants: &Variant::LINE,
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: |words| {
        let p = Params::from_words(words);
        Cost { flops: 2 * p.taps(), bytes: 4 * (count(&p.input()) + count(&p.output())) }
    },
    reference: |words, operands| reference(Params::from_words(words), Host::new(operands)),
    fast_cpu: None,
    cases,
};

/// The gradient of the images of [`avg_pool`](crate::avg_pool).
///
/// # Errors
/// [`ShapeError`] for a window that does not fit and buffers of another length.
pub fn call(io: Io, window: Window) -> Result<Call, ShapeError> {
    let params = window.pool_params(&KERNEL)?;
    Ok(Check::new(&KERNEL, io.into_slices())
        .len("dy", &params.output())?
        .len("dx", &params.input())?
        .call(params.to_words()))
}

/// Spreads each gradient over its window, as the definition says.
fn reference(p: Params, io: Host<'_>) {
    let [width, channels] = [p.width, p.channels].map(|dim| dim as usize);
    let [kernel_height, kernel_width] = [p.kernel_height, p.kernel_width].map(|dim| dim as usize);
    let out_width = p.out_width as usize;
    let image_dy = io.dy.par_chunks(p.out_height as usize * out_width * channels);
    io.dx.par_chunks_mut(p.height as usize * width * channels).zip(image_dy).for_each(|(dx, dy)| {
        let mut wide = vec![0.0f64; dx.len()];
        for (i, dy_pixel) in dy.chunks_exact(channels).enumerate() {
            let rows: Vec<usize> = (0..kernel_height).filter_map(|ky| p.row(i / out_width, ky)).collect();
            let columns: Vec<usize> = (0..kernel_width).filter_map(|kx| p.column(i % out_width, kx)).collect();
            let held = (rows.len() * columns.len()) as f64;
            for (y, x) in rows.iter().flat_map(|y| columns.iter().map(move |x| (y, x))) {
                let sums = &mut wide[(y * width + x) * channels..][..channels];
                sums.iter_mut().zip(dy_pixel).for_each(|(sum, dy)| *sum += f64::from(*dy) / held);
            }
        }
        dx.iter_mut().zip(&wide).for_each(|(dx, wide)| *dx = *wide as f32);
    });
}

fn cases() -> Vec<Case> {
    POOLS
        .iter()
        .map(|window| {
            let params = cases::params(window, &KERNEL);
            let mut case = Case::named(window.to_string());
            let io = Io {
                dy: case.random("dy", count(&params.output()) as usize),
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
        // The windows of avg_pool's test: the first holds the left column, the second the whole image.
        let window = Window { height: 2, width: 2, kernel_height: 2, kernel_width: 2, pad_left: 1, ..POOLS[0] };
        let mut dx = [9.0; 4];
        reference(window.pool_params(&KERNEL).unwrap(), Host { dy: &[6.0, 8.0], dx: &mut dx });
        assert_eq!(dx, [5.0, 2.0, 5.0, 2.0]);
    }
}
