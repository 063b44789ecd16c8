//! The gradient of a convolution's outputs, as it is bound: of every output, or of the maxima with their winners.

use super::scratch::Scratch;
use super::simd::{load, store};
use super::weights::Rows;
use crate::window::Params;
use pulp::Simd;
use std::ops::Range;

/// Gradient of the outputs in front of the pool.
#[derive(Clone, Copy)]
pub(crate) struct OutputGradient<'a> {
    pub dy: &'a [f32],
    /// Place of each maximum within its window, if `dy` is the gradient of maxima.
    pub winner: Option<&'a [u8]>,
    lines: usize,
    columns: usize,
    pub filters: usize,
}

impl<'a> OutputGradient<'a> {
    pub fn new(p: &Params, filters: u32, dy: &'a [f32], winner: Option<&'a [u32]>) -> Self {
        let [lines, columns] = [p.out_height, p.out_width].map(|dim| dim as usize);
        Self { dy, winner: winner.map(bytemuck::cast_slice), lines, columns, filters: filters as usize }
    }

    /// Lines of maxima of an image.
    pub fn pooled_lines(&self) -> usize {
        self.lines / 2
    }

    /// Maxima of a line.
    pub fn pooled_columns(&self) -> usize {
        self.columns / 2
    }

    /// One row per output of `lines`, counted over all images.
    #[inline(always)]
    pub fn rows<S: Simd>(&self, simd: S, lines: Range<usize>) -> Rows<'a> {
        let line = self.columns * self.filters;
        let Some(winner) = self.winner else {
            return Rows::new::<S>(&self.dy[lines.start * line..lines.end * line], self.filters);
        };
        let stride = self.filters.next_multiple_of(S::F32_LANES);
        let mut rows = Scratch::stale(lines.len() * self.columns * stride);
        let mut words = Scratch::stale(self.pooled_columns() * self.filters);
        for (rows, line) in rows.chunks_exact_mut(self.columns * stride).zip(lines) {
            let (image, oy) = (line / self.lines, line % self.lines);
            let Some(maxima) = self.line_of_maxima(image, oy / 2) else {
                rows.fill(0.0);
                continue;
            };
            let words = bytemuck::cast_slice_mut::<f32, u32>(&mut words);
            words.iter_mut().zip(&winner[maxima.clone()]).for_each(|(word, byte)| *word = u32::from(*byte));
            let (pairs, odd) = rows.split_at_mut(self.pooled_columns() * 2 * stride);
            let maxima = self.dy[maxima].chunks_exact(self.filters).zip(words.chunks_exact(self.filters));
            for (pair, (dy, winner)) in pairs.chunks_exact_mut(2 * stride).zip(maxima) {
                pass_on(simd, dy, winner, oy as u32 % 2 * 2, pair);
            }
            odd.fill(0.0);
        }
        Rows::packed(rows, stride)
    }

    fn line_of_maxima(&self, image: usize, py: usize) -> Option<Range<usize>> {
        let (lines, size) = (self.pooled_lines(), self.pooled_columns() * self.filters);
        let at = (image * lines + py) * size;
        (py < lines).then_some(at..at + size)
    }

    /// The maxima of a window of 2×2, unless it is only part of one.
    #[inline(always)]
    pub fn maxima(&self, image: usize, py: usize, px: usize) -> Option<Range<usize>> {
        let (lines, columns) = (self.pooled_lines(), self.pooled_columns());
        let at = ((image * lines + py) * columns + px) * self.filters;
        (py < lines && px < columns).then_some(at..at + self.filters)
    }
}

/// The gradients of the maxima that `place` won, and of those that its neighbour won.
#[inline(always)]
fn pass_on<S: Simd>(simd: S, dy: &[f32], winner: &[u32], place: u32, pair: &mut [f32]) {
    let (first, second) = pair.split_at_mut(pair.len() / 2);
    let zero = simd.splat_f32s(0.0);
    for at in (0..dy.len()).step_by(S::F32_LANES) {
        let dy = load(simd, dy, at);
        let winner = simd.transmute_u32s_f32s(load(simd, bytemuck::cast_slice(winner), at));
        for (row, place) in [(&mut *first, place), (&mut *second, place + 1)] {
            let won = simd.equal_u32s(winner, simd.splat_u32s(place));
            store(simd, row, at, simd.select_f32s(won, dy, zero));
        }
    }
}
