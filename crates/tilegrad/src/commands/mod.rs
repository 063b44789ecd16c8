//! The commands, one file or folder each.

mod bench;
mod compare;
mod completions;
mod doctor;
mod evaluate;
mod graph;
mod kernel;
mod man;
mod predict;
mod profile;
mod train;
mod tune;
mod validate;

use anyhow::Result;
use clap::Subcommand;
use std::process::ExitCode;
use std::time::Instant;

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a network and keep what it learned in a run folder
    Train(Box<train::TrainArgs>),
    /// Measure a trained network on labelled images
    Evaluate(evaluate::EvaluateArgs),
    /// Classify images with a trained network
    Predict(predict::PredictArgs),
    /// Measure the speed of a training step or of a kernel
    Bench(bench::BenchArgs),
    Validate(validate::ValidateArgs),
    /// Find the first call of a step that a device computes otherwise than the CPU
    Compare(compare::CompareArgs),
    /// Show where the time of a training step goes
    Profile(profile::ProfileArgs),
    Tune(tune::TuneArgs),
    Graph(graph::GraphArgs),
    Kernel(kernel::KernelArgs),
    /// List the devices of this machine and what `--device auto` takes
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

impl Command {
    /// Runs the command; `started` is when the process did.
    pub fn run(&self, started: Instant) -> Result<ExitCode> {
        match self {
            Self::Train(args) => return train::run(args),
            Self::Evaluate(args) => evaluate::run(args)?,
            Self::Predict(args) => predict::run(args)?,
            Self::Bench(args) => bench::run(args, started)?,
            Self::Validate(args) => return validate::run(args),
            Self::Compare(args) => return compare::run(args),
            Self::Profile(args) => profile::run(args)?,
            Self::Tune(args) => tune::run(args)?,
            Self::Graph(args) => graph::run(args)?,
            Self::Kernel(args) => kernel::run(args)?,
            Self::Doctor(args) => doctor::run(args)?,
            Self::Completions(args) => completions::run(args)?,
            Self::Man(args) => man::run(args)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
