//! What can go wrong between a graph and its results.

use thiserror::Error;

/// An error of a device, a graph or a plan.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum RuntimeError {
    /// No adapter is what the user asked for.
    #[error("no {wanted} was found ({found}); {hint}")]
    NoAdapter {
        /// What was asked for.
        wanted: String,
        /// What the machine has.
        found: String,
        /// What to try.
        hint: String,
    },
    /// The adapter is there but gave no device.
    #[error("{adapter} could not be opened: {problem}; try --device cpu")]
    Open {
        /// Name of the adapter.
        adapter: String,
        /// The driver's words.
        problem: String,
    },
    /// A call needs more than the device offers.
    #[error("{what} needs {needed}, but {device} allows {limit}; {hint}")]
    Limit {
        /// Buffer or call.
        what: String,
        /// What it needs, with the unit.
        needed: String,
        /// Name of the device.
        device: String,
        /// What the device allows.
        limit: String,
        /// What to change.
        hint: String,
    },
    /// A variant is not for this adapter.
    #[error("{what} cannot run on {device}: {problem}; choose another variant")]
    Variant {
        /// Kernel and variant.
        what: String,
        /// Name of the device.
        device: String,
        /// What the variant wants and the adapter has.
        problem: String,
    },
    /// The adapter's shaders know no 16-bit floats.
    #[error("{device} cannot store 16-bit floats (it has no shader-f16); try --precision f32")]
    NoHalves {
        /// Name of the device.
        device: String,
    },
    /// The device has no room for a buffer.
    #[error(
        "{device} has no memory left for buffer `{buffer}` of {bytes} bytes; try a smaller batch or less data (--limit)"
    )]
    OutOfMemory {
        /// Name of the device.
        device: String,
        /// Name of the buffer.
        buffer: String,
        /// Its size.
        bytes: u64,
    },
    /// The device is gone; nothing more can run on it.
    #[error("{device} was lost: {problem}; what was saved before is whole, start again with --resume")]
    Lost {
        /// Name of the device.
        device: String,
        /// The driver's words.
        problem: String,
    },
    /// The driver or wgpu refused something that should have been right.
    #[error("{device} refused the work: {problem}")]
    Refused {
        /// Name of the device.
        device: String,
        /// The driver's words.
        problem: String,
    },
    /// What was tuned could not be saved.
    #[error("what was tuned could not be saved: {0}; try another folder in TILEGRAD_CACHE_DIR")]
    Kept(String),
    /// The graph cannot be run as it stands.
    #[error("the graph cannot run: {0}")]
    Graph(String),
}
