//! How the work of a call is shared among threads: by images or, where they are few, by bands of their lines.
//!
//! Every output is written by one task in one order, so the number of threads changes no bit of it.

use std::ops::Range;

/// Arithmetic that is worth waking a thread for: some 20 microseconds of it.
const FLOPS_PER_TASK: u64 = 2_000_000;

/// Into how many tasks to cut a call: several per thread, since threads are not equally fast.
pub(crate) fn tasks(flops: u64) -> usize {
    let most = 4 * rayon::current_num_threads() as u64;
    if most == 4 { 1 } else { (flops / FLOPS_PER_TASK).clamp(1, most) as usize }
}

/// Images and lines cut into bands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bands {
    images: usize,
    lines: usize,
    /// Images of a band.
    group: usize,
    /// Bands of an image, if a band is less than one.
    parts: usize,
}

impl Bands {
    /// About `wanted` bands of at most `most` images each.
    pub fn new(images: usize, lines: usize, wanted: usize, most: usize) -> Self {
        let group = images.div_ceil(wanted).clamp(1, most.max(1));
        let parts = if group > 1 { 1 } else { wanted.div_ceil(images).min(lines) };
        // Parts are of equal size but for the last one.
        let parts = lines.div_ceil(lines.div_ceil(parts));
        Self { images, lines, group, parts }
    }

    fn count(&self) -> usize {
        self.images.div_ceil(self.group) * self.parts
    }

    /// Lines in front of band `at`.
    fn first_line(&self, at: usize) -> usize {
        let image = (at / self.parts * self.group).min(self.images);
        image * self.lines + at % self.parts * self.lines.div_ceil(self.parts)
    }

    /// Images of band `at`, and its lines of each.
    fn band(&self, at: usize) -> (Range<usize>, Range<usize>) {
        let first = at / self.parts * self.group;
        let size = self.lines.div_ceil(self.parts);
        let line = at % self.parts * size;
        (first..(first + self.group).min(self.images), line..(line + size).min(self.lines))
    }

    /// Calls `f` with the images, lines and outputs of every band, on all threads.
    pub fn run<O: Lines>(&self, outputs: O, f: &(impl Fn(Range<usize>, Range<usize>, O) + Sync)) {
        self.run_some(0..self.count(), outputs, f);
    }

    fn run_some<O: Lines>(&self, some: Range<usize>, outputs: O, f: &(impl Fn(Range<usize>, Range<usize>, O) + Sync)) {
        if some.len() == 1 {
            let (images, lines) = self.band(some.start);
            return f(images, lines, outputs);
        }
        let middle = some.start + some.len() / 2;
        let (first, second) = outputs.split(self.first_line(middle) - self.first_line(some.start));
        rayon::join(|| self.run_some(some.start..middle, first, f), || self.run_some(middle..some.end, second, f));
    }
}

/// Outputs that can be cut between lines.
pub(crate) trait Lines: Send + Sized {
    /// The first `lines` lines, and the others.
    fn split(self, lines: usize) -> (Self, Self);
}

/// A slice of lines of a length.
pub(crate) struct Slab<'a, T>(pub &'a mut [T], pub usize);

impl<T: Send> Lines for Slab<'_, T> {
    fn split(self, lines: usize) -> (Self, Self) {
        let (first, second) = self.0.split_at_mut(lines * self.1);
        (Self(first, self.1), Self(second, self.1))
    }
}

impl<A: Lines, B: Lines> Lines for (A, B) {
    fn split(self, lines: usize) -> (Self, Self) {
        let ((a, c), (b, d)) = (self.0.split(lines), self.1.split(lines));
        ((a, b), (c, d))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_lies_in_one_band() {
        for (images, lines, wanted, most) in [(1, 1, 1, 1), (1, 7, 3, 9), (5, 3, 2, 9), (64, 11, 8, 2), (3, 10, 8, 1)] {
            let mut seen = vec![0; images * lines];
            Bands::new(images, lines, wanted, most).run(Slab(&mut seen, 1), &|band, part, Slab(seen, _)| {
                assert!(band.len() <= most && seen.len() == band.len() * part.len());
                seen.iter_mut().for_each(|seen| *seen += 1 + band.start * lines + part.start);
            });
            let first = |at: usize| seen[..at].iter().rposition(|line| *line != seen[at]).map_or(0, |at| at + 1);
            assert!((0..seen.len()).all(|at| seen[at] == 1 + first(at)), "{images} of {lines}: {seen:?}");
        }
    }
}
