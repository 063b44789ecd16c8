//! Checks against a device's limits, made before anything is dispatched.

use crate::dispatch;
use crate::{Purpose, RuntimeError};
use tilegrad_kernels::{Call, Kernel, Slice, Variant};

/// Checks one binding of a call to a buffer that serves `purpose`.
pub fn check_binding(
    device: &str,
    limits: &wgpu::Limits,
    call: &Call,
    slice: &Slice,
    purpose: Purpose,
) -> Result<(), RuntimeError> {
    let bytes = 4 * slice.words() as u64;
    let allowed = limits.max_storage_buffer_binding_size;
    if bytes > allowed {
        return Err(RuntimeError::Limit {
            what: format!("buffer `{}` of {}", slice.name, call.kernel().name),
            needed: format!("{bytes} bytes"),
            device: device.into(),
            limit: format!("{allowed} bytes for one binding"),
            hint: format!("try {}, or --device cpu", smaller(purpose)),
        });
    }
    let alignment = u64::from(limits.min_storage_buffer_offset_alignment);
    if !((slice.element.bytes() * slice.offset) as u64).is_multiple_of(alignment) {
        let problem =
            format!("`{}` starts at element {}, not at a multiple of {alignment} bytes", slice.name, slice.offset);
        return Err(RuntimeError::Graph(problem));
    }
    Ok(())
}

/// What makes a buffer smaller.
fn smaller(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Data => "less data (--limit)",
        Purpose::Parameters | Purpose::Gradients | Purpose::Optimiser => "fewer units or filters",
        Purpose::Activation | Purpose::Scratch | Purpose::State => "a smaller batch",
    }
}

/// Checks that a kernel's buffers and threads fit the device at all.
pub fn check_kernel(
    device: &str,
    limits: &wgpu::Limits,
    kernel: &Kernel,
    variant: &Variant,
) -> Result<(), RuntimeError> {
    let exceeded = |needed: String, limit: String| RuntimeError::Limit {
        what: format!("kernel {} ({})", kernel.name, variant.name),
        needed,
        device: device.into(),
        limit,
        hint: "try --device cpu".into(),
    };
    let buffers = limits.max_storage_buffers_per_shader_stage;
    if kernel.bindings.len() > buffers as usize {
        return Err(exceeded(format!("{} storage buffers", kernel.bindings.len()), buffers.to_string()));
    }
    let threads: u32 = variant.workgroup.iter().product();
    let most = limits.max_compute_invocations_per_workgroup;
    if threads > most {
        return Err(exceeded(format!("{threads} threads in a workgroup"), most.to_string()));
    }
    Ok(())
}

/// Workgroups of a call, if the device allows as many.
pub fn workgroups(
    device: &str,
    limits: &wgpu::Limits,
    call: &Call,
    scope: &str,
    kernel: &Kernel,
    variant: &Variant,
) -> Result<[u32; 3], RuntimeError> {
    let limit = limits.max_compute_workgroups_per_dimension;
    let threads = (kernel.threads)(call.params(), variant.tile());
    dispatch::workgroups(threads, variant.workgroup, limit).map_err(|too_many| {
        let output = call.buffers().last().map_or("nothing", |slice| &slice.name);
        RuntimeError::Limit {
            what: format!("{} of `{output}` ({scope})", kernel.name),
            needed: format!("{} workgroups along {}", too_many.groups, too_many.axis),
            device: device.into(),
            limit: limit.to_string(),
            hint: "try a smaller batch".into(),
        }
    })
}
