//! How it runs: a [`Graph`] of kernel calls is prepared into a [`Plan`] for one [`Device`], which is a wgpu
//! adapter or the CPU.
//!
//! This crate knows no kernel by name: everything it needs stands in the kernel's description.

mod choice;
mod cpu;
mod device;
mod dispatch;
mod error;
mod gpu;
mod graph;
mod memory_plan;
mod select;
mod store;
mod trial;
mod tuner;
mod variants;
mod written;

pub use choice::{AdapterReport, DeviceChoice, DeviceKind, INSTALL_HINT, Picked, pick};
pub use device::{Device, DeviceInfo, DeviceOptions, Memory, Plan, Snapshot, UseTuning, adapters};
pub use error::RuntimeError;
pub use graph::{Buffer, Graph, Node, Purpose};
pub use memory_plan::MemoryUse;
pub use select::{Candidate, candidates, preferred};
pub use store::VARIABLE as CACHE_VARIABLE;
#[doc(hidden)]
pub use trial::Fault;
pub use tuner::{Confirmed, GAIN, Outcome, Row, StepTimes, TuneOptions, Tuning, TuningFile, Verdict, tuned_for};
