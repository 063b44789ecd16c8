//! Whether lanes come out as the subgroup variants expect, seen with a tiny kernel before the first of them runs.

use super::device::GpuDevice;
use crate::RuntimeError;
use std::fmt::Write;
use tilegrad_kernels::Variant;

impl GpuDevice {
    /// Why this adapter cannot run `variant`; none if it can. The first question about a variant that fits by its
    /// size runs a tiny kernel.
    pub fn refuses(&self, variant: &Variant) -> Option<String> {
        let wanted = variant.subgroup?;
        if self.report.subgroup != Some(wanted) {
            return Some(format!("subgroups of {wanted} wanted, {} found", found(&self.report)));
        }
        self.lanes.get_or_init(|| probe(self, wanted).err()).clone()
    }
}

/// What an adapter has for subgroups, in words.
fn found(report: &crate::AdapterReport) -> String {
    let limit = |wanted: &str| report.limits.iter().find(|(name, _)| *name == wanted).map_or(0, |(_, value)| *value);
    match (report.subgroup, limit("smallest subgroup"), limit("largest subgroup")) {
        (Some(size), ..) => size.to_string(),
        (None, smallest, largest) if smallest < largest => format!("{smallest} to {largest}"),
        _ => "none".into(),
    }
}

/// Runs the tiny kernel and compares what each lane saw.
fn probe(device: &GpuDevice, size: u32) -> Result<(), String> {
    let seen = run(device, size).map_err(|error| format!("its subgroups could not be tried: {error}"))?;
    for (thread, seen) in (0..).zip(seen.chunks_exact(words(size))) {
        let first = thread / size * size;
        let expected: Vec<u32> = [size, thread % size].into_iter().chain(first..first + size).collect();
        if seen != expected {
            let what = "size, own lane, then the thread behind each lane";
            return Err(format!("thread {thread} saw {seen:?} for {expected:?} ({what}) in a trial of its subgroups"));
        }
    }
    Ok(())
}

/// Words that each thread writes: the size, its lane, and what came from each lane.
fn words(size: u32) -> usize {
    size as usize + 2
}

/// Threads of the one workgroup: at least two subgroups, as in the kernels.
fn threads(size: u32) -> u32 {
    size.max(32) * 2
}

/// Every thread fetches the number of the thread behind each lane, with a literal lane as the kernels do.
fn source(size: u32) -> String {
    let mut shuffles = String::new();
    for lane in 0..size {
        let at = lane + 2;
        let _ = writeln!(shuffles, "    seen[at + {at}u] = u32(subgroupShuffle(f32(thread), {lane}u));");
    }
    format!(
        "@group(0) @binding(0) var<storage, read_write> seen: array<u32>;
@compute @workgroup_size({threads})
fn main(@builtin(local_invocation_index) thread: u32, @builtin(subgroup_size) size: u32,
        @builtin(subgroup_invocation_id) lane: u32) {{
    let at = thread * {words}u;
    seen[at] = size;
    seen[at + 1u] = lane;
{shuffles}}}
",
        threads = threads(size),
        words = words(size),
    )
}

fn run(device: &GpuDevice, size: u32) -> Result<Vec<u32>, RuntimeError> {
    let memory = device.alloc("trial of subgroups", threads(size) as usize * words(size))?;
    let validation = device.device.push_error_scope(wgpu::ErrorFilter::Validation);
    let internal = device.device.push_error_scope(wgpu::ErrorFilter::Internal);
    let module = device.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("trial of subgroups"),
        source: wgpu::ShaderSource::Wgsl(source(size).into()),
    });
    let pipeline = device.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("trial of subgroups"),
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    let group = device.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("trial of subgroups"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: memory.buffer.as_entire_binding() }],
    });
    let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(1, 1, 1);
    }
    device.queue.submit([encoder.finish()]);
    let errors = [pollster::block_on(internal.pop()), pollster::block_on(validation.pop())];
    match errors.into_iter().flatten().next() {
        Some(error) => Err(super::faults::refusal(&device.info.name, &error)),
        None => device.snapshot(&memory)?.wait(),
    }
}
