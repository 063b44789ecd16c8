//! `tilegrad bench scaling`: how the time of a training step grows with the batch, the images and the channels.

mod axis;
mod plot;
mod point;

use super::peak_rss_mb;
use crate::device::{self, DeviceArgs};
use crate::output::{json, say, tell};
use crate::progress::{Waiting, bar_over};
use anyhow::{Result, bail};
use axis::{Axis, LEAST_MS, PLANS};
use clap::{Args, value_parser};
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tilegrad_model::write_atomically;
use tilegrad_runtime::{Device, DeviceKind};

/// Measure how the time of a training step grows with its arithmetic.
///
/// Three axes are measured: the batch from 1 to 1024, the side of the images from 28 to 224, and the channels of the
/// convolutions from 8 to 512. The network is the reference network but for these; its images are random. The time is that of
/// the fastest of several samples, the arithmetic is that of the calls of a step, the memory that of its plan. Cost
/// must grow no faster than arithmetic: between two neighbours whose steps take 1 ms or more, the time may grow by the ratio
/// of the operations times --tolerance. What does not fit the device, or the time, is said.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tilegrad bench scaling --device cpu --plot scaling.png\n  \
                        tilegrad bench scaling --quick --check")]
pub struct ScalingArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Few sizes, in some ten seconds
    #[arg(long)]
    quick: bool,
    /// Seconds for all of it, about [default: 110, or 10 with --quick; on an adapter, which compiles kernels for each size,
    /// three times as many]
    #[arg(long, value_name = "S", value_parser = value_parser!(u32).range(1..))]
    budget: Option<u32>,
    /// Times that cost may grow faster than arithmetic from one size to the next
    #[arg(long, value_name = "T", default_value_t = 1.5, value_parser = tolerance)]
    tolerance: f64,
    /// Fail if cost grows faster
    #[arg(long)]
    check: bool,
    /// Write a picture of the three axes, a PNG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// One line of JSON instead of tables
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    device: String,
    quick: bool,
    tolerance: f64,
    /// Steps below this are not judged.
    least_ms: f64,
    axes: Vec<Axis>,
    held: bool,
    seconds: f64,
    peak_rss_mb: Option<f64>,
}

/// Measures.
pub fn run(args: &ScalingArgs) -> Result<()> {
    let begun = Instant::now();
    let device = args.device.open()?;
    if !args.json {
        tell!("device: {}\n", device::line(&device));
    }
    let axes = measure(args, &device)?;
    let held = axes.iter().all(|axis| axis.held);
    if let Some(file) = &args.plot {
        write_atomically(file, &plot::png(&device.info().name, &axes)?)?;
    }
    if args.json {
        json(&Report {
            device: device.info().name.clone(),
            quick: args.quick,
            tolerance: args.tolerance,
            least_ms: LEAST_MS,
            axes,
            held,
            seconds: super::rounded(begun.elapsed().as_secs_f64()),
            peak_rss_mb: peak_rss_mb(),
        })?;
    } else {
        axes.iter().for_each(|axis| say!("{}", axis.verdict(args.tolerance)));
        if let Some(file) = &args.plot {
            say!("plot: {}", file.display());
        }
    }
    if args.check && !held {
        bail!("cost grows faster than {} times the arithmetic", args.tolerance);
    }
    Ok(())
}

/// Measures each axis, and shows its table as soon as it is done.
fn measure(args: &ScalingArgs, device: &Device) -> Result<Vec<Axis>> {
    let bar = bar_over(PLANS.iter().map(|plan| plan.values(args.quick).len()).sum());
    let _waiting = bar.is_hidden().then(|| Waiting::begin("measuring"));
    let budget = args.budget.unwrap_or_else(|| {
        let seconds = if args.quick { 10 } else { 110 };
        if device.info().kind == DeviceKind::Cpu { seconds } else { 3 * seconds }
    });
    let end = Instant::now() + Duration::from_secs(budget.into());
    let mut axes = Vec::new();
    for (at, plan) in PLANS.iter().enumerate() {
        // What one axis leaves is for the next ones.
        let left = end.saturating_duration_since(Instant::now()) / (PLANS.len() - at) as u32;
        let axis = plan.measure(device, args.quick, left, args.tolerance, &bar)?;
        if !args.json {
            bar.suspend(|| say!("{}: training steps with {}\n\n{}", axis.name, axis.fixed, axis.table()));
        }
        axes.push(axis);
    }
    bar.finish_and_clear();
    Ok(axes)
}

fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (1.0..=100.0).contains(&value) => Ok(value),
        _ => Err("a number from 1 to 100 is wanted".into()),
    }
}
