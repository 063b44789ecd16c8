//! Memory of the CPU device: words behind a lock, so that plans and the host can share it safely.

use crate::RuntimeError;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Elements shared between the host and plans.
#[derive(Debug, Clone)]
pub struct CpuMemory {
    words: Arc<RwLock<Vec<u32>>>,
    len: usize,
}

impl CpuMemory {
    /// Zeros, or `None` if there is no room for them.
    pub fn zeroed(len: usize) -> Option<Self> {
        // Asked for first, because `vec!` ends the process when there is no room.
        Vec::<u32>::new().try_reserve_exact(len).ok()?;
        Some(Self { words: Arc::new(RwLock::new(vec![0; len])), len })
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.words, &other.words)
    }

    // A poisoned lock means that a kernel panicked; the words are still words.
    pub fn lock_read(&self) -> RwLockReadGuard<'_, Vec<u32>> {
        self.words.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn lock_write(&self) -> RwLockWriteGuard<'_, Vec<u32>> {
        self.words.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn read(&self) -> Vec<u32> {
        self.lock_read().clone()
    }

    pub fn write(&self, offset: usize, words: &[u32]) -> Result<(), RuntimeError> {
        let mut all = self.lock_write();
        let len = all.len();
        let place = all.get_mut(offset..).and_then(|rest| rest.get_mut(..words.len()));
        let Some(place) = place else {
            let problem = format!("{} elements written at {offset} into memory of {len}", words.len());
            return Err(RuntimeError::Graph(problem));
        };
        place.copy_from_slice(words);
        Ok(())
    }
}
