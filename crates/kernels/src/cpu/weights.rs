//! Weights as a tile reads them: rows of whole vectors.

use super::scratch::Scratch;
use pulp::Simd;
use std::ops::Deref;

/// Rows that may be read a vector at a time up to `stride`.
pub(crate) struct Rows<'a> {
    memory: Memory<'a>,
    /// Elements from one row to the next.
    pub stride: usize,
}

enum Memory<'a> {
    InPlace(&'a [f32]),
    Packed(Scratch),
}

impl Deref for Rows<'_> {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match &self.memory {
            Memory::InPlace(rows) => rows,
            Memory::Packed(rows) => rows,
        }
    }
}

impl<'a> Rows<'a> {
    /// Rows that are already as they should be.
    pub fn packed(rows: Scratch, stride: usize) -> Self {
        Self { memory: Memory::Packed(rows), stride }
    }

    /// Rows of `columns` elements, copied only if vectors do not divide them.
    pub fn new<S: Simd>(rows: &'a [f32], columns: usize) -> Self {
        let stride = columns.next_multiple_of(S::F32_LANES);
        if stride == columns {
            return Self { memory: Memory::InPlace(rows), stride };
        }
        let mut packed = Scratch::stale(rows.len() / columns * stride);
        for (to, from) in packed.chunks_exact_mut(stride).zip(rows.chunks_exact(columns)) {
            to[..columns].copy_from_slice(from);
            to[columns..].fill(0.0);
        }
        Self { memory: Memory::Packed(packed), stride }
    }

    /// Blocks of `rows × columns` elements, each transposed.
    #[inline(always)]
    pub fn transposed<S: Simd>(blocks: &[f32], rows: usize, columns: usize) -> Self {
        let stride = rows.next_multiple_of(S::F32_LANES);
        let mut packed = Scratch::stale(blocks.len() / rows * stride);
        for (to, from) in packed.chunks_exact_mut(columns * stride).zip(blocks.chunks_exact(rows * columns)) {
            transpose(from, rows, columns, to, stride);
        }
        Self { memory: Memory::Packed(packed), stride }
    }
}

/// Writes `rows × columns` elements as columns of `stride` elements, zeros behind `rows`. In squares that stay in the
/// first cache.
#[inline(always)]
pub(crate) fn transpose(from: &[f32], rows: usize, columns: usize, to: &mut [f32], stride: usize) {
    for row in (0..stride).step_by(SIDE) {
        for column in (0..columns).step_by(SIDE) {
            let width = (columns - column).min(SIDE);
            let square: [&[f32]; SIDE] = std::array::from_fn(|r| match from.get((row + r) * columns + column..) {
                Some(from) if row + r < rows => &from[..width],
                _ => &[0.0; SIDE][..width],
            });
            for (c, to) in to[column * stride..].chunks_mut(stride).take(width).enumerate() {
                match to.get_mut(row..row + SIDE) {
                    Some(to) => to.iter_mut().zip(square).for_each(|(to, from)| *to = from[c]),
                    None => to[row..].iter_mut().zip(square).for_each(|(to, from)| *to = from[c]),
                }
            }
        }
    }
}

/// Rows and columns of a square.
const SIDE: usize = 16;
