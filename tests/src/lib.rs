//! Shared by the tests that cross crates: the devices of this machine, comparisons of whole outputs, golden
//! numbers, and a small data set.

pub mod compare;
pub mod devices;
pub mod golden;
mod spots;

pub use spots::spots;
