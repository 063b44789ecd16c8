//! Pipelines: a kernel's WGSL with its constants in, compiled once per device.

use super::faults::refusal;
use super::pipeline_cache::PipelineCache;
use crate::RuntimeError;
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tilegrad_kernels::{Access, Call, Halves, Kernel, Variant};

/// What makes a pipeline another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Where the kernel stands in memory: names are not unique.
    kernel: usize,
    /// The same of the variant.
    variant: usize,
    params: Vec<u32>,
    halves: Halves,
    trusted: bool,
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
    /// What they are to run.
    pub call: &'a Call,
}

impl Wanted<'_> {
    /// Whether the shader runs without loop bounds and index checks.
    fn trusted(&self) -> bool {
        self.call.vouches_for(self.kernel, self.variant)
    }

    fn key(&self) -> Key {
        Key {
            kernel: std::ptr::from_ref(self.kernel).addr(),
            variant: std::ptr::from_ref(self.variant).addr(),
            params: self.call.params().to_vec(),
            halves: Halves::of(self.call),
            trusted: self.trusted(),
        }
    }
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
        let mut missing: HashMap<Key, Wanted<'_>> = wanted.iter().map(|wanted| (wanted.key(), *wanted)).collect();
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
        let found = wanted.iter().map(|wanted| all.get(&wanted.key()).cloned());
        found.collect::<Option<Vec<_>>>().ok_or_else(|| RuntimeError::Graph("a pipeline vanished".into()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Pipeline>>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    let Wanted { kernel, variant, call } = wanted;
    let module = module(device, checked, wanted);
    let layout = layout(device, kernel);
    let constants: Vec<(&str, f64)> =
        kernel.params.iter().zip(call.params()).map(|(field, word)| (field.name, field.value(*word))).collect();
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
    let Wanted { kernel, variant, call } = wanted;
    let source = wgpu::ShaderSource::Wgsl(kernel.source(variant, Halves::of(call)).into());
    let descriptor = wgpu::ShaderModuleDescriptor { label: Some(kernel.name), source };
    if checked || !wanted.trusted() {
        return device.create_shader_module(descriptor);
    }
    let checks = wgpu::ShaderRuntimeChecks::unchecked();
    // SAFETY: the call vouches for this variant of this kernel (`trusted`): both are of the list, which only the kernels' crate can
    // write, and the call went through the kernel's own `call` function, which checked the lengths of its buffers against
    // params that nobody can change. Every loop counts to a bound that follows from these params, and so does every index;
    // the few that come from data are clamped in the shader. A plan binds memory only after `Graph::check` and
    // `resolve_external` found it as long as the buffers say. Loop bounds cost a factor of ten and index checks one of two,
    // because drivers then unroll no loop over registers; `--checked` keeps both.
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
