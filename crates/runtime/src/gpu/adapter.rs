//! The adapters of this machine.

use crate::choice::{AdapterReport, DeviceKind};

/// Features that the engine asks for where an adapter has them.
pub const WANTED: &[(&str, wgpu::Features)] = &[
    ("subgroup", wgpu::Features::SUBGROUP),
    ("shader-f16", wgpu::Features::SHADER_F16),
    ("timestamp-query", wgpu::Features::TIMESTAMP_QUERY),
    ("timestamp-query-inside-passes", wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES),
    ("pipeline-cache", wgpu::Features::PIPELINE_CACHE),
];

/// Every adapter of every backend, with its report.
pub fn enumerate() -> Vec<(wgpu::Adapter, AdapterReport)> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    descriptor.backends &= wgpu::Backends::PRIMARY;
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    adapters.into_iter().map(|adapter| (adapter.clone(), report(&adapter))).collect()
}

fn report(adapter: &wgpu::Adapter) -> AdapterReport {
    let info = adapter.get_info();
    let limits = adapter.limits();
    let software = info.device_type == wgpu::DeviceType::Cpu;
    AdapterReport {
        name: info.name.clone(),
        kind: if software { DeviceKind::Software } else { DeviceKind::Hardware },
        device_type: format!("{:?}", info.device_type),
        backend: format!("{:?}", info.backend),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        features: WANTED.iter().filter(|(_, bit)| adapter.features().contains(*bit)).map(|(name, _)| *name).collect(),
        limits: vec![
            ("largest buffer (bytes)", limits.max_buffer_size),
            ("largest storage binding (bytes)", limits.max_storage_buffer_binding_size),
            ("storage buffers per stage", limits.max_storage_buffers_per_shader_stage.into()),
            ("workgroups per dimension", limits.max_compute_workgroups_per_dimension.into()),
            ("threads per workgroup", limits.max_compute_invocations_per_workgroup.into()),
            ("workgroup memory (bytes)", limits.max_compute_workgroup_storage_size.into()),
            ("smallest subgroup", info.subgroup_min_size.into()),
            ("largest subgroup", info.subgroup_max_size.into()),
        ],
        subgroup: subgroup(&info, adapter.features()),
    }
}

/// The one size of the adapter's subgroups.
fn subgroup(info: &wgpu::AdapterInfo, features: wgpu::Features) -> Option<u32> {
    let alike = info.subgroup_min_size == info.subgroup_max_size;
    (features.contains(wgpu::Features::SUBGROUP) && alike).then_some(info.subgroup_min_size).filter(|&size| size > 0)
}
