//! Memory of the CPU device: words behind a lock, so that plans and the host can share it safely.

use crate::RuntimeError;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Elements shared between the host and plans.
#[derive(Debug, Clone)]
pub struct CpuMemory {
    words: Arc<RwLock<Words>>,
    len: usize,
}

/// Words that begin on a cache line, so that no vector in them straddles two.
#[derive(Debug)]
pub struct Words {
    /// Never grows, so it never moves.
    room: Vec<u32>,
    first: usize,
    len: usize,
}

impl Words {
    const PER_LINE: usize = 16;

    fn zeroed(len: usize) -> Option<Self> {
        let size = len.checked_add(Self::PER_LINE)?;
        // Asked for first, because `vec!` ends the process when there is no room.
        Vec::<u32>::new().try_reserve_exact(size).ok()?;
        let room = vec![0; size];
        let first = room.as_ptr().align_offset(4 * Self::PER_LINE).min(Self::PER_LINE);
        Some(Self { room, first, len })
    }
}

impl Deref for Words {
    type Target = [u32];
    fn deref(&self) -> &[u32] {
        &self.room[self.first..][..self.len]
    }
}

impl DerefMut for Words {
    fn deref_mut(&mut self) -> &mut [u32] {
        &mut self.room[self.first..][..self.len]
    }
}

impl CpuMemory {
    /// Zeros, or `None` if there is no room for them.
    pub fn zeroed(len: usize) -> Option<Self> {
        Some(Self { words: Arc::new(RwLock::new(Words::zeroed(len)?)), len })
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.words, &other.words)
    }

    // A poisoned lock means that a kernel panicked; the words are still words.
    pub fn lock_read(&self) -> RwLockReadGuard<'_, Words> {
        self.words.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn lock_write(&self) -> RwLockWriteGuard<'_, Words> {
        self.words.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn read(&self) -> Vec<u32> {
        self.lock_read().to_vec()
    }

    pub fn write(&self, offset: usize, words: &[u32]) -> Result<(), RuntimeError> {
        let mut all = self.lock_write();
        let len = all.len();
        let place = all.get_mut(offset..).and_then(|rest| rest.get_mut(..words.len()));
        let Some(place) = place else {
            let problem = format!("{} words written at {offset} into memory of {len}", words.len());
            return Err(RuntimeError::Graph(problem));
        };
        place.copy_from_slice(words);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_begins_on_a_cache_line_and_is_as_long_as_asked_for() {
        for len in [0, 1, 17, 100_000] {
            let memory = CpuMemory::zeroed(len).unwrap();
            assert_eq!((memory.lock_read().as_ptr() as usize % 64, memory.read()), (0, vec![0; len]));
        }
        assert!(CpuMemory::zeroed(usize::MAX).is_none());
    }
}
