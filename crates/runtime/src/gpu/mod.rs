//! The wgpu device: adapters, memory, pipelines, plans and reads that do not wait.

mod adapter;
mod device;
mod faults;
mod limits;
mod memory;
mod pieces;
mod pipeline;
mod pipeline_cache;
mod plan;
mod snapshot;
mod subgroups;
mod timestamps;

pub use adapter::enumerate;
pub use device::GpuDevice;
pub use memory::GpuMemory;
pub use plan::GpuPlan;
pub use snapshot::GpuSnapshot;
