//! Memory for the time of one call that the thread keeps for the next, so that a step allocates nothing.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// A cache line: vectors that start on one never straddle two.
#[repr(C, align(64))]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Line([f32; 16]);

thread_local! {
    /// A stack instead of one buffer, because a thread that waits for others may begin another call meanwhile.
    static SPARE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Floats that go back to the thread's store when dropped.
pub(crate) struct Scratch {
    lines: Vec<Line>,
    len: usize,
}

impl Scratch {
    /// Room for `len` floats that hold whatever the last user left there.
    pub fn stale(len: usize) -> Self {
        let mut lines = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
        if lines.len() * 16 < len {
            lines.resize(len.div_ceil(16), Line([0.0; 16]));
        }
        Self { lines, len }
    }

    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let mut scratch = Self::stale(len);
        scratch.fill(0.0);
        scratch
    }
}

impl Deref for Scratch {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        // Fails only while the thread ends; the memory is then freed instead.
        let _ = SPARE.try_with(|spare| spare.borrow_mut().push(lines));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_aligned_and_two_users_never_share_it() {
        let first = Scratch::zeros(100).as_ptr();
        let mut again = Scratch::stale(50);
        assert_eq!(again.as_ptr(), first);
        again.fill(1.0);
        let other = Scratch::zeros(50);
        assert!(other.iter().all(|x| *x == 0.0) && again.iter().all(|x| *x == 1.0));
        assert_eq!((again.as_ptr() as usize % 64, other.as_ptr() as usize % 64), (0, 0));
    }
}
