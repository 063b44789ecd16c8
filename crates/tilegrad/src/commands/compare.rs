//! `tilegrad compare`: a training step on a device and on the CPU, call by call.

use crate::commands::train::reference;
use crate::device::{self, DeviceArgs};
use crate::engine::EngineArgs;
use crate::output::{json, say, tell};
use crate::progress::Waiting;
use crate::{data, sample};
use anyhow::{Result, bail};
use clap::{Args, value_parser};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use tilegrad_model::data::Dataset;
use tilegrad_model::{CallDifference, Config, Trainer};
use tilegrad_runtime::{Device, DeviceChoice, DeviceKind, DeviceOptions, RuntimeError};

/// Run a training step on a device and on the CPU, and name the first call whose results differ beyond its tolerance.
///
/// Without --device a hardware GPU is taken if there is one, else a software adapter. Before each call the CPU gets what the
/// device reads and is about to write, so that each call is judged by itself. From --cpu-from on the CPU goes on by itself with
/// what it has, so that differences add up as they would in a training.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tilegrad compare\n  tilegrad compare --device gpu --cpu-from 0")]
pub struct CompareArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Configuration; without one, the reference network for MNIST
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Folder of the data [default: what the configuration names, else MNIST images that come with the program]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Examples of the step
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// Number of the first call, as `tilegrad graph` counts them, before which the CPU gets nothing any more
    #[arg(long, value_name = "CALL", default_value_t = usize::MAX, hide_default_value = true)]
    cpu_from: usize,
    /// One object of JSON instead of text
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Serialize)]
struct Compared {
    device: String,
    agrees: bool,
    difference: Option<Difference>,
}

/// The first element of the first call that differs.
#[derive(Serialize)]
struct Difference {
    call: usize,
    layer: String,
    kernel: &'static str,
    buffer: String,
    index: usize,
    got: f64,
    expected: f64,
    allowed: f64,
}

impl From<CallDifference> for Difference {
    fn from(found: CallDifference) -> Self {
        let CallDifference { call, scope, kernel, buffer, index, got, expected, allowed } = found;
        Self { call, layer: scope, kernel, buffer, index, got, expected, allowed }
    }
}

/// Compares; a difference is an error.
pub fn run(args: &CompareArgs) -> Result<ExitCode> {
    let mut config = args.config.as_deref().map_or_else(reference, |path| Ok(Config::load(path)?))?;
    config.train.batch = args.batch.unwrap_or(config.train.batch);
    args.engine.apply(&mut config);
    let waiting = Waiting::begin("comparing");
    let data = examples(args, &config)?;
    let device = adapter(&args.device)?;
    let cpu = Device::open(&DeviceChoice::Cpu, DeviceOptions::default())?;
    let mut mine = Trainer::new(device.clone(), config.clone())?;
    let mut theirs = Trainer::new(cpu, config)?;
    let found = mine.compare_step(&mut theirs, &data, args.cpu_from)?;
    drop(waiting);
    if args.json {
        let device = device.info().name.clone();
        let agrees = found.is_none();
        json(&Compared { device, agrees, difference: found.map(Difference::from) })?;
        return Ok(ExitCode::from(u8::from(!agrees)));
    }
    tell!("device: {}", device::line(&device));
    match found {
        Some(difference) => bail!("{} differs from the CPU: {difference}", device.info().name),
        None => say!("every call of the step agrees with the CPU within its kernel's tolerance"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Examples for the step: those in the folder that is named, else some of MNIST's.
fn examples(args: &CompareArgs, config: &Config) -> Result<Dataset> {
    match args.data.as_ref().or(config.data.folder.as_ref()) {
        Some(folder) => Ok(data::load(folder, config, None)?.train),
        None => sample::mnist(config.train.batch as usize),
    }
}

/// The adapter to compare: as told, else a hardware GPU if there is one, else a software adapter.
fn adapter(args: &DeviceArgs) -> Result<Device> {
    let device = match args.device {
        Some(_) => args.open()?,
        None => match Device::open(&DeviceChoice::Gpu, args.options()) {
            Err(RuntimeError::NoAdapter { .. }) => Device::open(&DeviceChoice::Software, args.options())?,
            opened => opened?,
        },
    };
    if device.info().kind == DeviceKind::Cpu {
        bail!("the CPU device has nothing to be compared with; name an adapter with --device, such as software");
    }
    Ok(device)
}
