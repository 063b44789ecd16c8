//! Shape checks shared by every kernel's `call`.

use super::{Binding, Call, Element, Kernel, Slice};
use thiserror::Error;

/// Why a call cannot be made.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum ShapeError {
    /// A buffer has the wrong number of elements.
    #[error("{kernel}: buffer `{buffer}` bound as `{binding}` has {got} elements, expected {formula} = {expected}")]
    Length {
        /// Kernel of the call.
        kernel: &'static str,
        /// The caller's name for the buffer.
        buffer: String,
        /// The kernel's name for the buffer.
        binding: &'static str,
        /// Elements that it has.
        got: usize,
        /// Elements that it needs.
        expected: usize,
        /// How the need follows from the shape, such as `k*n = 200*64`.
        formula: String,
    },
    /// A buffer has elements of the wrong type.
    #[error("{kernel}: buffer `{buffer}` bound as `{binding}` holds {got} elements, expected {expected}")]
    Element {
        /// Kernel of the call.
        kernel: &'static str,
        /// The caller's name for the buffer.
        buffer: String,
        /// The kernel's name for the buffer.
        binding: &'static str,
        /// Type that it has.
        got: Element,
        /// Type that it needs.
        expected: Element,
    },
    /// A shape that no call can have.
    #[error("{kernel}: {problem}")]
    Invalid {
        /// Kernel of the call.
        kernel: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// More elements than a shader's 32-bit indices reach.
    #[error("{name}: {formula} elements are more than 2^32 - 1; try a smaller batch or image")]
    TooLarge {
        /// What would be so large.
        name: String,
        /// Its shape.
        formula: String,
    },
}

/// Product of `dims`, if it fits the 32-bit indices of a shader.
///
/// # Errors
/// [`ShapeError::TooLarge`] names `name` and the dimensions.
pub fn volume(name: &str, dims: &[u32]) -> Result<usize, ShapeError> {
    let product = dims.iter().try_fold(1u32, |product, &dim| product.checked_mul(dim));
    product.map(|product| product as usize).ok_or_else(|| {
        let formula = dims.iter().map(u32::to_string).collect::<Vec<_>>().join("*");
        ShapeError::TooLarge { name: name.into(), formula }
    })
}

/// Holds a function on the CPU to what its params promise: it may be run with any operands, and what is fast reads them
/// without asking again.
///
/// # Panics
/// If the buffer bound as `binding` has another number of elements than the product of the named dimensions.
pub(crate) fn demand(binding: &str, got: usize, dims: &[(&str, u32)]) {
    let values: Vec<u32> = dims.iter().map(|(_, value)| *value).collect();
    assert!(volume(binding, &values) == Ok(got), "`{binding}` has {got} elements, expected the product of {dims:?}");
}

/// Checks the buffers of one call, then makes it.
pub struct Check {
    kernel: &'static Kernel,
    slices: Vec<Slice>,
}

impl Check {
    /// Starts with the slices in binding order.
    pub fn new(kernel: &'static Kernel, slices: Vec<Slice>) -> Self {
        Self { kernel, slices }
    }

    /// An error of this kernel about its shape.
    pub fn invalid(kernel: &'static Kernel, problem: impl Into<String>) -> ShapeError {
        ShapeError::Invalid { kernel: kernel.name, problem: problem.into() }
    }

    /// Demands that the shape obeys `rule`.
    ///
    /// # Errors
    /// [`ShapeError::Invalid`] with the problem that `describe` words.
    pub fn rule(self, holds: bool, describe: impl FnOnce() -> String) -> Result<Self, ShapeError> {
        if holds { Ok(self) } else { Err(Self::invalid(self.kernel, describe())) }
    }

    /// Demands that the buffer bound as `binding` has as many elements as the product of the named dimensions.
    ///
    /// # Errors
    /// [`ShapeError::Length`] or [`ShapeError::Element`], with the caller's own name for the buffer.
    pub fn len(self, binding: &str, dims: &[(&str, u32)]) -> Result<Self, ShapeError> {
        let (declared, slice) = self.bound(binding);
        let values: Vec<u32> = dims.iter().map(|(_, value)| *value).collect();
        let expected = volume(&format!("{}: buffer `{}`", self.kernel.name, slice.name), &values)?;
        let half = declared.half && slice.element == Element::F16;
        if slice.element != declared.element && !half {
            return Err(ShapeError::Element {
                kernel: self.kernel.name,
                buffer: slice.name.to_string(),
                binding: declared.name,
                got: slice.element,
                expected: declared.element,
            });
        }
        if slice.len != expected {
            let names: Vec<&str> = dims.iter().map(|(name, _)| *name).collect();
            let numbers: Vec<String> = values.iter().map(u32::to_string).collect();
            return Err(ShapeError::Length {
                kernel: self.kernel.name,
                buffer: slice.name.to_string(),
                binding: declared.name,
                got: slice.len,
                expected,
                formula: format!("{} = {}", names.join("*"), numbers.join("*")),
            });
        }
        Ok(self)
    }

    /// The call, after all checks.
    pub fn call(self, params: Vec<u32>) -> Call {
        Call::new(self.kernel, self.slices, params)
    }

    fn bound(&self, binding: &str) -> (&'static Binding, &Slice) {
        let found = self.kernel.bindings.iter().zip(&self.slices).find(|(declared, _)| declared.name == binding);
        match found {
            Some(found) => found,
            None => panic!("{} has no binding `{binding}`", self.kernel.name),
        }
    }
}
