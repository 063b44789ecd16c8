//! What can go wrong between a configuration and a trained network.

use crate::data::DataError;
use crate::trainer::{Cause, Work};
use std::path::PathBuf;
use thiserror::Error;
use tilegrad_kernels::ShapeError;
use tilegrad_runtime::RuntimeError;

/// An error of a configuration, a network, a checkpoint or a training run.
#[derive(Debug, Error)]
pub enum ModelError {
    /// A value of the configuration that cannot be.
    #[error("{place}: {problem}")]
    Config {
        /// File and table, such as `mnist.toml: [network]`.
        place: String,
        /// What was expected, what was found, and what to try.
        problem: String,
    },
    /// A layer that does not fit what comes before it.
    #[error("layer `{layer}`: {problem}")]
    Layer {
        /// Name of the layer.
        layer: String,
        /// What does not fit.
        problem: String,
    },
    /// Data that does not fit the network.
    #[error("{0}")]
    Mismatch(String),
    /// A checkpoint that cannot be used.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that could not be read or written.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was tried and what the system said.
        problem: String,
    },
    /// The loss or a parameter is no longer a number.
    #[error(
        "the {what} of step {step} is not finite{}; the last good checkpoint was kept. \
         Try a smaller learning rate (--lr)",
        cause.as_ref().map_or_else(String::new, |cause| format!(": {cause}"))
    )]
    NotFinite {
        /// `loss`, or the name of a parameter.
        what: String,
        /// The training step, counted from 1.
        step: u32,
        /// Where it began, if the step could be replayed.
        cause: Option<Box<Cause>>,
    },
    /// A device that did not do what it was given, or did it more than once.
    #[error(
        "{device} {} in {during}: it counted {counted} where {expected} were submitted, so nothing that it computed can be \
         trusted; check it with `tilegrad validate`, or use --device cpu",
        counted.verdict(expected)
    )]
    WorkLost {
        /// Name of the device.
        device: String,
        /// What was under way, such as `training`.
        during: &'static str,
        /// What was submitted.
        expected: Work,
        /// What the device says that it did.
        counted: Work,
    },
    /// Data that a device has no room for.
    #[error(
        "{data}: {device} has no room for {examples} images of {bytes} bytes each ({problem}); try less data (--limit), \
         smaller images, or a device with more memory"
    )]
    NoRoom {
        /// Name of the data set.
        data: String,
        /// Examples of it.
        examples: usize,
        /// Bytes of one of them.
        bytes: usize,
        /// Name of the device.
        device: String,
        /// What the device said.
        problem: String,
    },
    /// A call whose shapes do not agree.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Data that could not be loaded.
    #[error(transparent)]
    Data(Box<DataError>),
    /// A device that could not do it.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

impl From<DataError> for ModelError {
    fn from(error: DataError) -> Self {
        // Boxed: it is several times larger than the others.
        Self::Data(Box::new(error))
    }
}

impl ModelError {
    /// A configuration error at `place`.
    pub(crate) fn config(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { place: place.into(), problem: problem.into() }
    }
}
