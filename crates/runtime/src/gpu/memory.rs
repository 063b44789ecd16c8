//! Memory of an adapter.

/// A storage buffer that outlives plans.
#[derive(Debug, Clone)]
pub struct GpuMemory {
    pub buffer: wgpu::Buffer,
    len: usize,
}

impl GpuMemory {
    pub fn new(buffer: wgpu::Buffer, len: usize) -> Self {
        Self { buffer, len }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn same(&self, other: &Self) -> bool {
        self.buffer == other.buffer
    }
}
