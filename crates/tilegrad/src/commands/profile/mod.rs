//! `tilegrad profile`: where the time of a training step goes, kernel by kernel and layer by layer.

mod ceilings;
mod clock;
mod labels;
mod measure;
mod plot;
mod report;
mod trace;

use crate::commands::train::reference;
use crate::data;
use crate::device::{self, DeviceArgs};
use crate::engine::EngineArgs;
use crate::output::{json, say, tell};
use crate::progress::Waiting;
use anyhow::Result;
use clap::{Args, value_parser};
use measure::Profile;
use std::path::PathBuf;
use tilegrad_model::{Config, Trainer, write_atomically};
use tilegrad_runtime::Graph;

/// Show where the time of a training step goes, kernel by kernel and layer by layer, against what the device can do.
///
/// Two micro kernels run first, one bound by arithmetic and one by memory; a kernel's share of the better of the two is
/// what it reaches. On the CPU device each call of a step is timed as it runs. On an adapter its own timestamps time each
/// call of a step, after a self-test of that clock; without such a clock each call is repeated until it takes 5 ms. The
/// report says which. The sum of the calls is compared with the time of a whole step, and a difference is said.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tilegrad profile --device software --batch 64\n  \
                        tilegrad profile --trace step.json --plot roofline.png")]
pub struct ProfileArgs {
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
    /// Examples of one step
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// Steps or repetitions that are timed
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = value_parser!(u32).range(1..))]
    steps: u32,
    /// Write the calls of a step as a trace, for https://ui.perfetto.dev
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write a roofline picture, a PNG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// One line of JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// Measures and prints.
pub fn run(args: &ProfileArgs) -> Result<()> {
    let mut config = args.config.as_deref().map_or_else(reference, |path| Ok(Config::load(path)?))?;
    config.train.batch = args.batch.unwrap_or(config.train.batch);
    args.engine.apply(&mut config);
    let folder = args.data.clone().or_else(|| config.data.folder.clone()).map_or_else(data::mnist, Ok)?;
    let waiting = Waiting::begin("preparing");
    let splits = data::load(&folder, &config, None)?;
    let device = args.device.open()?;
    let ceilings = ceilings::ceilings(&device)?;
    let batch = config.train.batch;
    let mut trainer = Trainer::new(device.clone(), config)?;
    let mut stepper = trainer.stepper(&splits.train)?;
    drop(waiting);
    let waiting = Waiting::begin("measuring");
    let profile = measure::measure(&device, &mut stepper, args.steps)?;
    drop(waiting);
    let report = report::Report::new(&device, batch, &profile, ceilings);
    write_files(args, &report, &profile, stepper.graph())?;
    if args.json {
        return json(&report);
    }
    tell!("device: {}", device::line(&device));
    say!("{report}");
    say!("{}", report::memory(stepper.memory()));
    for (what, file) in [("trace", &args.trace), ("plot", &args.plot)] {
        if let Some(file) = file {
            say!("{what}: {}", file.display());
        }
    }
    Ok(())
}

/// Writes the trace and the picture that were asked for.
fn write_files(args: &ProfileArgs, report: &report::Report, profile: &Profile, graph: &Graph) -> Result<()> {
    if let Some(file) = &args.trace {
        write_atomically(file, trace::json(report, profile, graph).to_string().as_bytes())?;
    }
    if let Some(file) = &args.plot {
        write_atomically(file, &plot::png(report)?)?;
    }
    Ok(())
}
