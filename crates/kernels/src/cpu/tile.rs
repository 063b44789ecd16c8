//! The one inner loop: a tile of sums of products, held in vector registers.
//!
//! Every convolution here is a matrix product whose left factor is read where it lies: a row's terms are reached from
//! an offset by fixed steps, in runs. The forward pass walks along a kernel's rows, the gradient of the weights
//! along the outputs, the gradient of the images along the filters.

use pulp::Simd;
use std::array::from_fn;

/// How the terms of a tile's sums lie in memory, in elements: `runs` times `terms`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Walk {
    pub runs: usize,
    pub terms: usize,
    /// From one run to the next in the left factor, and from one term to the next.
    pub a_run: usize,
    pub a_term: usize,
    /// The same in the right factor.
    pub b_run: usize,
    pub b_term: usize,
}

impl Walk {
    /// The furthest step in both factors; more than any memory holds if it is not a number.
    #[inline(always)]
    fn reach(&self) -> (usize, usize) {
        let furthest = |run: usize, term: usize| {
            (self.runs - 1).saturating_mul(run).saturating_add((self.terms - 1).saturating_mul(term))
        };
        (furthest(self.a_run, self.a_term), furthest(self.b_run, self.b_term))
    }
}

/// A tile: rows of the left factor times vectors of columns of the right one.
pub(crate) type Sums<S, const ROWS: usize, const VECTORS: usize> = [[<S as Simd>::f32s; VECTORS]; ROWS];

/// `Σ a[offsets[row] + step] * b[step + column]` over the walk, run by run.
#[inline(always)]
pub(crate) fn sums<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    a: &[f32],
    offsets: [usize; ROWS],
    b: &[f32],
    walk: &Walk,
) -> Sums<S, ROWS, VECTORS> {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    if walk.runs == 0 || walk.terms == 0 {
        return sums;
    }
    let (a_reach, b_reach) = walk.reach();
    let furthest = offsets.iter().fold(0, |furthest, offset| furthest.max(*offset));
    let b_end = b_reach.saturating_add(VECTORS * S::F32_LANES);
    assert!(furthest.saturating_add(a_reach) < a.len() && b_end <= b.len(), "a tile reaches beyond its factors");
    for run in 0..walk.runs {
        let (mut a, mut b) = (a.as_ptr().wrapping_add(run * walk.a_run), b.as_ptr().wrapping_add(run * walk.b_run));
        for _ in 0..walk.terms {
            // SAFETY: the last term of the last run is within both factors, as asserted without wrapping around, and no step
            // goes back.
            let vectors: [S::f32s; VECTORS] = from_fn(|v| unsafe { b.cast::<S::f32s>().add(v).read_unaligned() });
            for (sums, offset) in sums.iter_mut().zip(offsets) {
                // SAFETY: the same.
                let a = simd.splat_f32s(unsafe { *a.add(offset) });
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = simd.mul_add_e_f32s(a, vector, *sum);
                }
            }
            (a, b) = (a.wrapping_add(walk.a_term), b.wrapping_add(walk.b_term));
        }
    }
    sums
}

/// What is computed tile by tile.
pub(crate) trait Tiles<S: Simd> {
    /// The tile that starts at `row` and `column`.
    fn tile<const ROWS: usize, const VECTORS: usize>(&mut self, simd: S, row: usize, column: usize);
}

/// Covers `rows × columns` with tiles, as large as the registers allow: 24 sums of 32 registers, or 12 of 16. The last
/// vector of a row may reach beyond `columns`.
#[inline(always)]
pub(crate) fn cover<S: Simd>(simd: S, rows: usize, columns: usize, tiles: &mut impl Tiles<S>) {
    let lanes = S::F32_LANES;
    for column in (0..columns).step_by(2 * lanes) {
        if columns - column > lanes {
            cover_rows::<S, 2>(simd, rows, column, tiles);
        } else {
            cover_rows::<S, 1>(simd, rows, column, tiles);
        }
    }
}

#[inline(always)]
fn cover_rows<S: Simd, const VECTORS: usize>(simd: S, rows: usize, column: usize, tiles: &mut impl Tiles<S>) {
    let wide = const { S::REGISTER_COUNT >= 32 };
    let mut row = 0;
    while row < rows {
        row += match rows - row {
            12.. if wide => at::<S, 12, VECTORS>(simd, row, column, tiles),
            9.. if wide => at::<S, 9, VECTORS>(simd, row, column, tiles),
            8 if wide => at::<S, 8, VECTORS>(simd, row, column, tiles),
            6.. => at::<S, 6, VECTORS>(simd, row, column, tiles),
            4.. => at::<S, 4, VECTORS>(simd, row, column, tiles),
            3 => at::<S, 3, VECTORS>(simd, row, column, tiles),
            2 => at::<S, 2, VECTORS>(simd, row, column, tiles),
            _ => at::<S, 1, VECTORS>(simd, row, column, tiles),
        };
    }
}

/// [`cover`] for rows that belong together in fours.
#[inline(always)]
pub(crate) fn cover_fours<S: Simd>(simd: S, rows: usize, columns: usize, tiles: &mut impl Tiles<S>) {
    let lanes = S::F32_LANES;
    for column in (0..columns).step_by(2 * lanes) {
        if columns - column > lanes {
            cover_rows_by_four::<S, 2>(simd, rows, column, tiles);
        } else {
            cover_rows_by_four::<S, 1>(simd, rows, column, tiles);
        }
    }
}

#[inline(always)]
fn cover_rows_by_four<S: Simd, const VECTORS: usize>(simd: S, rows: usize, column: usize, tiles: &mut impl Tiles<S>) {
    let wide = const { S::REGISTER_COUNT >= 32 };
    let mut row = 0;
    while row < rows {
        row += match rows - row {
            12.. if wide => at::<S, 12, VECTORS>(simd, row, column, tiles),
            8.. if wide => at::<S, 8, VECTORS>(simd, row, column, tiles),
            _ => at::<S, 4, VECTORS>(simd, row, column, tiles),
        };
    }
}

#[inline(always)]
fn at<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    row: usize,
    column: usize,
    tiles: &mut impl Tiles<S>,
) -> usize {
    tiles.tile::<ROWS, VECTORS>(simd, row, column);
    ROWS
}
