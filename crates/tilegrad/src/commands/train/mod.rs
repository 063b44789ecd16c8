//! `tilegrad train`: from a configuration and a folder of data to a run folder.

mod finish;
mod job;
mod summary;
mod watch;

use crate::device::{self, DeviceArgs};
use crate::engine::EngineArgs;
use crate::output::{say, tell};
use crate::progress::Waiting;
use crate::run_folder::Settings;
use crate::{data, format, interrupt};
use anyhow::{Result, ensure};
use clap::{Args, value_parser};
use job::Job;
pub use job::reference;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use tilegrad_model::data::{self as model_data, ClassRule, Preparation, Splits};
use tilegrad_model::{Checkpoint, Trainer};
use watch::Watch;

/// Options of `tilegrad train`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct TrainArgs {
    /// Configuration; without one, the reference network for MNIST
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the data: MNIST's IDX files, or a sub-folder of images per class [default: what the configuration
    /// names, else the MNIST that comes with the project]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Folder of data to validate on, in the same form as --data [default: what --data holds for it in val/, else a
    /// share of the training data]
    #[arg(long, value_name = "DIR")]
    pub val: Option<PathBuf>,
    /// Leave out images that can't be read, and count them
    #[arg(long)]
    pub skip_bad: bool,
    #[command(flatten)]
    pub device: DeviceArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Passes over the training data
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,
    /// Examples of one step
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
    /// Learning rate
    #[arg(long, value_name = "F", value_parser = learning_rate, allow_negative_numbers = true)]
    pub lr: Option<f32>,
    /// Seed of the initial weights and of the order of the examples
    #[arg(long, value_name = "N")]
    pub seed: Option<u32>,
    /// Take only the first N training examples, and at most N test examples
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Run folder [default: runs/NAME-NUMBER, a new one]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the run in --out (or the newest under runs) up to --epochs; the result is the same, byte for byte, as
    /// without the interruption
    #[arg(long)]
    pub resume: bool,
    /// Look at every value that every call writes and stop at the first that is not finite: many times slower. Without
    /// it a step whose loss is not finite is replayed under such a watch
    #[arg(long)]
    pub watch_nan: bool,
}

const EXAMPLES: &str = "\
Examples:
  tilegrad train
  tilegrad train --config my.toml --data photos --epochs 30 --out runs/photos
  tilegrad train --resume --out runs/photos";

fn learning_rate(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err("expected a positive number, such as 0.001".into()),
    }
}

/// Trains.
pub fn run(args: &TrainArgs) -> Result<ExitCode> {
    interrupt::listen();
    let job = Job::new(args)?;
    let last = job.last()?;
    let splits = load(&job, last.as_ref())?;
    let device = job.device.open()?;
    tell!("device: {}", device::line(&device));
    say_data(&job, &splits);
    tell!("run: {}{}", job.folder.path().display(), job.origin(last.as_ref()));
    tell!("\n{}", summary::network(&job.config.network));

    let waiting = Waiting::begin("preparing");
    let mut trainer = match last.clone() {
        Some(checkpoint) => Trainer::resume(device, checkpoint)?,
        None => Trainer::new(device, job.trained_config())?,
    };
    trainer.set_epochs(job.config.train.epochs);
    trainer.set_watch_nan(args.watch_nan);
    let settings = settings(&job, &splits);
    let mut watch = Watch::new(job, settings, last, waiting);
    let started = Instant::now();
    trainer.fit_watched(&splits, &mut watch)?;
    watch.end_epochs();
    if trainer.epoch() < trainer.config().train.epochs {
        return Ok(interrupted(&watch, &trainer));
    }
    tell!("\ntrained in {}", format::duration(started.elapsed()));
    finish::finish(&watch, &trainer, &splits)?;
    Ok(ExitCode::SUCCESS)
}

/// The data, the same as before if the run goes on from `last`.
fn load(job: &Job, last: Option<&Checkpoint>) -> Result<Splits> {
    let waiting = Waiting::begin("loading the data");
    let options = data::options(&job.config, job.skip_bad);
    let mut splits = model_data::load(&job.data, &options)?;
    if let Some(validation) = &job.validation {
        splits = splits.with_validation(validation, &options)?;
    }
    if let Some(last) = last {
        splits = splits.with_classes(&last.classes, &ClassRule::default())?;
    }
    splits = data::cut(splits, job.limit)?;
    drop(waiting);
    if let Some(stored) = &job.stored {
        let same = stored.fingerprint == data::fingerprint(&splits);
        ensure!(same, "{}: the training data is not what this run was started with", job.data.display());
    }
    Ok(splits)
}

/// Says what there is to train on, what was left out, and what may surprise.
fn say_data(job: &Job, splits: &Splits) {
    let division = job.config.divide(splits);
    tell!("data: {}: {}", job.data.display(), data::summary(splits, &division));
    data::say_notes(splits);
    if job.config.data.prepare == Preparation::Mnist && !data::holds_idx(&job.data) {
        tell!("note: prepare = \"mnist\": each image is made light on dark, cropped and centred as MNIST's digits are");
    }
    division.warnings.iter().for_each(|warning| say!("warning: {warning}"));
}

fn settings(job: &Job, splits: &Splits) -> Settings {
    let fingerprint = data::fingerprint(splits);
    Settings {
        validation: job.validation.clone(),
        skip_bad: job.skip_bad,
        limit: job.limit,
        ..Settings::new(&job.config, job.data.clone(), fingerprint, job.device.choice())
    }
}

fn interrupted(watch: &Watch, trainer: &Trainer) -> ExitCode {
    let folder = watch.folder().path().display();
    let saved = match trainer.epoch() {
        0 => "no epoch was done yet".to_owned(),
        epoch => format!(
            "{} saved in {folder}",
            if epoch == 1 { "epoch 1 is".into() } else { format!("epochs 1 to {epoch} are") }
        ),
    };
    match watch.stopped_after() {
        Some(epoch) => say!("stopped after epoch {epoch}; {saved}"),
        None => say!("stopped in epoch {}; {saved}", trainer.epoch() + 1),
    }
    say!("go on with: tilegrad train --resume --out {folder}");
    interrupt::exit_code()
}
