//! What is bound by memory rather than by arithmetic: plain loops in f32, which the compiler turns into vectors of
//! whatever length the processor has.

use super::bands::tasks;
use crate::state::StepState;
use crate::{adam, column_sum, gather_batch};
use pulp::Arch;
use rayon::prelude::*;

/// Arithmetic that takes as long as moving one element between the second cache and the registers.
const FLOPS_PER_ELEMENT: u64 = 16;

/// Buffers of [`adam`].
pub(crate) struct AdamBuffers<'a> {
    pub grad: &'a [f32],
    pub param: &'a mut [f32],
    pub m: &'a mut [f32],
    pub v: &'a mut [f32],
}

/// Adam's update. Quotients by the same number become products, so that a vector waits for one quotient only.
pub(crate) fn adam(p: &adam::Params, state: &StepState, io: AdamBuffers<'_>) {
    let AdamBuffers { grad, param, m, v } = io;
    let [beta1, beta2] = [p.beta1, p.beta2].map(f64::from);
    let loss_scale = f64::from(p.loss_scale);
    let rest1 = ((1.0 - beta1) / loss_scale) as f32;
    let rest2 = ((1.0 - beta2) / (loss_scale * loss_scale)) as f32;
    let mean_scale = (f64::from(state.learning_rate) / (f64::from(state.beta1_gap) + (1.0 - beta1))) as f32;
    let square_scale = (1.0 / (f64::from(state.beta2_gap) + (1.0 - beta2))) as f32;
    let kept = (1.0 - f64::from(state.learning_rate) * f64::from(p.weight_decay)) as f32;
    let update = |grad: &[f32], param: &mut [f32], m: &mut [f32], v: &mut [f32]| {
        Arch::new().dispatch(|| {
            for (((grad, param), m), v) in grad.iter().zip(param.iter_mut()).zip(m.iter_mut()).zip(v.iter_mut()) {
                *m = p.beta1 * *m + rest1 * grad;
                *v = p.beta2 * *v + rest2 * grad * grad;
                *param = kept * *param - mean_scale * *m / ((square_scale * *v).sqrt() + p.epsilon);
            }
        });
    };
    let size = grad.len().div_ceil(tasks(4 * FLOPS_PER_ELEMENT * grad.len() as u64)).next_multiple_of(64);
    if size >= grad.len() {
        return update(grad, param, m, v);
    }
    let chunks = (grad.par_chunks(size), param.par_chunks_mut(size), m.par_chunks_mut(size), v.par_chunks_mut(size));
    chunks.into_par_iter().for_each(|(grad, param, m, v)| update(grad, param, m, v));
}

/// Sums of columns, a strip of them at a time: the sums stay in the first cache while the rows go by.
pub(crate) fn column_sum(p: &column_sum::Params, x: &[f32], y: &mut [f32]) {
    const STRIP: usize = 1024;
    let (rows, columns) = (p.rows as usize, p.columns as usize);
    let share = rows.div_ceil(p.splits as usize);
    let strip = |split: usize, at: usize, sums: &mut [f32]| {
        let first = (split * share).min(rows);
        let last = (first + share).min(rows);
        Arch::new().dispatch(|| {
            sums.fill(0.0);
            for row in first..last {
                let x = &x[row * columns + at * STRIP..][..sums.len()];
                sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
            }
        });
    };
    if tasks(FLOPS_PER_ELEMENT * x.len() as u64) == 1 {
        for (split, y) in y.chunks_mut(columns).enumerate() {
            y.chunks_mut(STRIP).enumerate().for_each(|(at, sums)| strip(split, at, sums));
        }
    } else {
        y.par_chunks_mut(columns).enumerate().for_each(|(split, y)| {
            y.par_chunks_mut(STRIP).enumerate().for_each(|(at, sums)| strip(split, at, sums));
        });
    }
}

/// Rows of floats from rows of bytes; `place` says where the bytes of a row are, or none for zeros; nothing leaves it as it is.
pub(crate) fn gather(
    p: &gather_batch::Params,
    images: &[u32],
    place: impl Fn(usize) -> Option<Option<usize>> + Sync,
    x: &mut [f32],
) {
    let size = p.size as usize;
    let images = bytemuck::cast_slice::<u32, u8>(images);
    let gather_row = |(row, pixels): (usize, &mut [f32])| {
        let bytes = match place(row) {
            Some(Some(place)) => &images[place * size..][..size],
            Some(None) => return pixels.fill(0.0),
            None => return,
        };
        Arch::new().dispatch(|| {
            pixels.iter_mut().zip(bytes).for_each(|(pixel, byte)| *pixel = f32::from(*byte) * p.scale + p.shift);
        });
    };
    if tasks(FLOPS_PER_ELEMENT * x.len() as u64) == 1 {
        x.chunks_mut(size).enumerate().for_each(gather_row);
    } else {
        x.par_chunks_mut(size).enumerate().for_each(gather_row);
    }
}
