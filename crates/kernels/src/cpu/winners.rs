//! Gradients through a max pool touch one output of four: the winner. These ways skip the other three.
//!
//! Vectors run along the windows instead of along the filters, because each filter has a winner of its own.

use super::grad_weight::{Block, images_of, lines_of};
use super::gradient::OutputGradient;
use super::scratch::Scratch;
use super::starts::Starts;
use super::weights::{Rows, transpose};
use super::windows::{Pitch, Windows, segment};
use crate::window::Params;
use pulp::{Simd, WithSimd};
use std::array::from_fn;
use std::ops::Range;

/// Whether windows are wide enough for this way: their rows must fill vectors, and a filter's number 12 bits.
pub(crate) fn pay_off<S: Simd>(segment: usize, filters: usize) -> bool {
    segment >= S::F32_LANES && filters < 1 << 12
}

/// Lines of maxima over some lines of an image, and which of the four places lie on those lines, a bit for each.
fn pairs(dz: &OutputGradient<'_>, lines: &Range<usize>) -> impl Iterator<Item = (usize, u32)> + use<> {
    let (first, last) = (lines.start, lines.end);
    (first / 2..last.div_ceil(2).min(dz.pooled_lines())).map(move |pair| {
        let upper = if first <= 2 * pair { 0b0011 } else { 0 };
        let lower = if 2 * pair + 1 < last { 0b1100 } else { 0 };
        (pair, upper | lower)
    })
}

/// Adds the gradients of `lines` to `bias`.
#[inline(always)]
pub(crate) fn add_to_bias(dz: &OutputGradient<'_>, height: usize, lines: &Range<usize>, bias: &mut [f32]) {
    let Some(winner) = dz.winner else { return };
    for image in images_of(lines, height) {
        for (pair, places) in pairs(dz, &lines_of(lines, height, image)) {
            for maxima in (0..dz.pooled_columns()).filter_map(|column| dz.maxima(image, pair, column)) {
                for ((sum, dy), winner) in bias.iter_mut().zip(&dz.dy[maxima.clone()]).zip(&winner[maxima]) {
                    *sum += if places >> winner & 1 == 1 { *dy } else { 0.0 };
                }
            }
        }
    }
}

/// Rows of windows cut into chunks of a few vectors. The last chunk is moved back, so that it ends with the row.
#[derive(Clone, Copy)]
struct Chunks {
    segment: usize,
    /// Elements of a chunk.
    len: usize,
    vectors: usize,
}

impl Chunks {
    fn new<S: Simd>(segment: usize) -> Self {
        let fitting = [6, 4, 3, 2, 1].into_iter().filter(|vectors| vectors * S::F32_LANES <= segment);
        // Two vectors are what a chunk costs besides its own.
        let vectors = fitting.min_by_key(|vectors| segment.div_ceil(vectors * S::F32_LANES) * (vectors + 2));
        let vectors = vectors.unwrap_or(1);
        Self { segment, len: vectors * S::F32_LANES, vectors }
    }

    fn count(&self) -> usize {
        self.segment.div_ceil(self.len)
    }

    /// Where chunk `at` begins.
    fn start(&self, at: usize) -> usize {
        (at * self.len).min(self.segment - self.len)
    }

    /// Elements of chunk `at` that belong to the one before it, too.
    fn overlap(&self, at: usize) -> usize {
        at * self.len - self.start(at)
    }
}

/// Calls a function with the number of a chunk's vectors as a constant.
macro_rules! with_vectors {
    ($vectors:expr, $name:ident::<$S:ident>($($argument:expr),* $(,)?)) => {
        match $vectors {
            6 => $name::<$S, 6>($($argument),*),
            4 => $name::<$S, 4>($($argument),*),
            3 => $name::<$S, 3>($($argument),*),
            2 => $name::<$S, 2>($($argument),*),
            _ => $name::<$S, 1>($($argument),*),
        }
    };
}

/// The gradient of whole rows of windows, of all filters.
pub(crate) struct GradWeight<'a>(pub Block<'a>);

impl WithSimd for GradWeight<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Block { window, x, dz, lines, rows, weights } = self.0;
        let (height, filters, segment) = (window.out_height as usize, dz.filters, segment(window));
        let chunks = Chunks::new::<S>(segment);
        let size = filters * chunks.len;
        let mut sums = Scratch::zeros(rows.len() / segment * chunks.count() * size);
        for image in images_of(&lines, height) {
            let Some((windows, row, winners)) = Winners::new(window, x, &dz, image, &lines_of(&lines, height, image))
            else {
                continue;
            };
            for (at, sums) in sums.chunks_exact_mut(size).enumerate() {
                let ky = rows.start / segment + at / chunks.count();
                let windows = &windows[ky * row + chunks.start(at % chunks.count())..];
                with_vectors!(chunks.vectors, add_windows::<S>(simd, windows, &winners, filters, sums));
            }
        }
        for (at, sums) in sums.chunks_exact(size).enumerate() {
            let row = at / chunks.count() * segment + chunks.start(at % chunks.count());
            transpose(sums, filters, chunks.len, &mut weights[row * filters..], filters);
        }
    }
}

/// For every maximum of an image its gradient and where the window of its winner begins.
struct Winners {
    gradients: Scratch,
    starts: Starts,
}

impl Winners {
    /// Also the image's windows, and the distance of its rows; none if no whole window of 2×2 is among `lines`.
    #[inline(always)]
    fn new<'x>(
        window: &Params,
        x: &'x [f32],
        dz: &OutputGradient<'_>,
        image: usize,
        lines: &Range<usize>,
    ) -> Option<(Windows<'x>, usize, Self)> {
        let winner = dz.winner?;
        let (first, _) = pairs(dz, lines).next()?;
        let count = pairs(dz, lines).count();
        let windows = Windows::new(window, x, image..image + 1, 2 * first..2 * (first + count));
        let Pitch { row, down, right, .. } = windows.pitch;
        let columns = dz.pooled_columns();
        let mut gradients = Scratch::stale(count * columns * dz.filters);
        let mut starts = Scratch::stale(gradients.len());
        let places = pairs(dz, lines).flat_map(|(pair, places)| (0..columns).map(move |column| (pair, column, places)));
        let pixels = gradients.chunks_exact_mut(dz.filters).zip(starts.chunks_exact_mut(dz.filters));
        for ((pair, column, places), (gradients, starts)) in places.zip(pixels) {
            let starts = bytemuck::cast_slice_mut::<f32, u32>(starts);
            let Some(maxima) = dz.maxima(image, pair, column) else {
                gradients.fill(0.0);
                starts.fill(0);
                continue;
            };
            let start = (pair - first) * 2 * down + column * 2 * right;
            let (dy, winner) = (&dz.dy[maxima.clone()], &winner[maxima]);
            for (((gradient, at), dy), winner) in gradients.iter_mut().zip(starts).zip(dy).zip(winner) {
                let winner = u32::from(*winner);
                *gradient = if places >> winner & 1 == 1 { *dy } else { 0.0 };
                *at = start as u32 + (winner & 1) * right as u32 + (winner >> 1 & 1) * down as u32;
            }
        }
        Some((windows, row, Self { gradients, starts: Starts::new(starts) }))
    }
}

/// Adds to each filter's sums the windows of its winners times their gradients; two filters at a time, for more sums
/// than one has.
#[inline(always)]
fn add_windows<S: Simd, const VECTORS: usize>(
    simd: S,
    windows: &[f32],
    winners: &Winners,
    filters: usize,
    sums: &mut [f32],
) {
    const PAIR: usize = 2;
    let sums = S::as_mut_simd_f32s(sums).0;
    let (starts, furthest) = (winners.starts.all(), winners.starts.furthest());
    assert!(furthest.saturating_add(VECTORS * S::F32_LANES) <= windows.len(), "a window reaches beyond the images");
    for (pair, sums) in sums.chunks_exact_mut(PAIR * VECTORS).enumerate() {
        let mut held: [[S::f32s; VECTORS]; PAIR] = from_fn(|f| from_fn(|v| sums[f * VECTORS + v]));
        let pixels = winners.gradients.chunks_exact(filters).zip(starts.chunks_exact(filters));
        for (gradients, starts) in pixels {
            for (f, held) in held.iter_mut().enumerate() {
                let gradient = simd.splat_f32s(gradients[pair * PAIR + f]);
                let start = starts[pair * PAIR + f] as usize;
                for (v, sum) in held.iter_mut().enumerate() {
                    // SAFETY: `Starts` knows no start further than `furthest`, from where the vectors end within the windows.
                    let x = unsafe { windows.as_ptr().add(start).cast::<S::f32s>().add(v).read_unaligned() };
                    *sum = simd.mul_add_e_f32s(gradient, x, *sum);
                }
            }
        }
        sums.copy_from_slice(held.as_flattened());
    }
}

/// Weights as [`scatter`] reads them: for each row of the kernel and each chunk of it, a row per filter.
pub(crate) struct Pack<'a> {
    pub weight: &'a [f32],
    pub segment: usize,
    pub filters: usize,
}

impl WithSimd for Pack<'_> {
    type Output = Rows<'static>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Rows<'static> {
        let Self { weight, segment, filters } = self;
        let chunks = Chunks::new::<S>(segment);
        let size = filters * chunks.len;
        let mut packed = Scratch::stale(weight.len() / (segment * filters) * chunks.count() * size);
        for (at, packed) in packed.chunks_exact_mut(size).enumerate() {
            let (ky, at) = (at / chunks.count(), at % chunks.count());
            let from = &weight[(ky * segment + chunks.start(at)) * filters..][..size];
            transpose(from, chunks.len, filters, packed, chunks.len);
            packed.chunks_exact_mut(chunks.len).for_each(|row| row[..chunks.overlap(at)].fill(0.0));
        }
        Rows::packed(packed, chunks.len)
    }
}

/// Adds to the windows of all winners of some images their filters' weights times their gradients.
#[inline(always)]
pub(crate) fn scatter<S: Simd>(
    simd: S,
    window: &Params,
    dz: &OutputGradient<'_>,
    weights: &[f32],
    images: Range<usize>,
    pitch: Pitch,
    dx: &mut [f32],
) {
    let chunks = Chunks::new::<S>(segment(window));
    let pixels = dz.pooled_lines() * dz.pooled_columns();
    let mut lists = Scratch::stale((pixels * LISTS * dz.filters).div_ceil(2));
    let mut counts = Scratch::stale(pixels * 2);
    let lists = &mut bytemuck::cast_slice_mut::<f32, u16>(&mut lists)[..pixels * LISTS * dz.filters];
    let counts = bytemuck::cast_slice_mut::<f32, u16>(&mut counts);
    for (image, dx) in images.zip(dx.chunks_mut(pitch.image)) {
        let Some(winner) = dz.winner else { return };
        let maxima = image * pixels * dz.filters..(image + 1) * pixels * dz.filters;
        sort_by_place(&winner[maxima.clone()], dz.filters, lists, counts);
        let sorted =
            Sorted { dy: &dz.dy[maxima], lists, counts, filters: dz.filters, columns: dz.pooled_columns(), pitch };
        for (at, weights) in weights.chunks_exact(dz.filters * chunks.len).enumerate() {
            let start = at / chunks.count() * pitch.row + chunks.start(at % chunks.count());
            with_vectors!(chunks.vectors, add_weights::<S>(simd, &sorted, weights, &mut dx[start..]));
        }
    }
}

/// One for each of the four places, and one for [`NOBODY`](crate::convolution::NOBODY), which saves asking.
const LISTS: usize = 5;

/// Lists, for each maximum of an image, the filters that each place won.
#[inline(always)]
fn sort_by_place(winner: &[u8], filters: usize, lists: &mut [u16], counts: &mut [u16]) {
    let pixels = lists.chunks_exact_mut(LISTS * filters).zip(counts.chunks_exact_mut(4));
    for ((lists, counts), winner) in pixels.zip(winner.chunks_exact(filters)) {
        // Twelve bits for each place: counters in one register have no memory to wait for.
        let mut packed = 0u64;
        for (filter, winner) in winner.iter().enumerate() {
            let shift = 12 * u32::from(*winner);
            let count = packed >> shift & 0xfff;
            lists[usize::from(*winner) * filters + count as usize] = filter as u16;
            packed += 1 << shift;
        }
        counts.iter_mut().enumerate().for_each(|(place, count)| *count = (packed >> (12 * place) & 0xfff) as u16);
    }
}

/// The gradients of an image's maxima, and the filters of each place.
struct Sorted<'a> {
    dy: &'a [f32],
    lists: &'a [u16],
    counts: &'a [u16],
    filters: usize,
    columns: usize,
    pitch: Pitch,
}

#[inline(always)]
fn add_weights<S: Simd, const VECTORS: usize>(simd: S, sorted: &Sorted<'_>, weights: &[f32], dx: &mut [f32]) {
    let Sorted { dy, lists, counts, filters, columns, pitch: Pitch { down, right, .. } } = *sorted;
    let places = [0, right, down, down + right];
    let weights = S::as_simd_f32s(weights).0;
    let pixels = dy.chunks_exact(filters).zip(lists.chunks_exact(LISTS * filters)).zip(counts.chunks_exact(4));
    for (pixel, ((dy, lists), counts)) in pixels.enumerate() {
        let first = pixel / columns * 2 * down + pixel % columns * 2 * right;
        for ((list, count), place) in lists.chunks_exact(filters).zip(counts).zip(places) {
            let dx = &mut dx[first + place..][..VECTORS * S::F32_LANES];
            let dx = S::as_mut_simd_f32s(dx).0;
            let mut sums: [S::f32s; VECTORS] = from_fn(|v| dx[v]);
            for filter in &list[..usize::from(*count)] {
                let filter = usize::from(*filter);
                let gradient = simd.splat_f32s(dy[filter]);
                let weights = &weights[filter * VECTORS..][..VECTORS];
                for v in 0..VECTORS {
                    sums[v] = simd.mul_add_e_f32s(gradient, weights[v], sums[v]);
                }
            }
            dx.copy_from_slice(&sums);
        }
    }
}
