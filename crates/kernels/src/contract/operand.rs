//! Buffer contents as the CPU sees them.

use super::{Access, Element};

/// The contents of one bound buffer, as four-byte words.
#[derive(Debug)]
pub enum Operand<'a> {
    /// Bound for reading.
    Read(&'a [u32]),
    /// Bound for writing.
    Write(&'a mut [u32]),
}

impl Operand<'_> {
    /// The contents.
    pub fn words(&self) -> &[u32] {
        match self {
            Self::Read(words) => words,
            Self::Write(words) => words,
        }
    }
}

/// An element type of a buffer.
pub trait Word: bytemuck::Pod {
    /// The same type, as data.
    const ELEMENT: Element;
}

impl Word for f32 {
    const ELEMENT: Element = Element::F32;
}

impl Word for u32 {
    const ELEMENT: Element = Element::U32;
}

/// A buffer that a kernel reads, as its reference sees it.
pub type Read<'a, T> = &'a [T];
/// A buffer that a kernel writes, as its reference sees it.
pub type Write<'a, T> = &'a mut [T];

/// How an operand becomes a typed slice; implemented by [`Read`] and [`Write`].
pub trait Bound<'a>: Sized {
    /// Access of the binding.
    const ACCESS: Access;
    /// Element type of the binding.
    const ELEMENT: Element;
    /// The operand's contents.
    ///
    /// # Panics
    /// If the operand is bound for another access than the kernel declares: a bug of the device.
    fn of(operand: Operand<'a>) -> Self;
}

impl<'a, T: Word> Bound<'a> for &'a [T] {
    const ACCESS: Access = Access::Read;
    const ELEMENT: Element = T::ELEMENT;
    fn of(operand: Operand<'a>) -> Self {
        match operand {
            Operand::Read(words) => bytemuck::cast_slice(words),
            Operand::Write(words) => bytemuck::cast_slice(words),
        }
    }
}

impl<'a, T: Word> Bound<'a> for &'a mut [T] {
    const ACCESS: Access = Access::ReadWrite;
    const ELEMENT: Element = T::ELEMENT;
    fn of(operand: Operand<'a>) -> Self {
        match operand {
            Operand::Write(words) => bytemuck::cast_slice_mut(words),
            Operand::Read(_) => panic!("a buffer that the kernel writes is bound for reading"),
        }
    }
}
