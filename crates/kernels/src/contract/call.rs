//! Calls: a kernel, the buffers bound to it and its params; pure data.

use super::{Cost, Element, Halves, Kernel, ShapeError, Variant};
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
///
/// Shaders are compiled without bounds checks because the lengths of the buffers follow from the params, so nobody alters a
/// call after its kernel's `call` function has checked it:
///
/// ```compile_fail,E0616
/// use tilegrad_kernels::{Case, relu};
/// let mut case = Case::named("seven");
/// let io = relu::Io { x: case.random("x", 7), y: case.output("y", 7) };
/// let mut call = relu::call(io, 7).unwrap();
/// call.params[0] = 7_000_000;
/// ```
///
/// ```compile_fail,E0451
/// use tilegrad_kernels::{Call, relu};
/// let call = Call { kernel: &relu::KERNEL, buffers: Vec::new(), params: vec![7_000_000] };
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    kernel: &'static Kernel,
    buffers: Vec<Slice>,
    params: Vec<u32>,
}

impl Call {
    /// Only a kernel's own `call` function comes here, after it has checked the shapes.
    pub(crate) fn new(kernel: &'static Kernel, buffers: Vec<Slice>, params: Vec<u32>) -> Self {
        debug_assert_eq!(buffers.len(), kernel.bindings.len());
        debug_assert_eq!(params.len(), kernel.params.len());
        Self { kernel, buffers, params }
    }

    /// What runs.
    pub fn kernel(&self) -> &'static Kernel {
        self.kernel
    }

    /// One slice per binding of the kernel, in order.
    pub fn buffers(&self) -> &[Slice] {
        &self.buffers
    }

    /// The params struct as 32-bit words, in the order of [`Kernel::params`].
    pub fn params(&self) -> &[u32] {
        &self.params
    }

    /// The same work over other buffers: `place` says for each slice, in binding order, which one takes its place. Its length
    /// and the type of its elements stay, since the params follow from them.
    #[must_use]
    pub fn rebound(&self, mut place: impl FnMut(&Slice) -> Slice) -> Self {
        let moved = |old: &Slice| Slice { len: old.len, element: old.element, ..place(old) };
        Self { buffers: self.buffers.iter().map(moved).collect(), ..self.clone() }
    }

    /// The same buffers and params for `kernel`, which is somebody's own and so runs with bounds checks.
    ///
    /// # Errors
    /// [`ShapeError::Invalid`] for another kernel of the list, whose calls come from its `call` function alone, and for one with
    /// other numbers of bindings and params.
    pub fn with_kernel(self, kernel: &'static Kernel) -> Result<Self, ShapeError> {
        let refuse = |problem: String| Err(ShapeError::Invalid { kernel: kernel.name, problem });
        if std::ptr::eq(self.kernel, kernel) {
            return Ok(self);
        }
        if kernel.is_listed() {
            return refuse(format!(
                "its calls come from `{}::call`, not from a call of {}",
                kernel.name, self.kernel.name
            ));
        }
        let (got, expected) = ((self.buffers.len(), self.params.len()), (kernel.bindings.len(), kernel.params.len()));
        if got != expected {
            let ((buffers, params), (bindings, fields)) = (got, expected);
            return refuse(format!("got {buffers} buffers and {params} params, expected {bindings} and {fields}"));
        }
        Ok(self.through(kernel))
    }

    /// The same call of an alternative, which takes the same buffers and params.
    pub(crate) fn through(self, kernel: &'static Kernel) -> Self {
        Self { kernel, ..self }
    }

    /// The same call with 16-bit floats in the bindings `halves`.
    pub(crate) fn with_halves(mut self, halves: Halves) -> Self {
        let bound = self.buffers.iter_mut().zip(self.kernel.bindings).enumerate();
        for (_, (slice, _)) in bound.filter(|(at, (_, binding))| binding.half && halves.contains(*at)) {
            slice.element = Element::F16;
        }
        self
    }

    /// Whether `variant` of `kernel` may run this call without bounds checks: both kernels are of the list, so that nobody
    /// outside this crate has made or altered them or called them unchecked; `kernel` is the call's own or one of its
    /// alternatives; and the variant is one of its own, as it stands there, and right for these params.
    pub fn vouches_for(&self, kernel: &Kernel, variant: &Variant) -> bool {
        let known = std::iter::once(self.kernel).chain(self.kernel.alternatives.iter().copied());
        self.kernel.is_listed()
            && kernel.is_listed()
            && known.into_iter().any(|known| std::ptr::eq(known, kernel))
            && kernel.variants.iter().any(|own| std::ptr::eq(own, variant))
            && (variant.fits)(&self.params)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Case, KERNELS, matmul, relu};

    static OWN: Kernel = relu::KERNEL.variation("relu_of_my_own", "fn main() {}");

    fn call() -> Call {
        let mut case = Case::named("seven");
        relu::call(relu::Io { x: case.random("x", 7), y: case.output("y", 7) }, 7).unwrap()
    }

    #[test]
    fn what_is_bound_elsewhere_keeps_its_length_and_type() {
        let elsewhere = |_: &Slice| Slice {
            buffer: BufferId(9),
            name: "elsewhere".into(),
            offset: 64,
            len: 1_000_000,
            element: Element::F16,
        };
        for (old, new) in call().buffers().iter().zip(call().rebound(elsewhere).buffers()) {
            assert_eq!((new.len, new.element), (old.len, old.element));
            assert_eq!((new.buffer, &*new.name, new.offset), (BufferId(9), "elsewhere", 64));
        }
    }

    #[test]
    fn calls_of_the_list_come_from_their_own_kernel() {
        let error = call().with_kernel(&crate::add::KERNEL).unwrap_err().to_string();
        assert_eq!(error, "add: its calls come from `add::call`, not from a call of relu");
        static WIDER: Kernel = crate::add::KERNEL.variation("wider", "fn main() {}");
        let error = call().with_kernel(&WIDER).unwrap_err().to_string();
        assert_eq!(error, "wider: got 2 buffers and 1 params, expected 3 and 1");
        assert_eq!(call().with_kernel(&OWN).unwrap().kernel().name, "relu_of_my_own");
    }

    #[test]
    fn only_kernels_and_variants_of_the_list_run_unchecked() {
        let (call, line) = (call(), &relu::KERNEL.variants[0]);
        assert!(call.vouches_for(&relu::KERNEL, line));
        let altered = Variant { constants: &[], ..Variant::LINE[0] };
        assert!(!call.vouches_for(&relu::KERNEL, &altered), "a variant like that of the list is not the one");
        assert!(!call.vouches_for(&relu::KERNEL.variation("relu", relu::KERNEL.wgsl), line), "a copy of the kernel");
        assert!(!call.vouches_for(&matmul::KERNEL, &matmul::KERNEL.variants[0]), "a kernel of another meaning");
        let own = call.with_kernel(&OWN).unwrap();
        assert!(!own.vouches_for(&OWN, line) && !own.vouches_for(&relu::KERNEL, line), "a call that nobody checked");
    }

    #[test]
    fn alternatives_run_unchecked_where_they_fit() {
        for case in KERNELS.iter().flat_map(|kernel| (kernel.cases)()) {
            let kernel = case.call.kernel();
            for other in std::iter::once(kernel).chain(kernel.alternatives.iter().copied()) {
                for variant in other.variants {
                    assert_eq!(
                        case.call.vouches_for(other, variant),
                        (variant.fits)(case.call.params()),
                        "{}",
                        case.name
                    );
                }
            }
        }
    }

    /// The runtime takes the last variant of a kernel where none fits: it must be one that may run unchecked.
    #[test]
    fn the_last_variant_fits_every_case_unless_the_kernel_is_an_alternative() {
        let is_alternative = |kernel: &Kernel| KERNELS.iter().any(|base| base.alternatives.contains(&kernel));
        for kernel in KERNELS.iter().filter(|kernel| !is_alternative(kernel)) {
            let last = kernel.variants.last().unwrap();
            assert!((kernel.cases)().iter().all(|case| (last.fits)(case.call.params())), "{}", kernel.name);
        }
    }
}
