//! Where windows begin, and the furthest of them: what loads without bounds checks rely on.

use super::scratch::Scratch;

/// Starts of windows, which nobody alters any more.
pub(crate) struct Starts {
    starts: Scratch,
    furthest: usize,
}

impl Starts {
    /// Of `starts`, whose bits are integers. All of them are looked at, also what is only left from an earlier call.
    #[inline(always)]
    pub fn new(starts: Scratch) -> Self {
        let furthest = bytemuck::cast_slice::<f32, u32>(&starts).iter().fold(0, |furthest, start| furthest.max(*start));
        Self { starts, furthest: furthest as usize }
    }

    /// Every start.
    #[inline(always)]
    pub fn all(&self) -> &[u32] {
        bytemuck::cast_slice(&self.starts)
    }

    /// No start is further than this.
    #[inline(always)]
    pub fn furthest(&self) -> usize {
        self.furthest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_call_left_counts_too() {
        let mut scratch = Scratch::stale(100);
        bytemuck::cast_slice_mut::<f32, u32>(&mut scratch).fill(3);
        bytemuck::cast_slice_mut::<f32, u32>(&mut scratch)[41] = 4_000_000_000;
        drop(scratch);
        // Nobody writes the second half: it holds the number above or whatever else, but `furthest` covers it.
        let mut stale = Scratch::stale(100);
        bytemuck::cast_slice_mut::<f32, u32>(&mut stale)[..20].fill(7);
        let starts = Starts::new(stale);
        assert_eq!((starts.all().len(), starts.all()[41], starts.furthest()), (100, 4_000_000_000, 4_000_000_000));
    }
}
