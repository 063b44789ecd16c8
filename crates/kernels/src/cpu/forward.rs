//! The forward pass of a convolution: tiles of windows times vectors of filters.

use super::bands::{Bands, Slab, tasks};
use super::simd::{load, store};
use super::tile::{Tiles, Walk, cover, cover_fours, sums};
use super::weights::Rows;
use super::windows::{Cursor, Pitch, Windows, segment};
use crate::conv2d::{self, Params};
use crate::convolution::NOBODY;
use pulp::{Arch, Simd, WithSimd};
use std::array::from_fn;
use std::ops::Range;

/// What a forward pass reads.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub p: Params,
    pub x: &'a [f32],
    pub weight: &'a [f32],
    pub bias: &'a [f32],
}

/// A convolution with bias and, if asked for, ReLU.
pub(crate) fn conv2d(inputs: Inputs<'_>, y: &mut [f32]) {
    Arch::new().dispatch(Plain { inputs, y });
}

/// The same with a max pool of 2×2.
pub(crate) fn conv2d_pool(inputs: Inputs<'_>, y: &mut [f32], winner: &mut [u32]) {
    Arch::new().dispatch(Pooled { inputs, y, winner });
}

/// Floats of padded images that a band may copy: they stay in the second cache.
const MOST_PADDED: usize = 1 << 16;

/// Bands of `lines` lines of outputs.
fn bands(p: &Params, lines: u32) -> Bands {
    let flops = conv2d::cost(&p.to_words()).flops;
    let image = Pitch::covered(&p.window(), p.out_height as usize).image;
    Bands::new(p.batch as usize, lines as usize, tasks(flops), MOST_PADDED / image)
}

/// From tap to tap of a window, and from row to row of the weights.
fn walk(p: &Params, pitch: Pitch, stride: usize) -> Walk {
    let terms = segment(&p.window());
    let runs = p.kernel_height as usize;
    Walk { runs, terms, a_run: pitch.row, a_term: 1, b_run: terms * stride, b_term: stride }
}

struct Plain<'a> {
    inputs: Inputs<'a>,
    y: &'a mut [f32],
}

impl WithSimd for Plain<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { inputs, y } = self;
        let p = &inputs.p;
        let weights = &Rows::new::<S>(inputs.weight, p.filters as usize);
        let line = (p.out_width * p.filters) as usize;
        bands(p, p.out_height).run(Slab(y, line), &|images, lines, Slab(y, _)| {
            simd.vectorize(PlainBand { inputs, weights, images, lines, y });
        });
    }
}

struct PlainBand<'a> {
    inputs: Inputs<'a>,
    weights: &'a Rows<'a>,
    images: Range<usize>,
    lines: Range<usize>,
    y: &'a mut [f32],
}

impl WithSimd for PlainBand<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { inputs: Inputs { p, x, bias, .. }, weights, images, lines, y } = self;
        let pixels = images.len() * lines.len() * p.out_width as usize;
        let windows = &Windows::new(&p.window(), x, images, lines.clone());
        let walk = walk(&p, windows.pitch, weights.stride);
        let cursor = Cursor::new(lines.len(), p.out_width as usize, windows.pitch);
        let filters = p.filters as usize;
        let mut tiles = PlainTiles { windows, weights, walk, cursor, bias, relu: p.relu == 1, y };
        cover(simd, pixels, filters, &mut tiles);
    }
}

struct PlainTiles<'a> {
    windows: &'a [f32],
    weights: &'a [f32],
    walk: Walk,
    cursor: Cursor,
    bias: &'a [f32],
    relu: bool,
    y: &'a mut [f32],
}

impl<S: Simd> Tiles<S> for PlainTiles<'_> {
    #[inline(always)]
    fn tile<const ROWS: usize, const VECTORS: usize>(&mut self, simd: S, row: usize, column: usize) {
        if row == 0 {
            self.cursor.rewind();
        }
        let offsets: [usize; ROWS] = from_fn(|_| self.cursor.next());
        let sums = sums::<S, ROWS, VECTORS>(simd, self.windows, offsets, &self.weights[column..], &self.walk);
        let columns: [usize; VECTORS] = from_fn(|v| column + v * S::F32_LANES);
        let bias = columns.map(|column| load(simd, self.bias, column));
        let filters = self.bias.len();
        for (sums, y) in sums.into_iter().zip(self.y[row * filters..].chunks_exact_mut(filters)) {
            for ((sum, bias), column) in sums.into_iter().zip(bias).zip(columns) {
                let z = simd.add_f32s(sum, bias);
                store(simd, y, column, if self.relu { rectified(simd, z) } else { z });
            }
        }
    }
}

struct Pooled<'a> {
    inputs: Inputs<'a>,
    y: &'a mut [f32],
    winner: &'a mut [u32],
}

impl WithSimd for Pooled<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { inputs, y, winner } = self;
        let p = &inputs.p;
        let weights = &Rows::new::<S>(inputs.weight, p.filters as usize);
        let line = (p.out_width / 2 * p.filters) as usize;
        let outputs = (Slab(y, line), Slab(bytemuck::cast_slice_mut(winner), line));
        bands(p, p.out_height / 2).run(outputs, &|images, lines, (Slab(y, _), Slab(winner, _))| {
            simd.vectorize(PooledBand { inputs, weights, images, lines, y, winner });
        });
    }
}

struct PooledBand<'a> {
    inputs: Inputs<'a>,
    weights: &'a Rows<'a>,
    images: Range<usize>,
    /// Of the maxima.
    lines: Range<usize>,
    y: &'a mut [f32],
    winner: &'a mut [u8],
}

impl WithSimd for PooledBand<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { inputs: Inputs { p, x, bias, .. }, weights, images, lines, y, winner } = self;
        let (count, columns) = (lines.len(), p.out_width as usize / 2);
        let pixels = images.len() * count * columns;
        let windows = &Windows::new(&p.window(), x, images, 2 * lines.start..2 * lines.end);
        let walk = walk(&p, windows.pitch, weights.stride);
        let Pitch { image, row, down, right } = windows.pitch;
        let cursor = Cursor::new(count, columns, Pitch { image, row, down: 2 * down, right: 2 * right });
        let places = [0, right, down, down + right];
        let filters = p.filters as usize;
        let mut tiles = PooledTiles { windows, weights, walk, cursor, places, bias, relu: p.relu == 1, y, winner };
        cover_fours(simd, 4 * pixels, filters, &mut tiles);
    }
}

struct PooledTiles<'a> {
    windows: &'a [f32],
    weights: &'a [f32],
    walk: Walk,
    cursor: Cursor,
    /// Distances of a maximum's four windows from its first one.
    places: [usize; 4],
    bias: &'a [f32],
    relu: bool,
    y: &'a mut [f32],
    winner: &'a mut [u8],
}

impl<S: Simd> Tiles<S> for PooledTiles<'_> {
    /// Rows come in fours, the windows of one maximum, so the four never leave the registers.
    #[inline(always)]
    fn tile<const ROWS: usize, const VECTORS: usize>(&mut self, simd: S, row: usize, column: usize) {
        if row == 0 {
            self.cursor.rewind();
        }
        let mut offsets = [0; ROWS];
        for four in offsets.chunks_exact_mut(4) {
            let first = self.cursor.next();
            four.iter_mut().zip(self.places).for_each(|(offset, place)| *offset = first + place);
        }
        let sums = sums::<S, ROWS, VECTORS>(simd, self.windows, offsets, &self.weights[column..], &self.walk);
        let filters = self.bias.len();
        for (four, sums) in sums.chunks_exact(4).enumerate() {
            let at = (row / 4 + four) * filters;
            let (y, winner) = (&mut self.y[at..at + filters], &mut self.winner[at..at + filters]);
            for (v, column) in (column..).step_by(S::F32_LANES).take(VECTORS).enumerate() {
                let bias = load(simd, self.bias, column);
                let (most, place) = maximum(simd, from_fn(|place| sums[place][v]), bias, self.relu);
                store(simd, y, column, most);
                store_bytes::<S>(&mut winner[column..], place);
            }
        }
    }
}

/// Zero where `z` is negative; not a maximum, which may turn a NaN into 0.
#[inline(always)]
fn rectified<S: Simd>(simd: S, z: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    simd.select_f32s(simd.less_than_f32s(z, zero), zero, z)
}

/// The largest of four with the bias on top, and its place; the first if several tie. As in `max_pool`, a NaN wins.
#[inline(always)]
fn maximum<S: Simd>(simd: S, four: [S::f32s; 4], bias: S::f32s, relu: bool) -> (S::f32s, S::u32s) {
    let mut most = simd.add_f32s(four[0], bias);
    let mut winner = simd.splat_u32s(0);
    for (place, sum) in four.into_iter().enumerate().skip(1) {
        let other = simd.add_f32s(sum, bias);
        let is_nan = simd.not_m32s(simd.equal_f32s(other, other));
        let larger = simd.or_m32s(simd.less_than_f32s(most, other), is_nan);
        most = simd.select_f32s(larger, other, most);
        winner = simd.select_u32s(larger, simd.splat_u32s(place as u32), winner);
    }
    if !relu {
        return (most, winner);
    }
    let zero = simd.splat_f32s(0.0);
    let cut = simd.less_than_or_equal_f32s(most, zero);
    (simd.select_f32s(cut, zero, most), simd.select_u32s(cut, simd.splat_u32s(NOBODY), winner))
}

/// As many of `words`' lowest bytes as `to` has room for.
#[inline(always)]
fn store_bytes<S: Simd>(to: &mut [u8], words: S::u32s) {
    const MOST_LANES: usize = 16;
    // Hidden, so that the compiler reads the words back from memory as one vector instead of taking them out of theirs one by
    // one: that took half of the time of a first layer.
    let words = std::hint::black_box(words);
    let words = bytemuck::cast_slice::<S::u32s, u32>(std::slice::from_ref(&words));
    let mut bytes = [0; MOST_LANES];
    bytes.iter_mut().zip(words).for_each(|(byte, word)| *byte = *word as u8);
    match to.get_mut(..S::U32_LANES) {
        Some(whole) => whole.copy_from_slice(&bytes[..S::U32_LANES]),
        None => to.copy_from_slice(&bytes[..to.len()]),
    }
}
