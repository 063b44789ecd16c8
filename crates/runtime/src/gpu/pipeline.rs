//! Pipelines: a kernel's WGSL with its constants in, compiled once per device.

use super::faults::refusal;
use super::pipeline_cache::PipelineCache;
use crate::RuntimeError;
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tilegrad_kernels::{Access, Halves, Kernel, Variant};

/// What makes a pipeline another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    kernel: &'static str,
    variant: &'static str,
    params: Vec<u32>,
    halves: Halves,
}

/// A pipeline with its bind group layout.
#[derive(Debug)]
pub struct Pipeline {
    pub compute: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub kernel: &'static Kernel,
    pub variant: &'static Variant,
    /// The params of a call.
    pub params: &'a [u32],
    /// Its bindings that hold 16-bit floats.
    pub halves: Halves,
}

/// All pipelines of a device so far.
#[derive(Debug)]
pub struct Pipelines {
    compiled: Mutex<HashMap<Key, Arc<Pipeline>>>,
    kept: Option<PipelineCache>,
}

impl Pipelines {
    /// None yet, but for what earlier runs left with the driver.
    pub fn new(kept: Option<PipelineCache>) -> Self {
        Self { compiled: Mutex::default(), kept }
    }

    /// The pipelines for all of `wanted`; missing ones are compiled in parallel.
    pub fn get(
        &self,
        device: &wgpu::Device,
        name: &str,
        checked: bool,
        wanted: &[Wanted<'_>],
    ) -> Result<Vec<Arc<Pipeline>>, RuntimeError> {
        let mut missing: HashMap<Key, Wanted<'_>> = wanted.iter().map(|wanted| (key(wanted), *wanted)).collect();
        missing.retain(|key, _| !self.lock().contains_key(key));
        let cache = self.kept.as_ref().map(PipelineCache::cache);
        let compile =
            |(key, wanted)| compile(device, name, checked, cache, wanted).map(|pipeline| (key, Arc::new(pipeline)));
        let compiled = missing.into_par_iter().map(compile).collect::<Result<Vec<_>, _>>()?;
        if let Some(kept) = self.kept.as_ref().filter(|_| !compiled.is_empty()) {
            kept.compiled();
        }
        let mut all = self.lock();
        all.extend(compiled);
        let found = wanted.iter().map(|wanted| all.get(&key(wanted)).cloned());
        found.collect::<Option<Vec<_>>>().ok_or_else(|| RuntimeError::Graph("a pipeline vanished".into()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Pipeline>>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(Wanted { kernel, variant, params, halves }: &Wanted<'_>) -> Key {
    Key { kernel: kernel.name, variant: variant.name, params: params.to_vec(), halves: *halves }
}

fn compile(
    device: &wgpu::Device,
    name: &str,
    checked: bool,
    cache: Option<&wgpu::PipelineCache>,
    wanted: Wanted<'_>,
) -> Result<Pipeline, RuntimeError> {
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
    let Wanted { kernel, variant, params, .. } = wanted;
    let module = module(device, checked, wanted);
    let layout = layout(device, kernel);
    let constants: Vec<(&str, f64)> =
        kernel.params.iter().zip(params).map(|(field, word)| (field.name, field.value(*word))).collect();
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(kernel.name),
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let compute = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(kernel.name),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &constants,
            zero_initialize_workgroup_memory: checked,
        },
        cache,
    });
    // Guards pop in the reverse order in which they were pushed.
    let errors = [pollster::block_on(internal.pop()), pollster::block_on(scope.pop())];
    match errors.into_iter().flatten().next() {
        Some(error) => Err(refusal(&format!("{name} ({}, {})", kernel.name, variant.name), &error)),
        None => Ok(Pipeline { compute, layout }),
    }
}

fn module(device: &wgpu::Device, checked: bool, wanted: Wanted<'_>) -> wgpu::ShaderModule {
    let Wanted { kernel, variant, halves, .. } = wanted;
    let source = wgpu::ShaderSource::Wgsl(kernel.source(variant, halves).into());
    let descriptor = wgpu::ShaderModuleDescriptor { label: Some(kernel.name), source };
    if checked {
        return device.create_shader_module(descriptor);
    }
    let checks = wgpu::ShaderRuntimeChecks::unchecked();
    // SAFETY: only kernels of the list come here. Every loop counts to a bound that follows from the shape, and
    // every index follows from the shape that the kernel's `call` checked against its buffers; the few that come
    // from data are clamped in the shader. Loop bounds cost a factor of ten and index checks one of two, because
    // drivers then unroll no loop over registers; `--checked` keeps both.
    unsafe { device.create_shader_module_trusted(descriptor, checks) }
}

fn layout(device: &wgpu::Device, kernel: &Kernel) -> wgpu::BindGroupLayout {
    let entries: Vec<wgpu::BindGroupLayoutEntry> = (0..)
        .zip(kernel.bindings)
        .map(|(binding, declared)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only: declared.access == Access::Read },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(kernel.name), entries: &entries })
}
