//! An opened adapter.

use super::faults::{Faults, one_line};
use super::pipeline::Pipelines;
use super::pipeline_cache::PipelineCache;
use super::{GpuMemory, GpuPlan, GpuSnapshot, adapter};
use crate::choice::AdapterReport;
use crate::device::{Choose, DeviceInfo, DeviceOptions, Memory, UseTuning};
use crate::tuner::Tuned;
use crate::{Graph, RuntimeError};
use std::sync::{Arc, OnceLock};

/// An opened adapter. Cheap to clone.
#[derive(Debug, Clone)]
pub struct GpuDevice(Arc<Inner>);

#[derive(Debug)]
pub struct Inner {
    pub info: DeviceInfo,
    pub report: AdapterReport,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub limits: wgpu::Limits,
    pub faults: Faults,
    pub pipelines: Pipelines,
    pub checked: bool,
    /// What was tuned on this adapter, if the user wants it.
    pub tuned: Option<Tuned>,
    /// Why subgroups cannot be trusted, once it was tried.
    pub lanes: OnceLock<Option<String>>,
}

impl std::ops::Deref for GpuDevice {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl GpuDevice {
    pub fn open(
        adapter: &wgpu::Adapter,
        report: &AdapterReport,
        reason: String,
        options: DeviceOptions,
    ) -> Result<Self, RuntimeError> {
        let wanted = adapter::WANTED.iter().map(|(_, bit)| *bit).fold(wgpu::Features::empty(), |all, bit| all | bit);
        let limits = adapter.limits();
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("tilegrad"),
            required_features: adapter.features() & wanted,
            // The defaults allow 8 storage buffers and 128 MiB bindings; most adapters have more.
            required_limits: limits.clone(),
            ..Default::default()
        });
        let (device, queue) = pollster::block_on(request).map_err(|error| RuntimeError::Open {
            adapter: report.name.clone(),
            problem: one_line(&error.to_string()),
        })?;
        let faults = Faults::watch(&device, &report.name);
        let info = DeviceInfo {
            name: report.name.clone(),
            kind: report.kind,
            driver: format!("{}, {}", report.driver, report.backend),
            reason,
        };
        let pipelines = Pipelines::new(PipelineCache::open(&device, report));
        let (checked, report) = (options.checked, report.clone());
        let tuned = (options.tuning == UseTuning::Auto).then(|| Tuned::load(&report));
        let lanes = OnceLock::new();
        Ok(Self(Arc::new(Inner { info, report, device, queue, limits, faults, pipelines, checked, tuned, lanes })))
    }

    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// Whether shaders may load and store 16-bit floats.
    pub fn halves(&self) -> bool {
        self.device.features().contains(wgpu::Features::SHADER_F16)
    }

    pub fn alloc(&self, name: &str, len: usize) -> Result<GpuMemory, RuntimeError> {
        // A binding needs at least one element, and copies a multiple of four bytes.
        let bytes = 4 * len.max(1) as u64;
        if bytes > self.limits.max_buffer_size {
            return Err(RuntimeError::Limit {
                what: format!("buffer `{name}`"),
                needed: format!("{bytes} bytes"),
                device: self.info.name.clone(),
                limit: format!("{} bytes", self.limits.max_buffer_size),
                hint: "try a smaller batch, less data (--limit), or --device cpu".into(),
            });
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        self.create_buffer(name, bytes, usage).map(|buffer| GpuMemory::new(buffer, len))
    }

    fn create_buffer(&self, name: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer, RuntimeError> {
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let descriptor = wgpu::BufferDescriptor { label: Some(name), size: bytes, usage, mapped_at_creation: false };
        let buffer = self.device.create_buffer(&descriptor);
        let error = pollster::block_on(scope.pop());
        self.faults.check()?;
        match error {
            Some(_) => Err(RuntimeError::OutOfMemory { device: self.info.name.clone(), buffer: name.into(), bytes }),
            None => Ok(buffer),
        }
    }

    pub fn write(&self, memory: &GpuMemory, offset: usize, words: &[u32]) -> Result<(), RuntimeError> {
        if offset.checked_add(words.len()).is_none_or(|end| end > memory.len()) {
            let problem = format!("{} elements written at {offset} into memory of {}", words.len(), memory.len());
            return Err(RuntimeError::Graph(problem));
        }
        self.queue.write_buffer(&memory.buffer, 4 * offset as u64, bytemuck::cast_slice(words));
        self.faults.check()
    }

    pub fn snapshot(&self, memory: &GpuMemory) -> Result<GpuSnapshot, RuntimeError> {
        let bytes = 4 * memory.len().max(1) as u64;
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = self.create_buffer("staging", bytes, usage)?;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&memory.buffer, 0, &staging, 0, bytes);
        let copied = self.queue.submit([encoder.finish()]);
        Ok(GpuSnapshot::start(&self.device, &self.info.name, &self.faults, staging, copied))
    }

    pub fn prepare(
        &self,
        graph: &Graph,
        external: &[(&tilegrad_kernels::Slice, &Memory)],
        choose: &Choose<'_>,
    ) -> Result<GpuPlan, RuntimeError> {
        GpuPlan::prepare(self, graph, external, choose)
    }

    pub fn wait(&self) -> Result<(), RuntimeError> {
        let polled = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.faults.check()?;
        let lost = |error: wgpu::PollError| RuntimeError::Lost {
            device: self.info.name.clone(),
            problem: one_line(&error.to_string()),
        };
        polled.map(|_| ()).map_err(lost)
    }
}
