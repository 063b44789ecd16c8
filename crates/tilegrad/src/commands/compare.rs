//! `tilegrad compare`: a training step on a device and on the CPU, call by call.

use crate::commands::train::reference;
use crate::data;
use crate::device::{self, DeviceArgs};
use crate::engine::EngineArgs;
use crate::output::say;
use crate::progress::Waiting;
use anyhow::{Result, bail};
use clap::{Args, value_parser};
use std::path::PathBuf;
use tilegrad_model::{Config, Trainer};
use tilegrad_runtime::{Device, DeviceChoice, DeviceKind, DeviceOptions};

/// Run a training step on a device and on the CPU, and name the first call whose results differ beyond its tolerance.
///
/// Before each call the CPU gets what the device reads and is about to write, so that each call is judged by itself. From
/// --cpu-from on the CPU goes on by itself with what it has, so that differences add up as they would in a training.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tilegrad compare --device software\n  tilegrad compare --device gpu --cpu-from 0")]
pub struct CompareArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Configuration; without one, the reference network for MNIST
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Folder of the data [default: what the configuration names, else the MNIST that comes with the project]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Examples of the step
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// Number of the first call, as `tilegrad graph` counts them, before which the CPU gets nothing any more
    #[arg(long, value_name = "CALL", default_value_t = usize::MAX, hide_default_value = true)]
    cpu_from: usize,
}

/// Compares; a difference is an error.
pub fn run(args: &CompareArgs) -> Result<()> {
    let mut config = args.config.as_deref().map_or_else(reference, |path| Ok(Config::load(path)?))?;
    config.train.batch = args.batch.unwrap_or(config.train.batch);
    args.engine.apply(&mut config);
    let folder = args.data.clone().or_else(|| config.data.folder.clone()).map_or_else(data::mnist, Ok)?;
    let waiting = Waiting::begin("comparing");
    let splits = data::load(&folder, &config, None)?;
    let device = args.device.open()?;
    if device.info().kind == DeviceKind::Cpu {
        bail!("the CPU device has nothing to be compared with; name an adapter with --device, such as software");
    }
    let cpu = Device::open(&DeviceChoice::Cpu, DeviceOptions::default())?;
    let mut mine = Trainer::new(device.clone(), config.clone())?;
    let mut theirs = Trainer::new(cpu, config)?;
    let found = mine.compare_step(&mut theirs, &splits.train, args.cpu_from)?;
    drop(waiting);
    say!("device: {}", device::line(&device));
    match found {
        Some(difference) => bail!("{} differs from the CPU: {difference}", device.info().name),
        None => say!("every call of the step agrees with the CPU within its kernel's tolerance"),
    }
    Ok(())
}
