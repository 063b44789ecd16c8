//! What is trained: layers, losses, optimisers, data, checkpoints and the [`Trainer`].
//!
//! ```no_run
//! use tilegrad_model::{Config, Network, Trainer, conv2d, data, dense, flatten, max_pool};
//! use tilegrad_runtime::{Device, DeviceChoice, DeviceOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mnist = data::load("assets/mnist".as_ref(), &data::LoadOptions::default())?;
//! let network = Network::builder(mnist.train.shape())
//!     .layer(conv2d(32, 3).relu())
//!     .layer(max_pool(2))
//!     .layer(flatten())
//!     .layer(dense(10))
//!     .build()?;
//! let device = Device::open(&DeviceChoice::Auto, DeviceOptions::default())?;
//! let mut trainer = Trainer::new(device, Config::new(network))?;
//! let history = trainer.fit(&mnist.train)?;
//! println!("{:?}", history.last());
//! # Ok(())
//! # }
//! ```

pub mod checkpoint;
mod config;
pub mod data;
mod engine;
mod error;
mod files;
mod fusion;
mod init;
mod metrics;
mod network;
mod ops;
mod optimiser;
mod parameters;
mod program;
mod section;
mod trainer;

pub use checkpoint::Checkpoint;
pub use config::{Config, DataConfig, Loss, Monitor, TrainConfig};
pub use engine::{Engine, Lowering, Precision};
pub use error::ModelError;
pub use files::{remove_unfinished, write_atomically};
pub use init::Init;
pub use metrics::{ClassReport, Report};
pub use network::{
    Activation, Layer, Network, NetworkBuilder, Node, Padding, Pair, Shape, add, avg_pool, conv2d, dense, flatten,
    global_avg_pool, max_pool, relu,
};
pub use ops::LayerProgram;
pub use optimiser::Optimiser;
pub use parameters::{ParameterSet, ParameterSpec};
pub use program::{DataSize, Mode, Program};
pub use trainer::{
    CallDifference, Cause, EpochRecord, Evaluation, Evaluator, NamedTensor, Observer, PendingOutputs, Predictor,
    Progress, Range, Stepper, Trainer, Work,
};
