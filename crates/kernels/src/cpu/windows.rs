//! Images as a tile reads them: from any window's first element, all others lie at fixed steps.

use super::scratch::Scratch;
use crate::window::Params;
use std::ops::{Deref, Range};

/// Distances in memory between the windows of some images, in elements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pitch {
    /// From one image to the next.
    pub image: usize,
    /// From one row of an image to the next.
    pub row: usize,
    /// From one window to the next below it.
    pub down: usize,
    /// From one window to the next beside it.
    pub right: usize,
}

impl Pitch {
    fn new(p: &Params, rows: usize, columns: usize) -> Self {
        let channels = p.channels as usize;
        let row = columns * channels;
        let (down, right) = (p.stride_height as usize * row, p.stride_width as usize * channels);
        Self { image: rows * row, row, down, right }
    }

    /// Of images as they are.
    pub fn plain(p: &Params) -> Self {
        Self::new(p, p.height as usize, p.width as usize)
    }

    /// Of images cut or padded to just what `lines` lines of windows cover.
    pub fn covered(p: &Params, lines: usize) -> Self {
        let rows = (lines - 1) * p.stride_height as usize + p.kernel_height as usize;
        let columns = (p.out_width as usize - 1) * p.stride_width as usize + p.kernel_width as usize;
        Self::new(p, rows, columns)
    }
}

/// Whether some windows reach beyond the image.
pub(crate) fn padded(p: &Params) -> bool {
    let below = (p.out_height - 1) * p.stride_height + p.kernel_height > p.height + p.pad_top;
    let beside = (p.out_width - 1) * p.stride_width + p.kernel_width > p.width + p.pad_left;
    p.pad_top > 0 || p.pad_left > 0 || below || beside
}

/// Contiguous elements of a row of a window.
pub(crate) fn segment(p: &Params) -> usize {
    (p.kernel_width * p.channels) as usize
}

/// Images whose windows lie within them.
pub(crate) struct Windows<'a> {
    memory: Memory<'a>,
    pub pitch: Pitch,
}

enum Memory<'a> {
    Images(&'a [f32]),
    Padded(Scratch),
}

impl Deref for Windows<'_> {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match &self.memory {
            Memory::Images(x) => x,
            Memory::Padded(x) => x,
        }
    }
}

impl<'a> Windows<'a> {
    /// What the windows of `lines` of each of `images` read: the images themselves, or copies with zeros around.
    pub fn new(p: &Params, x: &'a [f32], images: Range<usize>, lines: Range<usize>) -> Self {
        if !padded(p) {
            let pitch = Pitch::plain(p);
            let first = images.start * pitch.image + lines.start * pitch.down;
            return Self { memory: Memory::Images(&x[first..]), pitch };
        }
        let pitch = Pitch::covered(p, lines.len());
        let mut copy = Scratch::zeros(images.len() * pitch.image);
        for (to, image) in copy.chunks_exact_mut(pitch.image).zip(images) {
            for_each_row(p, pitch, lines.start, |inside, at| {
                let len = inside.len();
                to[inside].copy_from_slice(&x[image * Pitch::plain(p).image + at..][..len]);
            });
        }
        Self { memory: Memory::Padded(copy), pitch }
    }
}

/// Every row of a padded image that holds part of the image: where that part lies in it, and in the image.
pub(crate) fn for_each_row(p: &Params, pitch: Pitch, first_line: usize, mut f: impl FnMut(Range<usize>, usize)) {
    let [channels, width] = [p.channels, p.width].map(|dim| dim as usize);
    let left = p.pad_left as usize * channels;
    let len = (width * channels).min(pitch.row.saturating_sub(left));
    if len == 0 {
        return;
    }
    for row in 0..pitch.image / pitch.row {
        let padded = first_line * p.stride_height as usize + row;
        let Some(y) = padded.checked_sub(p.pad_top as usize).filter(|y| *y < p.height as usize) else { continue };
        let start = row * pitch.row + left;
        f(start..start + len, y * width * channels);
    }
}

/// Walks over a grid of windows, line by line and image by image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor {
    lines: usize,
    columns: usize,
    pitch: Pitch,
    line: usize,
    column: usize,
    at: usize,
    line_at: usize,
    image_at: usize,
}

impl Cursor {
    /// At the first of `lines × columns` windows of each image.
    pub fn new(lines: usize, columns: usize, pitch: Pitch) -> Self {
        Self { lines, columns, pitch, line: 0, column: 0, at: 0, line_at: 0, image_at: 0 }
    }

    /// Back to the first window.
    #[inline(always)]
    pub fn rewind(&mut self) {
        *self = Self::new(self.lines, self.columns, self.pitch);
    }

    /// Where this window begins; then moves on to the next.
    #[inline(always)]
    pub fn next(&mut self) -> usize {
        let at = self.at;
        self.column += 1;
        self.at += self.pitch.right;
        if self.column == self.columns {
            self.column = 0;
            self.line += 1;
            self.line_at += self.pitch.down;
            if self.line == self.lines {
                self.line = 0;
                self.image_at += self.pitch.image;
                self.line_at = self.image_at;
            }
            self.at = self.line_at;
        }
        at
    }
}
