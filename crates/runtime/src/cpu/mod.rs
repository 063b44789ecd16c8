//! The CPU device: the same graph through each kernel's reference, or its `fast_cpu`.

mod memory;
mod plan;

use crate::choice::DeviceKind;
use crate::device::{DeviceInfo, Memory};
use crate::{Graph, RuntimeError};
pub use memory::CpuMemory;
pub use plan::CpuPlan;
use std::sync::Arc;

/// The processor as a device.
#[derive(Debug, Clone)]
pub struct CpuDevice {
    info: Arc<DeviceInfo>,
}

impl CpuDevice {
    /// Always there; `reason` says why it was chosen.
    pub fn open(reason: String) -> Self {
        let threads = rayon::current_num_threads();
        let driver = format!("{threads} thread{}", if threads == 1 { "" } else { "s" });
        let info = DeviceInfo { name: "cpu".into(), kind: DeviceKind::Cpu, driver, reason };
        Self { info: Arc::new(info) }
    }

    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    pub fn alloc(&self, name: &str, len: usize) -> Result<CpuMemory, RuntimeError> {
        CpuMemory::zeroed(len).ok_or_else(|| RuntimeError::OutOfMemory {
            device: self.info.name.clone(),
            buffer: name.into(),
            bytes: 4 * len as u64,
        })
    }

    pub fn prepare(
        &self,
        graph: &Graph,
        external: &[(&tilegrad_kernels::Slice, &Memory)],
    ) -> Result<CpuPlan, RuntimeError> {
        CpuPlan::prepare(self, graph, external)
    }
}
