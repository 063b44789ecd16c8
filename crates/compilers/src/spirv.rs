//! SPIR-V, as Vulkan drivers get it.

use crate::translate::{ENTRY, Lowered, TranslateError};
use naga::{
    ShaderStage,
    back::spv::{self, WriterFlags, ZeroInitializeWorkgroupMemoryMode},
    proc::{BoundsCheckPolicies, BoundsCheckPolicy},
};
use tilegrad_kernels::{Halves, Kernel, Variant};

/// A Vulkan version; it decides which SPIR-V wgpu writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vulkan {
    /// SPIR-V 1.3, the oldest that drivers in use ask for.
    V1_1,
    /// SPIR-V 1.6, which every current driver gets.
    V1_3,
}

impl Vulkan {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V1_1, Self::V1_3];

    /// The name that `spirv-val --target-env` knows.
    pub fn environment(self) -> &'static str {
        match self {
            Self::V1_1 => "vulkan1.1",
            Self::V1_3 => "vulkan1.3",
        }
    }

    fn language(self) -> (u8, u8) {
        match self {
            Self::V1_1 => (1, 3),
            Self::V1_3 => (1, 6),
        }
    }
}

/// The kernel as SPIR-V words; see [`translate`](crate::translate()).
///
/// # Errors
/// If the params are not the kernel's, or naga refuses the kernel.
///
/// # Panics
/// If the variant is not one of the kernel's.
pub fn spirv(
    kernel: &Kernel,
    variant: &Variant,
    params: &[u32],
    halves: Halves,
    vulkan: Vulkan,
) -> Result<Vec<u32>, TranslateError> {
    write(&Lowered::new(kernel, variant, params, halves)?, vulkan)
}

/// The module as SPIR-V words.
pub(crate) fn write(lowered: &Lowered, vulkan: Vulkan) -> Result<Vec<u32>, TranslateError> {
    let entry = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: ENTRY.into() };
    spv::write_vec(&lowered.module, &lowered.info, &options(vulkan), Some(&entry))
        .map_err(|problem| lowered.refused("SPIR-V", &problem))
}

/// wgpu-hal's options for a module without runtime checks.
fn options(vulkan: Vulkan) -> spv::Options<'static> {
    spv::Options {
        lang_version: vulkan.language(),
        flags: WriterFlags::empty(),
        bounds_check_policies: unchecked(),
        zero_initialize_workgroup_memory: ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        emit_int_div_checks: false,
        ..Default::default()
    }
}

/// No index is checked.
pub(crate) fn unchecked() -> BoundsCheckPolicies {
    BoundsCheckPolicies {
        index: BoundsCheckPolicy::Unchecked,
        buffer: BoundsCheckPolicy::Unchecked,
        image_load: BoundsCheckPolicy::Unchecked,
        binding_array: BoundsCheckPolicy::Unchecked,
    }
}
