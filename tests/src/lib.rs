//! Shared by the tests that cross crates: the devices of this machine, comparisons of whole outputs, golden
//! numbers.

pub mod compare;
pub mod devices;
pub mod golden;
