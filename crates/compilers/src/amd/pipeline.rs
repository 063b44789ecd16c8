//! One compiled kernel.

use super::{AmdError, device::Device};
use ash::vk;
use std::ffi::CStr;

/// The one entry point of every kernel.
const ENTRY: &CStr = c"main";

/// A compute pipeline and what it is made of; a handle is null until it is made.
pub struct Pipeline<'d> {
    device: &'d Device,
    bindings: vk::DescriptorSetLayout,
    layout: vk::PipelineLayout,
    module: vk::ShaderModule,
    raw: vk::Pipeline,
    capture: vk::PipelineCreateFlags,
}

impl<'d> Pipeline<'d> {
    /// Compiles `code`, which binds `buffers` storage buffers in group 0.
    pub fn build(
        device: &'d Device,
        code: &[u32],
        buffers: u32,
        capture: vk::PipelineCreateFlags,
    ) -> Result<Self, AmdError> {
        let mut made = Self {
            device,
            bindings: vk::DescriptorSetLayout::null(),
            layout: vk::PipelineLayout::null(),
            module: vk::ShaderModule::null(),
            raw: vk::Pipeline::null(),
            capture,
        };
        made.bindings = bindings(device, buffers)?;
        made.layout = layout(device, made.bindings)?;
        made.module = module(device, code)?;
        made.raw = compile(device, made.layout, made.module, capture)?;
        Ok(made)
    }

    /// The device that compiled it.
    pub fn device(&self) -> &'d Device {
        self.device
    }

    /// Whether its code can be read, not only its statistics.
    pub fn keeps_code(&self) -> bool {
        self.capture.contains(vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR)
    }

    /// Its handle, never null.
    pub fn raw(&self) -> vk::Pipeline {
        self.raw
    }
}

impl Drop for Pipeline<'_> {
    fn drop(&mut self) {
        let device = &self.device.raw;
        // SAFETY: each handle is null, which Vulkan ignores, or was made by this device and is used nowhere else.
        unsafe {
            device.destroy_pipeline(self.raw, None);
            device.destroy_shader_module(self.module, None);
            device.destroy_pipeline_layout(self.layout, None);
            device.destroy_descriptor_set_layout(self.bindings, None);
        }
    }
}

fn bindings(device: &Device, buffers: u32) -> Result<vk::DescriptorSetLayout, AmdError> {
    let storage = |binding| {
        vk::DescriptorSetLayoutBinding::default()
            .binding(binding)
            .descriptor_type(vk::DescriptorType::STORAGE_BUFFER)
            .descriptor_count(1)
            .stage_flags(vk::ShaderStageFlags::COMPUTE)
    };
    let all: Vec<_> = (0..buffers).map(storage).collect();
    let wanted = vk::DescriptorSetLayoutCreateInfo::default().bindings(&all);
    // SAFETY: the bindings have different numbers, and outlive the call.
    unsafe { device.raw.create_descriptor_set_layout(&wanted, None) }.map_err(AmdError::driver("lay out the bindings"))
}

fn layout(device: &Device, bindings: vk::DescriptorSetLayout) -> Result<vk::PipelineLayout, AmdError> {
    let sets = [bindings];
    let wanted = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
    // SAFETY: `bindings` was made by this device.
    unsafe { device.raw.create_pipeline_layout(&wanted, None) }.map_err(AmdError::driver("lay out the pipeline"))
}

fn module(device: &Device, code: &[u32]) -> Result<vk::ShaderModule, AmdError> {
    let wanted = vk::ShaderModuleCreateInfo::default().code(code);
    // SAFETY: naga wrote the code from a module that it had validated, for a Vulkan version that the device has.
    unsafe { device.raw.create_shader_module(&wanted, None) }.map_err(AmdError::driver("read the SPIR-V"))
}

fn compile(
    device: &Device,
    layout: vk::PipelineLayout,
    module: vk::ShaderModule,
    capture: vk::PipelineCreateFlags,
) -> Result<vk::Pipeline, AmdError> {
    let stage = vk::PipelineShaderStageCreateInfo::default()
        // As wgpu does where it has subgroups: the driver picks 32 or 64 lanes.
        .flags(vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE)
        .stage(vk::ShaderStageFlags::COMPUTE)
        .module(module)
        .name(ENTRY);
    let wanted = [vk::ComputePipelineCreateInfo::default().stage(stage).layout(layout).flags(capture)];
    // SAFETY: both handles were made by this device, the layout covers the bindings of the kernel, and the device
    // was opened with subgroup size control and with the statistics that `capture` asks for.
    let made = unsafe { device.raw.create_compute_pipelines(vk::PipelineCache::null(), &wanted, None) };
    match made {
        Ok(pipelines) => Ok(pipelines.into_iter().next().unwrap_or_default()),
        Err((_, result)) => Err(AmdError::Driver { doing: "compile the kernel", result }),
    }
}
