//! The gradient of a convolution's outputs, as it is bound: of every output, or of the maxima with their winners.

use super::scratch::Scratch;
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
    pub fn rows<S: Simd>(&self, lines: Range<usize>) -> Rows<'a> {
        let line = self.columns * self.filters;
        let Some(winner) = self.winner else {
            return Rows::new::<S>(&self.dy[lines.start * line..lines.end * line], self.filters);
        };
        let stride = self.filters.next_multiple_of(S::F32_LANES);
        let mut rows = Scratch::stale(lines.len() * self.columns * stride);
        for (rows, line) in rows.chunks_exact_mut(self.columns * stride).zip(lines) {
            let (image, oy) = (line / self.lines, line % self.lines);
            let place = (oy % 2 * 2) as u8;
            for (px, pair) in rows.chunks_mut(2 * stride).enumerate() {
                match self.maxima(image, oy / 2, px) {
                    Some(maxima) => pass_on(&self.dy[maxima.clone()], &winner[maxima], place, pair),
                    None => pair.fill(0.0),
                }
            }
        }
        Rows::packed(rows, stride)
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
fn pass_on(dy: &[f32], winner: &[u8], place: u8, pair: &mut [f32]) {
    let (first, second) = pair.split_at_mut(pair.len() / 2);
    for (((first, second), dy), winner) in first.iter_mut().zip(second.iter_mut()).zip(dy).zip(winner) {
        *first = if *winner == place { *dy } else { 0.0 };
        *second = if *winner == place + 1 { *dy } else { 0.0 };
    }
    first[dy.len()..].fill(0.0);
    second[dy.len()..].fill(0.0);
}
