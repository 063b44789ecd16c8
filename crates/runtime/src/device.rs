//! Devices, and what lives on them. Everything here is the same for an adapter and for the CPU.

use crate::choice::{self, AdapterReport, DeviceChoice, DeviceKind, Picked};
use crate::memory_plan::MemoryUse;
use crate::select::Candidate;
use crate::trial::{Fault, Trial};
use crate::{Graph, RuntimeError, cpu, gpu};
use std::time::Duration;
use tilegrad_kernels::Call;

/// Where plans run: a wgpu adapter, or the CPU references. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Device(pub(crate) Kind, pub(crate) Trial);

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Gpu(gpu::GpuDevice),
    Cpu(cpu::CpuDevice),
}

/// How a device is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceOptions {
    /// Keep wgpu's own bounds checks and loop bounds in every shader: slower, for tests and debugging.
    pub checked: bool,
    /// Take the variants of each kernel that were found the fastest, if this adapter was tuned, or the same as on any
    /// other. The bits of every result are the same either way.
    pub tuning: UseTuning,
}

/// Whether what was tuned is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UseTuning {
    /// If there is any.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// What a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The driver's name for the adapter, or `cpu`.
    pub name: String,
    /// Hardware, software or CPU.
    pub kind: DeviceKind,
    /// Driver, version and backend, or the number of threads.
    pub driver: String,
    /// Why the choice came to this device.
    pub reason: String,
}

/// The adapters of this machine.
pub fn adapters() -> Vec<AdapterReport> {
    gpu::enumerate().into_iter().map(|(_, report)| report).collect()
}

impl Device {
    /// Opens the device that `choice` comes to on this machine.
    ///
    /// # Errors
    /// [`RuntimeError::NoAdapter`] or [`RuntimeError::Open`].
    pub fn open(choice: &DeviceChoice, options: DeviceOptions) -> Result<Self, RuntimeError> {
        // Drivers are not even loaded for the CPU device.
        let mut adapters = if *choice == DeviceChoice::Cpu { Vec::new() } else { gpu::enumerate() };
        let reports: Vec<AdapterReport> = adapters.iter().map(|(_, report)| report.clone()).collect();
        match choice::pick(choice, &reports)? {
            Picked::Cpu(reason) => Ok(Self(Kind::Cpu(cpu::CpuDevice::open(reason)), Trial::default())),
            Picked::Adapter(at, reason) => {
                let (adapter, report) = adapters.swap_remove(at);
                Ok(Self(Kind::Gpu(gpu::GpuDevice::open(&adapter, &report, reason, options)?), Trial::default()))
            }
        }
    }

    /// Opens the adapter at place `at` of [`adapters`]: the only way to tell two of the same name apart.
    ///
    /// # Errors
    /// [`RuntimeError::NoAdapter`] if there are fewer, or [`RuntimeError::Open`].
    pub fn open_at(at: usize, options: DeviceOptions) -> Result<Self, RuntimeError> {
        let missing = || RuntimeError::NoAdapter {
            wanted: format!("adapter number {}", at + 1),
            found: "fewer were found".into(),
            hint: choice::INSTALL_HINT.into(),
        };
        let (adapter, report) = gpu::enumerate().into_iter().nth(at).ok_or_else(missing)?;
        let reason = format!("adapter number {} of this machine", at + 1);
        Ok(Self(Kind::Gpu(gpu::GpuDevice::open(&adapter, &report, reason, options)?), Trial::default()))
    }

    /// What the driver says about the adapter; none on the CPU device.
    pub fn adapter(&self) -> Option<&AdapterReport> {
        match &self.0 {
            Kind::Gpu(device) => Some(&device.report),
            Kind::Cpu(_) => None,
        }
    }

    /// What this device is.
    pub fn info(&self) -> &DeviceInfo {
        match &self.0 {
            Kind::Gpu(device) => device.info(),
            Kind::Cpu(device) => device.info(),
        }
    }

    /// Most bytes that one binding of a call can hold.
    pub fn largest_binding(&self) -> u64 {
        // Kernels count bytes in 32 bits.
        let counted = u64::from(u32::MAX);
        let own = match &self.0 {
            Kind::Gpu(device) => device.limits.max_storage_buffer_binding_size.min(device.limits.max_buffer_size),
            Kind::Cpu(_) => counted,
        };
        // Memory comes in whole words.
        own.min(counted).min(self.1.largest_binding.unwrap_or(counted)) / 4 * 4
    }

    /// Memory for `len` words of four bytes, all zero.
    ///
    /// # Errors
    /// [`RuntimeError::Limit`] if no buffer of this device can be so large, [`RuntimeError::OutOfMemory`].
    pub fn alloc(&self, name: &str, len: usize) -> Result<Memory, RuntimeError> {
        match &self.0 {
            Kind::Gpu(device) => device.alloc(name, len).map(|buffer| Memory(MemoryKind::Gpu(buffer))),
            Kind::Cpu(device) => device.alloc(name, len).map(|buffer| Memory(MemoryKind::Cpu(buffer))),
        }
    }

    /// Memory that holds `words`.
    ///
    /// # Errors
    /// Those of [`Device::alloc`].
    pub fn upload(&self, name: &str, words: &[u32]) -> Result<Memory, RuntimeError> {
        let memory = self.alloc(name, words.len())?;
        self.write(&memory, 0, words)?;
        Ok(memory)
    }

    /// Writes `words` from word `offset` on, after all work submitted so far.
    ///
    /// # Errors
    /// [`RuntimeError::Graph`] if they reach beyond the end or the memory belongs to another device.
    pub fn write(&self, memory: &Memory, offset: usize, words: &[u32]) -> Result<(), RuntimeError> {
        match (&self.0, &memory.0) {
            (Kind::Gpu(device), MemoryKind::Gpu(buffer)) => device.write(buffer, offset, words),
            (Kind::Cpu(_), MemoryKind::Cpu(buffer)) => buffer.write(offset, words),
            _ => Err(foreign_memory()),
        }
    }

    /// Reads all words after waiting for all work submitted so far.
    ///
    /// # Errors
    /// [`RuntimeError::Lost`] and whatever the submitted work met.
    pub fn read(&self, memory: &Memory) -> Result<Vec<u32>, RuntimeError> {
        self.snapshot(memory)?.wait()
    }

    /// Asks for all words as they will be after all work submitted so far, without waiting.
    ///
    /// # Errors
    /// As [`Device::read`].
    pub fn snapshot(&self, memory: &Memory) -> Result<Snapshot, RuntimeError> {
        match (&self.0, &memory.0) {
            (Kind::Gpu(device), MemoryKind::Gpu(buffer)) => device.snapshot(buffer).map(Snapshot::Gpu),
            (Kind::Cpu(_), MemoryKind::Cpu(buffer)) => Ok(Snapshot::Ready(buffer.read())),
            _ => Err(foreign_memory()),
        }
    }

    /// Prepares `graph`: memory, pipelines, bindings and variants. `external` gives the memory of each
    /// external buffer.
    ///
    /// # Errors
    /// [`RuntimeError::Graph`] for a graph that cannot run, [`RuntimeError::Limit`] for a call or a buffer
    /// that is too large for this device, and the driver's own refusals.
    pub fn prepare(
        &self,
        graph: &Graph,
        external: &[(&tilegrad_kernels::Slice, &Memory)],
    ) -> Result<Plan, RuntimeError> {
        let none = || RuntimeError::Graph("the CPU device has no variants".into());
        self.prepare_with(graph, external, &|call| self.chosen(call)?.ok_or_else(none))
    }

    /// As [`Device::prepare`], with the variant of each call chosen by `choose`. The CPU device has no variants.
    ///
    /// # Errors
    /// Those of [`Device::prepare`] and of `choose`, and [`RuntimeError::Variant`] for a variant that this adapter
    /// cannot run ([`Device::refuses`]).
    pub fn prepare_with(
        &self,
        graph: &Graph,
        external: &[(&tilegrad_kernels::Slice, &Memory)],
        choose: &Choose<'_>,
    ) -> Result<Plan, RuntimeError> {
        graph.check()?;
        let plan = match &self.0 {
            Kind::Gpu(device) => PlanKind::Gpu(device.prepare(graph, external, choose)?),
            Kind::Cpu(device) => PlanKind::Cpu(device.prepare(graph, external)?),
        };
        Ok(Plan(plan, self.1.fault))
    }

    /// Waits until all submitted work is done.
    ///
    /// # Errors
    /// [`RuntimeError::Lost`] and whatever the submitted work met.
    pub fn wait(&self) -> Result<(), RuntimeError> {
        match &self.0 {
            Kind::Gpu(device) => device.wait(),
            Kind::Cpu(_) => Ok(()),
        }
    }
}

/// Chooses the variant of a call.
pub type Choose<'a> = dyn Fn(&Call) -> Result<Candidate, RuntimeError> + 'a;

/// Memory of a device that outlives any plan. Cheap to clone; clones are the same memory.
#[derive(Debug, Clone)]
pub struct Memory(pub(crate) MemoryKind);

#[derive(Debug, Clone)]
pub(crate) enum MemoryKind {
    Gpu(gpu::GpuMemory),
    Cpu(cpu::CpuMemory),
}

impl Memory {
    /// Number of words of four bytes.
    pub fn len(&self) -> usize {
        match &self.0 {
            MemoryKind::Gpu(buffer) => buffer.len(),
            MemoryKind::Cpu(buffer) => buffer.len(),
        }
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Contents of memory on their way to the host.
#[derive(Debug)]
pub enum Snapshot {
    /// The copy from an adapter.
    #[doc(hidden)]
    Gpu(gpu::GpuSnapshot),
    /// Contents that were at hand.
    #[doc(hidden)]
    Ready(Vec<u32>),
}

impl Snapshot {
    /// Whether [`Snapshot::wait`] would return at once.
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Gpu(snapshot) => snapshot.is_ready(),
            Self::Ready(_) => true,
        }
    }

    /// Waits for the contents.
    ///
    /// # Errors
    /// [`RuntimeError::Lost`] and whatever the submitted work met.
    pub fn wait(self) -> Result<Vec<u32>, RuntimeError> {
        match self {
            Self::Gpu(snapshot) => snapshot.wait(),
            Self::Ready(words) => Ok(words),
        }
    }
}

/// A graph prepared for one device.
#[derive(Debug)]
pub struct Plan(PlanKind, Option<Fault>);

#[derive(Debug)]
enum PlanKind {
    Gpu(gpu::GpuPlan),
    Cpu(cpu::CpuPlan),
}

impl Plan {
    /// Runs the graph `times` times in a row. On an adapter this only submits the work, all of it at once.
    ///
    /// # Errors
    /// [`RuntimeError::Lost`] and [`RuntimeError::Refused`], also for work submitted earlier.
    pub fn run(&self, times: u32) -> Result<(), RuntimeError> {
        if self.1.is_some() {
            return (0..times).try_for_each(|_| (0..self.calls()).try_for_each(|call| self.run_call(call, 1)));
        }
        match &self.0 {
            PlanKind::Gpu(plan) => plan.run(times),
            PlanKind::Cpu(plan) => {
                plan.run(times);
                Ok(())
            }
        }
    }

    /// As [`Plan::run`], in submissions of up to `most` as far as is known, instead of half a second; gives their number, which is
    /// 0 on the CPU device.
    ///
    /// # Errors
    /// Those of [`Plan::run`].
    #[doc(hidden)]
    pub fn run_in_pieces(&self, times: u32, most: Duration) -> Result<usize, RuntimeError> {
        match &self.0 {
            PlanKind::Gpu(plan) => plan.run_in_pieces(times, 0..plan.calls(), most),
            PlanKind::Cpu(plan) => {
                plan.run(times);
                Ok(0)
            }
        }
    }

    /// Runs one call of the graph, by its number, `times` times in a row. All transient buffers must be kept by the caller
    /// ([`Graph::keep_all`]) if calls before it are to be looked at.
    ///
    /// # Errors
    /// Those of [`Plan::run`], and [`RuntimeError::Graph`] if there is no such call.
    pub fn run_call(&self, call: usize, times: u32) -> Result<(), RuntimeError> {
        if call >= self.calls() {
            return Err(RuntimeError::Graph(format!("there is no call {call}, only {}", self.calls())));
        }
        let times = times * self.1.map_or(1, |fault| fault.times(call));
        match &self.0 {
            PlanKind::Gpu(plan) => plan.run_calls(times, call..call + 1),
            PlanKind::Cpu(plan) => {
                (0..times).for_each(|_| plan.run_call(call));
                Ok(())
            }
        }
    }

    /// Runs the graph once, waits, and gives the seconds of each call by the adapter's own clock: none at all on a device
    /// without one, none for a call whose times cannot be true.
    ///
    /// # Errors
    /// Those of [`Plan::run`].
    pub fn time_calls(&self) -> Result<Option<Vec<Option<f64>>>, RuntimeError> {
        match &self.0 {
            PlanKind::Gpu(plan) => plan.time_calls(),
            PlanKind::Cpu(_) => Ok(None),
        }
    }

    /// Memory that the plan's buffers take.
    pub fn memory(&self) -> &MemoryUse {
        match &self.0 {
            PlanKind::Gpu(plan) => plan.memory(),
            PlanKind::Cpu(plan) => plan.memory(),
        }
    }

    /// Calls of one run.
    pub fn calls(&self) -> usize {
        match &self.0 {
            PlanKind::Gpu(plan) => plan.calls(),
            PlanKind::Cpu(plan) => plan.calls(),
        }
    }
}

pub(crate) fn foreign_memory() -> RuntimeError {
    RuntimeError::Graph("memory of another device is bound".into())
}

/// The memory bound to each external buffer of `graph`, by buffer number.
///
/// # Errors
/// [`RuntimeError::Graph`] if one is missing or too short.
pub(crate) fn resolve_external<'a>(
    graph: &Graph,
    external: &[(&tilegrad_kernels::Slice, &'a Memory)],
) -> Result<Vec<Option<&'a Memory>>, RuntimeError> {
    let mut bound = vec![None; graph.buffers().len()];
    for (slice, memory) in external {
        let Some(place) = bound.get_mut(slice.buffer.0 as usize) else {
            return Err(RuntimeError::Graph(format!("`{}` belongs to another graph", slice.name)));
        };
        *place = Some(*memory);
    }
    for (buffer, memory) in graph.buffers().iter().zip(&bound) {
        let got = memory.map_or(0, Memory::len);
        if buffer.external && got < buffer.words() {
            let problem =
                format!("buffer `{}` needs {} words, the memory bound has {got}", buffer.name, buffer.words());
            return Err(RuntimeError::Graph(problem));
        }
    }
    Ok(bound)
}
