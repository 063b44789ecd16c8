//! MSL for Metal, HLSL for DX12, and WGSL for people.

use crate::{
    spirv::unchecked,
    translate::{ENTRY, Lowered, TranslateError},
};
use naga::{
    ResourceBinding, ShaderStage,
    back::{hlsl, msl, wgsl as wgsl_out},
};
use tilegrad_kernels::{Access, Binding, Halves, Kernel, Variant};

/// macOS 12's Metal; nothing older runs wgpu on hardware that is still in use.
const MSL: (u8, u8) = (2, 4);

/// What wgpu writes for FXC, the compiler that every Windows has.
const SHADER_MODEL: hlsl::ShaderModel = hlsl::ShaderModel::V5_1;

/// The first that knows lanes; wgpu offers subgroups on DX12 only with DXC, which writes it.
const WAVES: hlsl::ShaderModel = hlsl::ShaderModel::V6_0;

/// The first in which a half is 16 bits wide; before, the word meant a float.
const HALVES: hlsl::ShaderModel = hlsl::ShaderModel::V6_2;

/// The Metal Shading Language.
pub fn msl(lowered: &Lowered, kernel: &Kernel) -> Result<String, TranslateError> {
    let options = msl::Options {
        lang_version: MSL,
        per_entry_point_map: [(ENTRY.to_owned(), metal_slots(kernel))].into(),
        bounds_check_policies: unchecked(),
        zero_initialize_workgroup_memory: false,
        force_loop_bounding: false,
        emit_int_div_checks: false,
        ..Default::default()
    };
    let pipeline = msl::PipelineOptions {
        entry_point: Some((ShaderStage::Compute, ENTRY.to_owned())),
        ..msl::PipelineOptions::default()
    };
    let written = msl::write_string(&lowered.module, &lowered.info, &options, &pipeline);
    let (text, entries) = written.map_err(|problem| lowered.refused("MSL", &problem))?;
    entries_written(lowered, "MSL", entries.entry_point_names)?;
    Ok(text)
}

/// DX12's language.
pub fn hlsl(lowered: &Lowered, kernel: &Kernel, variant: &Variant, halves: Halves) -> Result<String, TranslateError> {
    let options = hlsl::Options {
        shader_model: match (halves.is_none(), variant.subgroup) {
            (false, _) => HALVES,
            (true, Some(_)) => WAVES,
            (true, None) => SHADER_MODEL,
        },
        binding_map: (0..).zip(kernel.bindings).map(|(at, _)| (place(at), register(at))).collect(),
        fake_missing_bindings: false,
        // The number of workgroups, which DX12 has no built-in for.
        special_constants_binding: Some(register(0)),
        zero_initialize_workgroup_memory: false,
        restrict_indexing: false,
        force_loop_bounding: false,
        ..Default::default()
    };
    let pipeline = hlsl::PipelineOptions { entry_point: Some((ShaderStage::Compute, ENTRY.to_owned())) };
    let mut text = String::new();
    let written = hlsl::Writer::new(&mut text, &options, &pipeline).write(&lowered.module, &lowered.info, None);
    let entries = written.map_err(|problem| lowered.refused("HLSL", &problem))?;
    entries_written(lowered, "HLSL", entries.entry_point_names)?;
    Ok(text)
}

/// WGSL with the constants in.
pub fn wgsl(lowered: &Lowered) -> Result<String, TranslateError> {
    wgsl_out::write_string(&lowered.module, &lowered.info, wgsl_out::WriterFlags::empty())
        .map_err(|problem| lowered.refused("WGSL", &problem))
}

/// A back end reports an entry point that it cannot write here, not as its own failure.
fn entries_written<E: std::error::Error>(
    lowered: &Lowered,
    language: &'static str,
    names: Vec<Result<String, E>>,
) -> Result<(), TranslateError> {
    names.into_iter().try_for_each(|name| match name {
        Ok(_) => Ok(()),
        Err(problem) => Err(lowered.refused(language, &problem)),
    })
}

fn place(binding: u32) -> ResourceBinding {
    ResourceBinding { group: 0, binding }
}

fn register(register: u32) -> hlsl::BindTarget {
    hlsl::BindTarget { register, ..Default::default() }
}

/// One slot per buffer, and one for the lengths of all of them.
fn metal_slots(kernel: &Kernel) -> msl::EntryPointResources {
    let slot = |(at, binding): (u8, &Binding)| {
        let mutable = binding.access == Access::ReadWrite;
        (place(at.into()), msl::BindTarget { buffer: Some(at), mutable, ..Default::default() })
    };
    msl::EntryPointResources {
        resources: (0..).zip(kernel.bindings).map(slot).collect(),
        sizes_buffer: Some(kernel.bindings.len() as u8),
        ..Default::default()
    }
}
