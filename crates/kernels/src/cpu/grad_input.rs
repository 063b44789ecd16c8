//! The gradient of a convolution's images: tiles of outputs times vectors of a window's elements, added where they belong.

use super::bands::{Bands, Slab, tasks};
use super::gradient::OutputGradient;
use super::scratch::Scratch;
use super::simd::add;
use super::tile::{Tiles, Walk, cover, sums};
use super::weights::Rows;
use super::windows::{Cursor, Pitch, for_each_row, padded, segment};
use super::winners;
use crate::conv2d_grad_input::{Params, cost};
use pulp::{Arch, Simd, WithSimd};
use std::array::from_fn;
use std::ops::Range;

/// Gradient of the images; `x` cuts it off if it is the output of a ReLU.
pub(crate) fn conv2d_grad_input(p: &Params, dy: &[f32], winner: &[u32], weight: &[f32], x: &[f32], dx: &mut [f32]) {
    let winner = (p.pooled == 1).then_some(winner);
    let dz = OutputGradient::new(&p.window(), p.filters, dy, winner);
    let x = (p.relu == 1).then_some(x);
    Arch::new().dispatch(Call { p, dz, weight, x, dx });
}

struct Call<'a> {
    p: &'a Params,
    dz: OutputGradient<'a>,
    weight: &'a [f32],
    x: Option<&'a [f32]>,
    dx: &'a mut [f32],
}

/// Floats of padded gradients that a band may hold: they stay in the second cache.
const MOST_PADDED: usize = 1 << 16;

impl WithSimd for Call<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { p, dz, weight, x, dx } = self;
        let window = &p.window();
        let row = segment(window);
        let pitch = Pitch::covered(window, p.out_height as usize);
        let sparse = p.pooled == 1 && winners::pay_off::<S>(row, p.filters as usize);
        let weights = &if sparse {
            simd.vectorize(winners::Pack { weight, segment: row, filters: p.filters as usize })
        } else {
            simd.vectorize(Pack { weight, segment: row, filters: p.filters as usize })
        };
        // Windows of an image overlap, so a task takes whole images.
        let bands = Bands::new(p.batch as usize, 1, tasks(cost(&p.to_words()).flops), MOST_PADDED / pitch.image);
        let image = Pitch::plain(window).image;
        bands.run(Slab(dx, image), &|images, _, Slab(dx, _)| {
            let x = x.map(|x| &x[images.start * image..images.end * image]);
            simd.vectorize(Band { source: Source { window, dz, weights, sparse, images }, x, dx });
        });
    }
}

struct Pack<'a> {
    weight: &'a [f32],
    segment: usize,
    filters: usize,
}

impl WithSimd for Pack<'_> {
    type Output = Rows<'static>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Rows<'static> {
        Rows::transposed::<S>(self.weight, self.segment, self.filters)
    }
}

struct Band<'a> {
    source: Source<'a>,
    x: Option<&'a [f32]>,
    dx: &'a mut [f32],
}

/// What is scattered over some images.
struct Source<'a> {
    window: &'a crate::window::Params,
    dz: OutputGradient<'a>,
    weights: &'a Rows<'a>,
    sparse: bool,
    images: Range<usize>,
}

impl WithSimd for Band<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { source, x, dx } = self;
        let p = source.window;
        dx.fill(0.0);
        if padded(p) {
            let pitch = Pitch::covered(p, p.out_height as usize);
            let mut sums = Scratch::zeros(source.images.len() * pitch.image);
            source.scatter(simd, pitch, &mut sums);
            for (dx, sums) in dx.chunks_exact_mut(Pitch::plain(p).image).zip(sums.chunks_exact(pitch.image)) {
                for_each_row(p, pitch, 0, |inside, at| dx[at..at + inside.len()].copy_from_slice(&sums[inside]));
            }
        } else {
            source.scatter(simd, Pitch::plain(p), dx);
        }
        cut(x, dx);
    }
}

/// No gradient where the image is not positive.
#[inline(always)]
fn cut(x: Option<&[f32]>, dx: &mut [f32]) {
    for (dx, x) in dx.iter_mut().zip(x.unwrap_or_default()) {
        *dx = if *x <= 0.0 { 0.0 } else { *dx };
    }
}

impl Source<'_> {
    #[inline(always)]
    fn scatter<S: Simd>(&self, simd: S, pitch: Pitch, dx: &mut [f32]) {
        let p = self.window;
        if self.sparse {
            return winners::scatter(simd, p, &self.dz, self.weights, self.images.clone(), pitch, dx);
        }
        let (height, width) = (p.out_height as usize, p.out_width as usize);
        let dz = &self.dz.rows(simd, self.images.start * height..self.images.end * height);
        let (filters, segment) = (self.dz.filters, segment(p));
        let walk = Walk { runs: 1, terms: filters, a_run: 0, a_term: 1, b_run: 0, b_term: self.weights.stride };
        let cursor = Cursor::new(height, width, pitch);
        for (ky, weights) in self.weights.chunks_exact(filters * self.weights.stride).enumerate() {
            let dx = &mut dx[ky * pitch.row..];
            let mut tiles = BandTiles { dz, stride: dz.stride, weights, walk, cursor, segment, dx };
            cover(simd, self.images.len() * height * width, segment, &mut tiles);
        }
    }
}

struct BandTiles<'a> {
    dz: &'a [f32],
    stride: usize,
    weights: &'a [f32],
    walk: Walk,
    cursor: Cursor,
    segment: usize,
    dx: &'a mut [f32],
}

impl<S: Simd> Tiles<S> for BandTiles<'_> {
    #[inline(always)]
    fn tile<const ROWS: usize, const VECTORS: usize>(&mut self, simd: S, row: usize, column: usize) {
        if row == 0 {
            self.cursor.rewind();
        }
        let offsets: [usize; ROWS] = from_fn(|r| (row + r) * self.stride);
        let sums = sums::<S, ROWS, VECTORS>(simd, self.dz, offsets, &self.weights[column..], &self.walk);
        for sums in sums {
            let at = self.cursor.next();
            let dx = &mut self.dx[at..at + self.segment];
            for (v, sum) in sums.into_iter().enumerate() {
                add(simd, dx, column + v * S::F32_LANES, sum);
            }
        }
    }
}
