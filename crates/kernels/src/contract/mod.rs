//! What every kernel has in common: its description, its calls, its test cases.

mod call;
mod case;
mod check;
mod element;
mod halves;
pub mod hash;
mod kernel;
mod macros;
mod operand;
mod source;
mod unroll;

pub use call::{BufferId, Call, Slice};
pub(crate) use case::CaseBuilder;
#[cfg(test)]
pub(crate) use case::example_state;
pub use case::{Case, CaseBuffer, POISON};
pub(crate) use check::demand;
pub use check::{Check, ShapeError, volume};
pub use element::Element;
pub use halves::{Halves, HostCall, operands};
pub use kernel::{
    Access, Binding, Cost, Family, Field, FieldType, HostFunction, Kernel, Threads, Tile, Tolerance, Variant,
};
pub(crate) use macros::{buffers, field_type, is_half, params};
pub use operand::{Bound, Operand, Read, Write};

/// Elements of one task of an elementwise reference: enough to be worth a task, few enough to stay in the first cache.
pub(crate) const LINE: usize = 4096;

/// What a kernel's file imports.
pub(crate) mod prelude {
    pub(crate) use super::LINE;
    pub(crate) use super::{
        Call, Case, Check, Cost, Family, Kernel, Operand, Read, ShapeError, Slice, Threads, Tile, Tolerance, Variant,
        Write, buffers, demand, params, volume,
    };
    pub(crate) use rayon::prelude::*;
}
