//! Where a training went wrong: the failing step again, call by call, with everything that is written looked at.

use super::Trainer;
use super::fit::{Session, borrowed};
use crate::ModelError;
use std::fmt;
use tilegrad_kernels::state::StepState;
use tilegrad_kernels::{Access, BufferId, Element, Slice};
use tilegrad_runtime::{Graph, Memory, Node, Plan};

/// The first value that is not finite, and what led to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// Layer and direction, such as `conv2 forward`.
    pub scope: String,
    /// The kernel that wrote it.
    pub kernel: &'static str,
    /// The buffer that it was written to.
    pub buffer: String,
    /// Its place in the buffer.
    pub index: usize,
    /// The value: infinite or NaN.
    pub value: f32,
    /// What the buffer holds.
    pub element: Element,
    /// What the kernel read.
    pub inputs: Vec<Range>,
}

/// The values of an input of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// Name of the buffer.
    pub buffer: String,
    /// Smallest finite value.
    pub least: f32,
    /// Largest finite value.
    pub most: f32,
    /// Values that are infinite or NaN.
    pub not_finite: usize,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, kernel, buffer, index, value, element, inputs } = self;
        write!(f, "it began in {scope}, where kernel {kernel} wrote {value} to {buffer}[{index}], reading ")?;
        for (i, Range { buffer, least, most, not_finite }) in inputs.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{buffer} from {least:e} to {most:e}")?;
            if *not_finite > 0 {
                write!(f, " and {not_finite} values not finite")?;
            }
        }
        match element {
            Element::F16 => write!(f, "; 16-bit floats end at 65504, so --precision f32 may help"),
            Element::F32 | Element::U32 => Ok(()),
        }
    }
}

/// What a replay starts from: everything that steps change.
pub(super) struct Anchor {
    parameters: Vec<u32>,
    optimiser: Vec<Vec<u32>>,
    state: StepState,
}

impl Anchor {
    /// Steps done before it.
    pub(super) fn step(&self) -> u32 {
        self.state.step
    }
}

/// The program of a step whose every buffer can be looked at.
pub(super) struct Probe {
    graph: Graph,
    plan: Plan,
    /// Memory of each buffer of the graph.
    memories: Vec<Option<Memory>>,
}

impl Trainer {
    /// Reads what a replay of the steps from here on would start from, before their pass begins.
    pub(super) fn anchor(&self) -> Result<Anchor, ModelError> {
        let optimiser = self.optimiser.iter().map(|block| self.device.read(block));
        Ok(Anchor {
            parameters: self.device.read(&self.parameters)?,
            optimiser: optimiser.collect::<Result<_, _>>()?,
            state: self.read_state()?,
        })
    }

    /// Puts the training back to where it was at the anchor.
    pub(super) fn restore(&self, anchor: &Anchor) -> Result<(), ModelError> {
        self.device.write(&self.parameters, 0, &anchor.parameters)?;
        for (block, words) in self.optimiser.iter().zip(&anchor.optimiser) {
            self.device.write(block, 0, words)?;
        }
        Ok(self.device.write(&self.state, 0, &anchor.state.to_words())?)
    }

    /// Replays the steps from `anchor` up to `step` and looks at everything that this one writes, or the one before it if that
    /// left parameters behind that are not finite: a gradient may be infinite while its loss is not. The training is left as
    /// it was at the anchor. `None` if the step came out finite this time.
    pub(super) fn replay(&self, session: &Session, anchor: &Anchor, step: u32) -> Result<Option<Cause>, ModelError> {
        self.run_up_to(session, anchor, step)?;
        let broken = self.read_floats(&self.parameters)?.iter().any(|value| !value.is_finite());
        if broken && step > anchor.state.step + 1 {
            self.run_up_to(session, anchor, step - 1)?;
        }
        let cause = self.probe(session)?.step(self)?;
        self.restore(anchor)?;
        Ok(cause)
    }

    /// Runs the steps from `anchor` on that come before `step`.
    fn run_up_to(&self, session: &Session, anchor: &Anchor, step: u32) -> Result<(), ModelError> {
        self.restore(anchor)?;
        self.start_pass(session, &self.order(session))?;
        (anchor.state.step + 1..step).try_for_each(|_| Ok(session.plan.run(1)?))
    }

    /// Runs a step under watch.
    pub(super) fn step_under_watch(&self, probe: &Probe) -> Result<(), ModelError> {
        let step = self.read_state()?.step + 1;
        match probe.step(self)? {
            None => Ok(()),
            Some(cause) => {
                let what = format!("`{}`", cause.buffer);
                Err(ModelError::NotFinite { what, step, cause: Some(Box::new(cause)) })
            }
        }
    }

    /// Prepares the session's program so that every buffer can be looked at. It takes as much memory as if no
    /// buffer were shared.
    pub(super) fn probe(&self, session: &Session) -> Result<Probe, ModelError> {
        let mut graph = session.program.graph.clone();
        let mut bound = session.bound.clone();
        for slice in graph.keep_all() {
            let memory = self.device.alloc(&slice.name, slice.words())?;
            bound.push((slice, memory));
        }
        let plan = self.device.prepare(&graph, &borrowed(&bound))?;
        let mut memories = vec![None; graph.buffers().len()];
        for (slice, memory) in bound {
            memories[slice.buffer.0 as usize] = Some(memory);
        }
        Ok(Probe { graph, plan, memories })
    }
}

impl Probe {
    /// Runs one step call by call; stops after the first that wrote a value that is not finite.
    fn step(&self, trainer: &Trainer) -> Result<Option<Cause>, ModelError> {
        for (at, node) in self.graph.nodes().iter().enumerate() {
            self.plan.run_call(at, 1)?;
            for slice in slices(node, Access::ReadWrite) {
                let values = self.values(trainer, slice)?;
                if let Some(index) = values.iter().position(|value| !value.is_finite()) {
                    return self.cause(trainer, node, slice, index, values[index]).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn cause(
        &self,
        trainer: &Trainer,
        node: &Node,
        slice: &Slice,
        index: usize,
        value: f32,
    ) -> Result<Cause, ModelError> {
        let inputs = slices(node, Access::Read).map(|slice| {
            let values = self.values(trainer, slice)?;
            let finite = || values.iter().copied().filter(|value| value.is_finite());
            Ok(Range {
                buffer: slice.name.to_string(),
                least: finite().fold(f32::INFINITY, f32::min),
                most: finite().fold(f32::NEG_INFINITY, f32::max),
                not_finite: values.len() - finite().count(),
            })
        });
        Ok(Cause {
            scope: node.scope.clone(),
            kernel: node.call.kernel().name,
            buffer: slice.name.to_string(),
            index,
            value,
            element: slice.element,
            inputs: inputs.collect::<Result<_, ModelError>>()?,
        })
    }

    fn values(&self, trainer: &Trainer, slice: &Slice) -> Result<Vec<f32>, ModelError> {
        Ok(slice.element.floats(&self.words(trainer, slice)?, slice.len))
    }

    /// The calls of the step.
    pub(super) fn nodes(&self) -> &[Node] {
        self.graph.nodes()
    }

    /// Runs one call.
    pub(super) fn run_call(&self, call: usize) -> Result<(), ModelError> {
        Ok(self.plan.run_call(call, 1)?)
    }

    /// What `slice` holds on the trainer's device.
    pub(super) fn words(&self, trainer: &Trainer, slice: &Slice) -> Result<Vec<u32>, ModelError> {
        let mut words = trainer.device.read(self.memory(slice)?)?;
        words.truncate(slice.first_word() + slice.words());
        Ok(words.split_off(slice.first_word()))
    }

    /// Writes what `slice` holds on the trainer's device.
    pub(super) fn set_words(&self, trainer: &Trainer, slice: &Slice, words: &[u32]) -> Result<(), ModelError> {
        Ok(trainer.device.write(self.memory(slice)?, slice.first_word(), words)?)
    }

    fn memory(&self, slice: &Slice) -> Result<&Memory, ModelError> {
        let BufferId(buffer) = slice.buffer;
        let memory = self.memories[buffer as usize].as_ref();
        memory.ok_or_else(|| ModelError::Mismatch(format!("buffer `{}` has no memory", slice.name)))
    }
}

/// The float buffers of a call with one kind of access.
fn slices(node: &Node, access: Access) -> impl Iterator<Item = &Slice> {
    let bindings = node.call.buffers().iter().zip(node.call.kernel().bindings);
    bindings
        .filter(move |(slice, binding)| binding.access == access && slice.element != Element::U32)
        .map(|(slice, _)| slice)
}
