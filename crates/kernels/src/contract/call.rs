//! Calls: a kernel, the buffers bound to it and its params; pure data.

use super::{Cost, Element, Halves, Kernel};
use std::{fmt, sync::Arc};

/// Identity of a virtual buffer within its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub u32);

/// A run of elements of a virtual buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// The buffer that the elements lie in.
    pub buffer: BufferId,
    /// The caller's own name for the elements, for messages and printed graphs.
    pub name: Arc<str>,
    /// First element, counted from the start of the buffer.
    pub offset: usize,
    /// Number of elements.
    pub len: usize,
    /// Type of the elements.
    pub element: Element,
}

impl Slice {
    /// `len` elements from element `offset` of this slice on, under a name of their own.
    pub fn part(&self, name: &str, offset: usize, len: usize) -> Self {
        Self { name: name.into(), offset: self.offset + offset, len, ..self.clone() }
    }

    /// The word of four bytes that the first element lies in.
    pub fn first_word(&self) -> usize {
        self.element.bytes() * self.offset / 4
    }

    /// Whole words of four bytes that the elements take.
    pub fn words(&self) -> usize {
        self.element.words(self.len)
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let half = if self.element == Element::F16 { ":f16" } else { "" };
        write!(f, "{}[{}]{half}", self.name, self.len)
    }
}

/// A kernel, the buffers bound to it and its params.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// What runs.
    pub kernel: &'static Kernel,
    /// One slice per binding of the kernel, in order.
    pub buffers: Vec<Slice>,
    /// The params struct as 32-bit words, in the order of [`Kernel::params`].
    pub params: Vec<u32>,
}

impl Call {
    /// Only a kernel's own `call` function comes here, after it has checked the shapes.
    pub(crate) fn new(kernel: &'static Kernel, buffers: Vec<Slice>, params: Vec<u32>) -> Self {
        debug_assert_eq!(buffers.len(), kernel.bindings.len());
        debug_assert_eq!(params.len(), kernel.params.len());
        Self { kernel, buffers, params }
    }

    /// Whether `other` is the same work over other buffers: what is tuned for one is right for the other.
    pub fn is_like(&self, other: &Self) -> bool {
        self.kernel == other.kernel && self.params == other.params && Halves::of(self) == Halves::of(other)
    }

    /// The word of the params field called `name`.
    pub fn param(&self, name: &str) -> Option<u32> {
        self.kernel.params.iter().position(|field| field.name == name).map(|at| self.params[at])
    }

    /// Work of this call. A kernel counts floats of four bytes; what is bound as halves counts half as much.
    pub fn cost(&self) -> Cost {
        let Cost { flops, bytes } = (self.kernel.cost)(&self.params);
        let halves = Halves::of(self);
        let saved = |(at, slice): (usize, &Slice)| {
            let first = self.buffers[..at].iter().all(|other| other.buffer != slice.buffer);
            if halves.contains(at) && first { 2 * slice.len as u64 } else { 0 }
        };
        let saved: u64 = self.buffers.iter().enumerate().map(saved).sum();
        Cost { flops, bytes: bytes.saturating_sub(saved) }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.kernel.name)?;
        for (i, (binding, slice)) in self.kernel.bindings.iter().zip(&self.buffers).enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{}={slice}", binding.name)?;
        }
        write!(f, ")")?;
        for (field, word) in self.kernel.params.iter().zip(&self.params) {
            write!(f, " {}={}", field.name, field.value(*word))?;
        }
        Ok(())
    }
}
