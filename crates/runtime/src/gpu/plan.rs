//! A graph prepared for an adapter: everything resolved, so that a run only encodes and submits.

use super::device::GpuDevice;
use super::pieces::{self, Pace};
use super::pipeline::{Pipeline, Wanted};
use super::timestamps::{self, Timestamps};
use super::{GpuMemory, limits};
use crate::device::{Choose, Memory, MemoryKind, foreign_memory, resolve_external};
use crate::memory_plan::{self, MemoryUse};
use crate::{Graph, Node, RuntimeError, graph};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tilegrad_kernels::{Access, Halves, Slice};

/// Pipelines, bind groups and workgroups of every call.
#[derive(Debug)]
pub struct GpuPlan {
    device: GpuDevice,
    calls: Vec<BoundCall>,
    memory: MemoryUse,
    pace: Pace,
}

#[derive(Debug)]
struct BoundCall {
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
    workgroups: [u32; 3],
}

impl BoundCall {
    fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline.compute);
        pass.set_bind_group(0, &self.group, &[]);
        let [x, y, z] = self.workgroups;
        pass.dispatch_workgroups(x, y, z);
    }
}

impl GpuPlan {
    pub fn prepare(
        device: &GpuDevice,
        graph: &Graph,
        external: &[(&Slice, &Memory)],
        choose: &Choose<'_>,
    ) -> Result<Self, RuntimeError> {
        let plan = memory_plan::plan(graph);
        let mut wanted: Vec<Wanted<'_>> = Vec::new();
        for node in graph.nodes() {
            let (kernel, variant) = choose(&node.call)?;
            if let Some(problem) = device.refuses(variant) {
                let what = format!("{} ({})", kernel.name, variant.name);
                return Err(RuntimeError::Variant { what, device: device.info.name.clone(), problem });
            }
            limits::check_kernel(&device.info.name, &device.limits, kernel, variant)?;
            let halves = Halves::of(&node.call);
            if !halves.is_none() && !device.halves() {
                return Err(RuntimeError::NoHalves { device: device.info.name.clone() });
            }
            wanted.push(Wanted { kernel, variant, call: &node.call });
        }
        // Limits come first: they are cheap to check, memory and pipelines are not cheap to get.
        let mut dispatches = Vec::new();
        for (node, Wanted { kernel, variant, .. }) in graph.nodes().iter().zip(&wanted) {
            let name = &device.info.name;
            dispatches.push(limits::workgroups(name, &device.limits, &node.call, &node.scope, kernel, variant)?);
            for slice in node.call.buffers() {
                let purpose = graph.buffer(slice.buffer).purpose;
                limits::check_binding(name, &device.limits, &node.call, slice, purpose)?;
            }
        }
        let memories = memories(device, graph, external, &plan)?;
        let pipelines = device.pipelines.get(&device.device, &device.info.name, device.checked, &wanted)?;
        let calls = graph.nodes().iter().zip(pipelines).zip(dispatches).map(|((node, pipeline), workgroups)| {
            let group = bind(device, node, &pipeline, &memories)?;
            Ok(BoundCall { pipeline, group, workgroups })
        });
        let calls = calls.collect::<Result<Vec<_>, RuntimeError>>()?;
        device.faults.check()?;
        let pace = Pace::new(graph.nodes().iter().map(|node| &node.call));
        Ok(Self { device: device.clone(), calls, memory: memory_plan::memory_use(graph, &plan), pace })
    }

    pub fn run(&self, times: u32) -> Result<(), RuntimeError> {
        self.run_calls(times, 0..self.calls.len())
    }

    /// Encodes a part of the calls, `times` times, and submits it, in several pieces if it would take long.
    pub fn run_calls(&self, times: u32, part: Range<usize>) -> Result<(), RuntimeError> {
        self.run_in_pieces(times, part, pieces::MOST).map(|_| ())
    }

    /// As [`GpuPlan::run_calls`], in pieces of up to `most` as far as is known; gives their number.
    pub fn run_in_pieces(&self, times: u32, part: Range<usize>, most: Duration) -> Result<usize, RuntimeError> {
        let pieces = self.pace.pieces(times, &part, most);
        for piece in &pieces {
            self.submit(piece);
        }
        if part.len() == self.calls.len()
            && let Some(timer) = self.pace.timer(times)
        {
            self.device.queue.on_submitted_work_done(timer);
        }
        // Frees what finished submissions held; without it their memory piles up until the next read.
        let polled = self.device.device.poll(wgpu::PollType::Poll);
        self.device.faults.check()?;
        let lost = |error: wgpu::PollError| RuntimeError::Lost {
            device: self.device.info.name.clone(),
            problem: super::faults::one_line(&error.to_string()),
        };
        polled.map(|_| pieces.len()).map_err(lost)
    }

    fn submit(&self, piece: &[Range<usize>]) {
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for call in piece.iter().flat_map(|run| &self.calls[run.clone()]) {
                call.encode(&mut pass);
            }
        }
        self.device.queue.submit([encoder.finish()]);
    }

    /// Runs all calls once, each in a pass of its own, and gives the seconds of each by the adapter's clock. None if it has
    /// no clock for this; none for a call whose times cannot be true.
    pub fn time_calls(&self) -> Result<Option<Vec<Option<f64>>>, RuntimeError> {
        if !timestamps::supported(&self.device) {
            return Ok(None);
        }
        let times = Timestamps::new(&self.device, self.calls.len())?;
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for (number, call) in self.calls.iter().enumerate() {
            let timestamp_writes = Some(times.of(number));
            let mut pass =
                encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("timed"), timestamp_writes });
            call.encode(&mut pass);
        }
        times.submit(encoder).map(Some)
    }

    pub fn memory(&self) -> &MemoryUse {
        &self.memory
    }

    pub fn calls(&self) -> usize {
        self.calls.len()
    }
}

/// Memory of every buffer of `graph`: slots for transient ones, what was bound for external ones.
fn memories(
    device: &GpuDevice,
    graph: &Graph,
    external: &[(&Slice, &Memory)],
    plan: &memory_plan::MemoryPlan,
) -> Result<Vec<Option<GpuMemory>>, RuntimeError> {
    let name_of = |slot: usize| {
        let users = graph.buffers().iter().zip(&plan.slot_of).filter(|(_, at)| **at == Some(slot));
        users.max_by_key(|(buffer, _)| buffer.words()).map_or("a transient slot", |(buffer, _)| &buffer.name)
    };
    let slots = plan.slots.iter().enumerate().map(|(slot, &len)| device.alloc(name_of(slot), len));
    let slots = slots.collect::<Result<Vec<GpuMemory>, _>>()?;
    let bound = resolve_external(graph, external)?;
    let memories = bound.into_iter().zip(&plan.slot_of).map(|(memory, slot)| match (memory, slot) {
        (Some(Memory(MemoryKind::Gpu(memory))), _) => Ok(Some(memory.clone())),
        (Some(_), _) => Err(foreign_memory()),
        (None, slot) => Ok(slot.map(|slot| slots[slot].clone())),
    });
    memories.collect()
}

fn bind(
    device: &GpuDevice,
    node: &Node,
    pipeline: &Pipeline,
    memories: &[Option<GpuMemory>],
) -> Result<wgpu::BindGroup, RuntimeError> {
    let mut entries = Vec::new();
    let mut bound: Vec<(&GpuMemory, Access)> = Vec::new();
    for (binding, (slice, access)) in (0..).zip(graph::uses(&node.call)) {
        let Some(memory) = &memories[slice.buffer.0 as usize] else {
            return Err(RuntimeError::Graph(format!("buffer `{}` has no memory", slice.name)));
        };
        // Two external buffers may be bound to one memory, which the graph itself cannot see.
        if bound.iter().any(|(other, other_access)| other.same(memory) && *other_access != access) {
            let kernel = node.call.kernel().name;
            return Err(RuntimeError::Graph(format!(
                "{kernel}: `{}` is read and written by the same call",
                slice.name
            )));
        }
        bound.push((memory, access));
        entries.push(wgpu::BindGroupEntry {
            binding,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &memory.buffer,
                offset: (slice.element.bytes() * slice.offset) as u64,
                // Bindings are whole words.
                size: wgpu::BufferSize::new(4 * slice.words() as u64),
            }),
        });
    }
    Ok(device.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some(&node.scope),
        layout: &pipeline.layout,
        entries: &entries,
    }))
}
