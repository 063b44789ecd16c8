//! `tilegrad bench step`: the training step of the reference network.

use super::{median, peak_rss_mb, rounded};
use crate::commands::train::reference;
use crate::data;
use crate::device::{self, DeviceArgs};
use crate::engine::EngineArgs;
use crate::output::{json, say, tell};
use anyhow::Result;
use clap::{Args, value_parser};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;
use tilegrad_model::{ModelError, Stepper, Trainer};
use tilegrad_runtime::DeviceKind;

/// Measure a training step of the reference network: forward, backward and update over a batch of MNIST.
///
/// After a warm-up, --steps steps are timed in groups, waiting for the device after each group; the median over the groups of
/// a step's share counts. On the CPU a group is one step. On an adapter it is up to 16, because a training submits
/// that many at once without waiting and a wait after each would be measured too. first_step_s is the time from the start
/// of the process to the end of the first step, everything included: loading the data, opening the device, compiling the
/// kernels.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tilegrad bench step --device software --batch 64 --steps 50 --json")]
pub struct StepArgs {
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    engine: EngineArgs,
    /// Examples of one step
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = value_parser!(u32).range(1..))]
    batch: u32,
    /// Steps that are timed
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = value_parser!(u32).range(1..))]
    steps: u32,
    /// Folder of the data [default: the MNIST that comes with the project]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// One line of JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Most steps between two waits on an adapter.
const GROUP: u32 = 16;
/// Groups wanted at least, for a median worth its name.
const SAMPLES: u32 = 9;

#[derive(Serialize)]
struct Measured {
    device: String,
    batch: u32,
    steps: u32,
    ms_per_step: f64,
    images_per_s: f64,
    first_step_s: f64,
    peak_rss_mb: Option<f64>,
}

/// Measures.
pub fn run(args: &StepArgs, started: Instant) -> Result<()> {
    let mut config = reference()?;
    config.train.batch = args.batch;
    args.engine.apply(&mut config);
    let folder = args.data.clone().map_or_else(data::mnist, Ok)?;
    let splits = data::load(&folder, &config, None)?;
    let device = args.device.open()?;
    let info = device.info().clone();
    let mut trainer = Trainer::new(device.clone(), config)?;
    let mut stepper = trainer.stepper(&splits.train)?;
    drop(splits);
    stepper.run(1)?;
    stepper.wait()?;
    let first = started.elapsed().as_secs_f64();
    let group = if info.kind == DeviceKind::Cpu { 1 } else { args.steps.div_ceil(SAMPLES).min(GROUP) };
    let seconds = median(time_groups(&mut stepper, args.steps, group)?);
    let measured = Measured {
        device: info.name,
        batch: args.batch,
        steps: args.steps,
        ms_per_step: rounded(seconds * 1e3),
        images_per_s: rounded(f64::from(args.batch) / seconds),
        first_step_s: rounded(first),
        peak_rss_mb: peak_rss_mb(),
    };
    if args.json {
        return json(&measured);
    }
    tell!("device: {}", device::line(&device));
    print(&measured);
    Ok(())
}

/// Seconds per step of each group, after a warm-up.
fn time_groups(stepper: &mut Stepper<'_>, steps: u32, group: u32) -> Result<Vec<f64>, ModelError> {
    stepper.run((steps / 5).clamp(2, 10))?;
    stepper.wait()?;
    let mut samples = Vec::new();
    let mut left = steps;
    while left > 0 {
        let now = left.min(group);
        let begun = Instant::now();
        stepper.run(now)?;
        stepper.wait()?;
        samples.push(begun.elapsed().as_secs_f64() / f64::from(now));
        left -= now;
    }
    Ok(samples)
}

fn print(measured: &Measured) {
    say!("batch {}: {} ms per step (median over {} steps)", measured.batch, measured.ms_per_step, measured.steps);
    say!("{} images/s", crate::format::count(measured.images_per_s.round() as u64));
    say!("{} s from the start of the process to the end of the first step", measured.first_step_s);
    if let Some(peak) = measured.peak_rss_mb {
        say!("{peak} MiB of memory at most");
    }
}
