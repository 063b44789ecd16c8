//! A graph prepared for the CPU.

use super::memory::Words;
use super::{CpuDevice, CpuMemory};
use crate::device::{Memory, MemoryKind, foreign_memory, resolve_external};
use crate::memory_plan::{self, MemoryUse};
use crate::{Graph, Purpose, RuntimeError, graph};
use std::ops::Range;
use std::sync::{RwLockReadGuard, RwLockWriteGuard};
use tilegrad_kernels::{Access, HostCall, Operand};

/// Calls with their memory and functions resolved.
#[derive(Debug)]
pub struct CpuPlan {
    calls: Vec<BoundCall>,
    /// Where calls widen the 16-bit floats that they meet.
    scratch: CpuMemory,
    memory: MemoryUse,
}

/// A kernel's function with what it works on.
#[derive(Debug)]
struct BoundCall {
    host: HostCall,
    /// Every buffer of the call once.
    buffers: Vec<(CpuMemory, Access)>,
    /// Each binding: place in `buffers`, and words.
    bindings: Vec<(usize, Range<usize>)>,
}

impl CpuPlan {
    pub fn prepare(
        device: &CpuDevice,
        graph: &Graph,
        external: &[(&tilegrad_kernels::Slice, &Memory)],
    ) -> Result<Self, RuntimeError> {
        let plan = memory_plan::plan(graph);
        let slots = plan.slots.iter().map(|&len| device.alloc("a transient slot", len));
        let slots = slots.collect::<Result<Vec<CpuMemory>, _>>()?;
        let bound = resolve_external(graph, external)?;
        let memories = bound.into_iter().zip(&plan.slot_of).map(|(memory, slot)| match (memory, slot) {
            (Some(Memory(MemoryKind::Cpu(memory))), _) => Ok(Some(memory.clone())),
            (Some(_), _) => Err(foreign_memory()),
            (None, slot) => Ok(slot.map(|slot| slots[slot].clone())),
        });
        let memories = memories.collect::<Result<Vec<Option<CpuMemory>>, RuntimeError>>()?;
        let calls = graph.nodes().iter().map(|node| BoundCall::new(node, &memories));
        let calls = calls.collect::<Result<Vec<BoundCall>, _>>()?;
        let most = calls.iter().map(|call| call.host.scratch()).max().unwrap_or(0);
        let mut memory = memory_plan::memory_use(graph, &plan);
        let widened = 4 * most as u64;
        memory.transient += widened;
        memory.transient_unshared += widened;
        *memory.by_purpose.entry(Purpose::Scratch).or_default() += widened;
        Ok(Self { calls, scratch: device.alloc("widened 16-bit floats", most)?, memory })
    }

    pub fn run(&self, times: u32) {
        let mut scratch = self.scratch.lock_write();
        for _ in 0..times {
            self.calls.iter().for_each(|call| call.run(&mut scratch));
        }
    }

    pub fn run_call(&self, call: usize) {
        self.calls[call].run(&mut self.scratch.lock_write());
    }

    pub fn memory(&self) -> &MemoryUse {
        &self.memory
    }

    pub fn calls(&self) -> usize {
        self.calls.len()
    }
}

impl BoundCall {
    fn new(node: &graph::Node, memories: &[Option<CpuMemory>]) -> Result<Self, RuntimeError> {
        let kernel = node.call.kernel();
        let mut buffers: Vec<(CpuMemory, Access)> = Vec::new();
        let mut bindings = Vec::new();
        for (slice, access) in graph::uses(&node.call) {
            let Some(memory) = &memories[slice.buffer.0 as usize] else {
                return Err(RuntimeError::Graph(format!("buffer `{}` has no memory", slice.name)));
            };
            let place = buffers.iter().position(|(other, _)| other.same(memory)).unwrap_or_else(|| {
                buffers.push((memory.clone(), access));
                buffers.len() - 1
            });
            // Two external buffers may be bound to one memory, which the graph itself cannot see.
            if buffers[place].1 != access {
                let problem = format!("{}: `{}` is read and written by the same call", kernel.name, slice.name);
                return Err(RuntimeError::Graph(problem));
            }
            let first = slice.first_word();
            bindings.push((place, first..first + slice.words()));
        }
        Ok(Self { host: HostCall::new(&node.call, kernel.on_cpu()), buffers, bindings })
    }

    fn run(&self, scratch: &mut [u32]) {
        let mut guards: Vec<Guard<'_>> =
            self.buffers.iter().map(|(memory, access)| Guard::new(memory, *access)).collect();
        let mut operands: Vec<(usize, Operand<'_>)> = Vec::with_capacity(self.bindings.len());
        for (place, guard) in guards.iter_mut().enumerate() {
            let mine = self.bindings.iter().enumerate().filter(|(_, (at, _))| *at == place);
            let mine: Vec<(usize, &Range<usize>)> = mine.map(|(binding, (_, range))| (binding, range)).collect();
            match guard {
                Guard::Read(words) => {
                    operands.extend(
                        mine.iter().map(|(binding, range)| (*binding, Operand::Read(&words[(*range).clone()]))),
                    );
                }
                Guard::Write(words) => split(words, mine, &mut operands),
            }
        }
        operands.sort_unstable_by_key(|(binding, _)| *binding);
        self.host.run(operands.into_iter().map(|(_, operand)| operand).collect(), scratch);
    }
}

enum Guard<'a> {
    Read(RwLockReadGuard<'a, Words>),
    Write(RwLockWriteGuard<'a, Words>),
}

impl<'a> Guard<'a> {
    fn new(memory: &'a CpuMemory, access: Access) -> Self {
        match access {
            Access::Read => Self::Read(memory.lock_read()),
            Access::ReadWrite => Self::Write(memory.lock_write()),
        }
    }
}

/// Cuts disjoint ranges out of one buffer, so that several bindings can write to it at once.
fn split<'a>(mut words: &'a mut [u32], mut ranges: Vec<(usize, &Range<usize>)>, into: &mut Vec<(usize, Operand<'a>)>) {
    ranges.sort_unstable_by_key(|(_, range)| range.start);
    let mut done = 0;
    for (binding, range) in ranges {
        let (_, rest) = words.split_at_mut(range.start - done);
        let (mine, rest) = rest.split_at_mut(range.len());
        into.push((binding, Operand::Write(mine)));
        words = rest;
        done = range.end;
    }
}
