//! Storage in 16 bits: which buffers of a call hold halves, and how functions on the CPU, which know only `f32`, meet them.

use super::element::{halves, halves_mut};
use super::{Access, Call, Element, HostFunction, Kernel, Operand};
use half::slice::HalfFloatSliceExt;

/// Which bindings of a call hold 16-bit floats, in binding order. The arithmetic is `f32` all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Halves(u32);

impl Halves {
    /// All floats are 32 bits wide.
    pub const NONE: Self = Self(0);

    /// Every binding of `kernel` that can hold halves.
    pub fn all(kernel: &Kernel) -> Self {
        Self::where_(kernel, |at| kernel.bindings[at].half)
    }

    /// Those of `call`.
    pub fn of(call: &Call) -> Self {
        // A binding of integers may have anything bound to it where the kernel does not read it.
        Self::where_(call.kernel(), |at| call.kernel().bindings[at].half && call.buffers()[at].element == Element::F16)
    }

    /// Each choice of bindings of `kernel` that can hold halves, none of them among them.
    pub fn choices(kernel: &Kernel) -> impl Iterator<Item = Self> {
        let all = Self::all(kernel).0;
        (0..=all).filter(move |bits| bits & !all == 0).map(Self)
    }

    /// Whether no binding holds halves.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// Whether binding number `at` holds halves.
    pub fn contains(self, at: usize) -> bool {
        self.0 >> at & 1 == 1
    }

    /// The bindings of `kernel` that hold halves, by name.
    pub fn names(self, kernel: &Kernel) -> impl Iterator<Item = &'static str> {
        let bindings = kernel.bindings.iter().enumerate();
        bindings.filter(move |(at, _)| self.contains(*at)).map(|(_, binding)| binding.name)
    }

    fn where_(kernel: &Kernel, is_half: impl Fn(usize) -> bool) -> Self {
        Self((0..kernel.bindings.len()).filter(|at| is_half(*at)).fold(0, |bits, at| bits | 1 << at))
    }
}

/// Words of a cache line: each widened buffer begins on one if the scratch memory does.
const LINE: usize = 16;

/// A function on the CPU that may meet halves: they are widened for it, and what it wrote is rounded.
#[derive(Debug)]
pub struct HostCall {
    function: HostFunction,
    params: Vec<u32>,
    /// Elements of each buffer of halves.
    halves: Vec<Option<usize>>,
}

impl HostCall {
    /// `call` through `function`.
    pub fn new(call: &Call, function: HostFunction) -> Self {
        let halves = Halves::of(call);
        let lens = call.buffers().iter().enumerate().map(|(at, slice)| halves.contains(at).then_some(slice.len));
        Self { function, params: call.params().to_vec(), halves: lens.collect() }
    }

    /// Words of scratch memory that [`HostCall::run`] needs.
    pub fn scratch(&self) -> usize {
        self.halves.iter().flatten().map(|len| len.next_multiple_of(LINE)).sum()
    }

    /// Runs it on `operands`, in binding order. What `scratch` held is lost.
    ///
    /// # Panics
    /// If `scratch` is shorter than [`HostCall::scratch`] says.
    pub fn run(&self, mut operands: Vec<Operand<'_>>, scratch: &mut [u32]) {
        if self.halves.iter().all(Option::is_none) {
            return (self.function)(&self.params, operands);
        }
        let mut rest = &mut *scratch;
        let wide = operands.iter_mut().zip(&self.halves).map(|(operand, len)| match (len, operand) {
            (Some(len), operand) => {
                let (widened, others) = std::mem::take(&mut rest).split_at_mut(len.next_multiple_of(LINE));
                rest = others;
                let widened = &mut widened[..*len];
                halves(operand.words(), *len).convert_to_f32_slice(bytemuck::cast_slice_mut(widened));
                match operand {
                    Operand::Read(_) => Operand::Read(widened),
                    Operand::Write(_) => Operand::Write(widened),
                }
            }
            (None, Operand::Read(words)) => Operand::Read(words),
            (None, Operand::Write(words)) => Operand::Write(words),
        });
        (self.function)(&self.params, wide.collect());
        let mut rest = &*scratch;
        for (operand, len) in operands.iter_mut().zip(&self.halves).filter_map(|(o, len)| Some((o, (*len)?))) {
            let (widened, others) = rest.split_at(len.next_multiple_of(LINE));
            rest = others;
            if let Operand::Write(words) = operand {
                halves_mut(words, len).convert_from_f32_slice(bytemuck::cast_slice(&widened[..len]));
            }
        }
    }
}

/// `contents` as the operands of `kernel`, in binding order.
pub fn operands<'a>(kernel: &Kernel, contents: impl IntoIterator<Item = &'a mut Vec<u32>>) -> Vec<Operand<'a>> {
    let bound = contents.into_iter().zip(kernel.bindings).map(|(words, binding)| match binding.access {
        Access::Read => Operand::Read(words),
        Access::ReadWrite => Operand::Write(words),
    });
    bound.collect()
}
