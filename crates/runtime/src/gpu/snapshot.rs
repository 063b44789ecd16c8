//! Reads that do not wait until somebody must.

use super::faults::{Faults, one_line};
use crate::RuntimeError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const PENDING: u8 = 0;
const MAPPED: u8 = 1;
const FAILED: u8 = 2;

/// A copy of memory on its way to the host.
#[derive(Debug)]
pub struct GpuSnapshot {
    device: wgpu::Device,
    name: String,
    faults: Faults,
    staging: wgpu::Buffer,
    /// The submission of the copy: later work is nothing to wait for.
    copied: wgpu::SubmissionIndex,
    state: Arc<AtomicU8>,
}

impl GpuSnapshot {
    /// Asks for the contents of `staging`, into which the submission `copied` copies.
    pub fn start(
        device: &wgpu::Device,
        name: &str,
        faults: &Faults,
        staging: wgpu::Buffer,
        copied: wgpu::SubmissionIndex,
    ) -> Self {
        let state = Arc::new(AtomicU8::new(PENDING));
        let seen = Arc::clone(&state);
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            seen.store(if result.is_ok() { MAPPED } else { FAILED }, Ordering::Release);
        });
        Self { device: device.clone(), name: name.into(), faults: faults.clone(), staging, copied, state }
    }

    pub fn is_ready(&self) -> bool {
        // Polling runs the callbacks of whatever is done. An error here comes back from `wait`.
        let _ = self.device.poll(wgpu::PollType::Poll);
        self.state.load(Ordering::Acquire) != PENDING
    }

    pub fn wait(self) -> Result<Vec<u32>, RuntimeError> {
        let lost = |problem: String| RuntimeError::Lost { device: self.name.clone(), problem };
        while self.state.load(Ordering::Acquire) == PENDING {
            let polled =
                self.device.poll(wgpu::PollType::Wait { submission_index: Some(self.copied.clone()), timeout: None });
            self.faults.check()?;
            polled.map_err(|error| lost(one_line(&error.to_string())))?;
        }
        self.faults.check()?;
        if self.state.load(Ordering::Acquire) == FAILED {
            return Err(lost("a buffer could not be mapped".into()));
        }
        let view = self.staging.get_mapped_range(..).map_err(|error| lost(one_line(&error.to_string())))?;
        let words = bytemuck::pod_collect_to_vec(&view[..]);
        drop(view);
        self.staging.unmap();
        Ok(words)
    }
}
