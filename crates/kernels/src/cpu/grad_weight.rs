//! The gradient of a convolution's weights: tiles of weights times vectors of filters, summed over outputs.

use super::bands::tasks;
use super::gradient::OutputGradient;
use super::simd::add;
use super::tile::{Tiles, Walk, cover, sums};
use super::windows::{Windows, padded, segment};
use super::winners;
use crate::conv2d_grad_weight::{Params, cost, share};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::array::from_fn;
use std::ops::Range;

/// Gradient of weights and bias, share by share.
pub(crate) fn conv2d_grad_weight(p: &Params, x: &[f32], dy: &[f32], winner: &[u32], grad: &mut [f32]) {
    let winner = (p.pooled == 1).then_some(winner);
    let dz = OutputGradient::new(&p.window(), p.filters, dy, winner);
    Arch::new().dispatch(Call { p, x, dz, grad });
}

struct Call<'a> {
    p: &'a Params,
    x: &'a [f32],
    dz: OutputGradient<'a>,
    grad: &'a mut [f32],
}

impl WithSimd for Call<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { p, x, dz, grad } = self;
        let window = &p.window();
        let filters = p.filters as usize;
        let (row, height) = (segment(window), p.out_height as usize);
        let rows = row * p.kernel_height as usize;
        // Shares are tasks, and if they are few, so are blocks of the weights' rows.
        let (splits, tasks) = (p.splits as usize, tasks(cost(&p.to_words()).flops));
        let sparse = p.pooled == 1 && winners::pay_off::<S>(row, filters);
        let block = match tasks.div_ceil(splits) {
            1 => rows,
            _ if sparse => row,
            blocks => rows.div_ceil(blocks).next_multiple_of(12).min(rows),
        };
        let one_share = |(split, grad): (usize, &mut [f32])| {
            let lines = share(p, split);
            let (weights, rest) = grad.split_at_mut(rows * filters);
            let bias_at = rest.len() - filters;
            rest[..bias_at].fill(0.0);
            simd.vectorize(Bias { height, dz, lines: lines.clone(), bias: &mut rest[bias_at..] });
            let one_block = |(at, weights): (usize, &mut [f32])| {
                let rows = at * block..at * block + weights.len() / filters;
                let block = Block { window, x, dz, lines: lines.clone(), rows, weights };
                if sparse { simd.vectorize(winners::GradWeight(block)) } else { simd.vectorize(block) }
            };
            if block == rows {
                one_block((0, weights));
            } else {
                weights.par_chunks_mut(block * filters).enumerate().for_each(one_block);
            }
        };
        let len = p.bias_offset as usize + filters;
        if tasks == 1 {
            grad.chunks_mut(len).enumerate().for_each(one_share);
        } else {
            grad.par_chunks_mut(len).with_min_len((splits / tasks).max(1)).enumerate().for_each(one_share);
        }
    }
}

/// The gradient of the bias: the sum over a share's lines.
struct Bias<'a> {
    height: usize,
    dz: OutputGradient<'a>,
    lines: Range<usize>,
    bias: &'a mut [f32],
}

impl WithSimd for Bias<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { height, dz, lines, bias } = self;
        bias.fill(0.0);
        if dz.winner.is_some() {
            return winners::add_to_bias(&dz, height, &lines, bias);
        }
        let rows = dz.rows(simd, lines);
        for row in rows.chunks_exact(rows.stride) {
            bias.iter_mut().zip(row).for_each(|(sum, dz)| *sum += dz);
        }
    }
}

/// Some rows of the weights' gradient, over a share's lines.
pub(crate) struct Block<'a> {
    pub window: &'a crate::window::Params,
    pub x: &'a [f32],
    pub dz: OutputGradient<'a>,
    /// Counted over all images.
    pub lines: Range<usize>,
    pub rows: Range<usize>,
    pub weights: &'a mut [f32],
}

/// Outputs of a line below which a walk along lines is so short that one along images is better.
const SHORT_LINE: usize = 8;

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.weights.fill(0.0);
        if (self.window.out_width as usize) < SHORT_LINE && !padded(self.window) {
            self.along_images(simd);
        } else {
            self.along_lines(simd);
        }
    }
}

impl Block<'_> {
    #[inline(always)]
    fn along_lines<S: Simd>(self, simd: S) {
        let height = self.window.out_height as usize;
        let columns = self.window.out_width as usize;
        for image in self.images() {
            let lines = self.lines_of(image);
            let dz = &self.dz.rows(simd, image * height + lines.start..image * height + lines.end);
            let windows = &Windows::new(self.window, self.x, image..image + 1, lines.clone());
            let (pitch, stride) = (windows.pitch, dz.stride);
            let walk = Walk {
                runs: lines.len(),
                terms: columns,
                a_run: pitch.down,
                a_term: pitch.right,
                b_run: columns * stride,
                b_term: stride,
            };
            let (first, segment) = (self.rows.start, segment(self.window));
            let mut tiles = BlockTiles {
                windows,
                dz,
                walk,
                first,
                segment,
                row: pitch.row,
                filters: self.dz.filters,
                weights: &mut *self.weights,
            };
            cover(simd, self.rows.len(), self.dz.filters, &mut tiles);
        }
    }

    /// Every output of an image in turn, over all images.
    #[inline(always)]
    fn along_images<S: Simd>(self, simd: S) {
        let height = self.window.out_height as usize;
        let columns = self.window.out_width as usize;
        let dz = &self.dz.rows(simd, self.lines.clone());
        let images = self.images();
        let windows = &Windows::new(self.window, self.x, images.clone(), 0..height);
        let (pitch, stride) = (windows.pitch, dz.stride);
        for oy in 0..height {
            let mut with_line = images.clone().filter(|image| self.lines.contains(&(image * height + oy)));
            let Some(first) = with_line.next() else { continue };
            let walk = Walk {
                runs: columns,
                terms: 1 + with_line.count(),
                a_run: pitch.right,
                a_term: pitch.image,
                b_run: stride,
                b_term: height * columns * stride,
            };
            let windows = &windows[(first - images.start) * pitch.image + oy * pitch.down..];
            let dz = &dz[(first * height + oy - self.lines.start) * columns * stride..];
            let (first, segment) = (self.rows.start, segment(self.window));
            let mut tiles = BlockTiles {
                windows,
                dz,
                walk,
                first,
                segment,
                row: pitch.row,
                filters: self.dz.filters,
                weights: &mut *self.weights,
            };
            cover(simd, self.rows.len(), self.dz.filters, &mut tiles);
        }
    }

    /// Images that have lines in the share.
    pub fn images(&self) -> Range<usize> {
        images_of(&self.lines, self.window.out_height as usize)
    }

    /// The share's lines of an image.
    pub fn lines_of(&self, image: usize) -> Range<usize> {
        lines_of(&self.lines, self.window.out_height as usize, image)
    }
}

/// Images of `height` lines that have some of `lines`.
pub(crate) fn images_of(lines: &Range<usize>, height: usize) -> Range<usize> {
    if lines.is_empty() { 0..0 } else { lines.start / height..lines.end.div_ceil(height) }
}

/// Those of `lines` that are of `image`, counted within it.
pub(crate) fn lines_of(lines: &Range<usize>, height: usize, image: usize) -> Range<usize> {
    let first = image * height;
    lines.start.saturating_sub(first)..(lines.end - first).min(height)
}

struct BlockTiles<'a> {
    windows: &'a [f32],
    dz: &'a [f32],
    walk: Walk,
    /// Row of the weights that the block begins with.
    first: usize,
    /// Rows of the weights that are neighbours in the images, too.
    segment: usize,
    /// Distance of the images' rows.
    row: usize,
    filters: usize,
    weights: &'a mut [f32],
}

impl<S: Simd> Tiles<S> for BlockTiles<'_> {
    #[inline(always)]
    fn tile<const ROWS: usize, const VECTORS: usize>(&mut self, simd: S, row: usize, column: usize) {
        let mut ky = (self.first + row) / self.segment;
        let mut rest = (self.first + row) % self.segment;
        let offsets: [usize; ROWS] = from_fn(|_| {
            let offset = ky * self.row + rest;
            rest += 1;
            if rest == self.segment {
                (ky, rest) = (ky + 1, 0);
            }
            offset
        });
        let sums = sums::<S, ROWS, VECTORS>(simd, self.windows, offsets, &self.dz[column..], &self.walk);
        for (sums, weights) in sums.into_iter().zip(self.weights[row * self.filters..].chunks_exact_mut(self.filters)) {
            for (v, sum) in sums.into_iter().enumerate() {
                add(simd, weights, column + v * S::F32_LANES, sum);
            }
        }
    }
}
