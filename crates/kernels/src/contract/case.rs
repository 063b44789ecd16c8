//! Test cases that come with each kernel: a call and what its buffers hold before it.

use super::{BufferId, Call, Element, Halves, HostCall, ShapeError, Slice, hash, operands};
use crate::state::StepState;

/// One shape that every device is checked on.
#[derive(Debug, Clone)]
pub struct Case {
    /// Names the shape, such as `41x47x55`.
    pub name: String,
    /// What runs.
    pub call: Call,
    /// The call's buffers in binding order, with their contents before it.
    pub buffers: Vec<CaseBuffer>,
}

/// A buffer of a case.
#[derive(Debug, Clone)]
pub struct CaseBuffer {
    /// The whole buffer.
    pub slice: Slice,
    /// Contents before the call.
    pub words: Vec<u32>,
}

/// Collects the buffers of a case.
pub struct CaseBuilder {
    name: String,
    buffers: Vec<CaseBuffer>,
}

/// Fills outputs before the call, so that an element nobody wrote is seen: a NaN as f32.
pub const POISON: u32 = 0x7fc0_dead;

/// A step state as it is in the middle of a training, in batch `batch` of a pass over `count` examples.
pub(crate) fn example_state(batch: u32, count: u32) -> StepState {
    StepState {
        step: 41 + batch,
        batch,
        count,
        seed: 7,
        learning_rate: 1e-3,
        beta1_gap: 0.9 - 0.9f32.powi(5),
        beta2_gap: 0.999 - 0.999f32.powi(5),
        epoch: 1,
    }
}

impl Case {
    /// Starts a case; buffers are then added in binding order.
    pub fn named(name: impl Into<String>) -> CaseBuilder {
        CaseBuilder { name: name.into(), buffers: Vec::new() }
    }

    /// The buffers after the kernel's reference has run on the CPU.
    pub fn expected(&self) -> Vec<CaseBuffer> {
        self.run_on_cpu(self.call.kernel().reference)
    }

    /// The buffers after `function` has run on the CPU.
    pub fn run_on_cpu(&self, function: super::HostFunction) -> Vec<CaseBuffer> {
        let mut after = self.buffers.clone();
        let contents = operands(self.call.kernel(), after.iter_mut().map(|buffer| &mut buffer.words));
        let host = HostCall::new(&self.call, function);
        host.run(contents, &mut vec![0; host.scratch()]);
        after
    }

    /// The same shape with 16-bit floats in the bindings `halves`.
    pub fn with_halves(mut self, halves: Halves) -> Self {
        if halves.is_none() {
            return self;
        }
        let names: Vec<&str> = halves.names(self.call.kernel()).collect();
        self.name = format!("{} with f16 {}", self.name, names.join(", "));
        for buffer in (0..).zip(&mut self.buffers).filter_map(|(at, buffer)| halves.contains(at).then_some(buffer)) {
            let values = Element::F32.floats(&buffer.words, buffer.slice.len);
            buffer.words = Element::F16.pack(&values);
            buffer.slice.element = Element::F16;
        }
        self.call = self.call.with_halves(halves);
        self
    }
}

impl CaseBuilder {
    /// Normally distributed floats, the same in every run.
    pub fn random(&mut self, name: &str, len: usize) -> Slice {
        let stream = self.buffers.len() as u32;
        let seed = len as u32;
        self.floats(name, (0..len as u32).map(|i| hash::normal(seed, stream, i)))
    }

    /// Given floats.
    pub fn floats(&mut self, name: &str, values: impl IntoIterator<Item = f32>) -> Slice {
        self.push(name, Element::F32, values.into_iter().map(f32::to_bits).collect())
    }

    /// Given integers.
    pub fn integers(&mut self, name: &str, values: impl IntoIterator<Item = u32>) -> Slice {
        self.push(name, Element::U32, values.into_iter().collect())
    }

    /// Random bytes, packed four to a word.
    pub fn bytes(&mut self, name: &str, words: usize) -> Slice {
        self.integers(name, (0..words as u32).map(|i| hash::bits(words as u32, 9, i)))
    }

    /// The step state in batch `batch` of a pass over `count` examples.
    pub fn state(&mut self, batch: u32, count: u32) -> Slice {
        self.integers("state", example_state(batch, count).to_words())
    }

    /// Floats that the call must write, every one.
    pub fn output(&mut self, name: &str, len: usize) -> Slice {
        self.push(name, Element::F32, vec![POISON; len])
    }

    /// Integers that the call must write, every one.
    pub fn output_integers(&mut self, name: &str, len: usize) -> Slice {
        self.push(name, Element::U32, vec![POISON; len])
    }

    /// The case of `call`.
    ///
    /// # Panics
    /// If the call was refused: the case is then wrong.
    pub fn finish(self, call: Result<Call, ShapeError>) -> Case {
        match call {
            Ok(call) => Case { name: self.name, call, buffers: self.buffers },
            Err(error) => panic!("case {}: {error}", self.name),
        }
    }

    fn push(&mut self, name: &str, element: Element, words: Vec<u32>) -> Slice {
        let buffer = BufferId(self.buffers.len() as u32);
        let slice = Slice { buffer, name: name.into(), offset: 0, len: words.len(), element };
        self.buffers.push(CaseBuffer { slice: slice.clone(), words });
        slice
    }
}
