//! `tilegrad evaluate`: how good a trained network is.

mod confusion;
mod mistakes;
mod part;
mod picture;
mod tables;

use crate::classes::ClassArgs;
use crate::device::{self, DeviceArgs};
use crate::engine::EngineArgs;
use crate::output::{json, tell};
use crate::progress::Waiting;
use crate::{format, run_folder};
use anyhow::Result;
use clap::Args;
use confusion::{Confused, ConfusionFile};
use mistakes::Mistakes;
use part::{Examples, Part};
use serde::Serialize;
use std::path::PathBuf;
use tilegrad_model::{Checkpoint, ClassReport, Report, Trainer};

/// Options of `tilegrad evaluate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct EvaluateArgs {
    /// Checkpoint of a training, or the folder of a run, whose best it means [default: the best of the newest run under
    /// runs]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Folder of labelled data [default: what the model was trained on, if its run folder tells, else the MNIST that
    /// comes with the project]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Part of the data to evaluate on [default: test if there is one, else validation, else all of it]
    #[arg(long, value_enum, value_name = "PART")]
    part: Option<Part>,
    #[command(flatten)]
    classes: ClassArgs,
    /// Leave out images that can't be read, and count them
    #[arg(long)]
    skip_bad: bool,
    /// Write the confusion matrix to a file: .csv, or .png for a picture
    #[arg(long, value_name = "FILE", value_parser = confusion::parse)]
    confusion: Option<ConfusionFile>,
    /// List what was classified wrong, the surest first, in a file (.csv or .jsonl), or in a new folder together with
    /// the pictures
    #[arg(long, value_name = "DIR|FILE", value_parser = mistakes::parse)]
    errors: Option<Mistakes>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    engine: EngineArgs,
    /// One object of JSON instead of text
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tilegrad evaluate --model runs/mnist_cnn-1 --json
  tilegrad evaluate --part validation --confusion matrix.png --errors wrong";

/// Most classes whose confusion matrix is part of the JSON.
const MOST_IN_JSON: usize = 100;

#[derive(Serialize)]
struct Evaluated<'a> {
    model: String,
    /// Folder of the data.
    data: String,
    part: &'static str,
    examples: usize,
    loss: f64,
    accuracy: f64,
    classes: &'a [ClassReport],
    macro_precision: f64,
    macro_recall: f64,
    macro_f1: f64,
    most_confused: &'a [Confused<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    confusion: Option<&'a [Vec<u64>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confusion_left_out: Option<&'static str>,
}

/// Evaluates.
pub fn run(args: &EvaluateArgs) -> Result<()> {
    let path = run_folder::model(args.model.as_deref())?;
    let mut checkpoint = Checkpoint::load(&path)?;
    args.engine.apply(&mut checkpoint.config);
    check_outputs(args, checkpoint.classes.len())?;
    let waiting = Waiting::begin("loading the data");
    let examples = part::load(args, &checkpoint, &path)?;
    drop(waiting);
    let device = args.device.open()?;
    if !args.json {
        tell!("device: {}", device::line(&device));
        let newest = if args.model.is_none() { " (the newest run's best)" } else { "" };
        tell!("model: {}{newest}, after {}", path.display(), format::plural(checkpoint.epoch as usize, "epoch"));
        let (folder, count) = (examples.folder.display(), format::plural(examples.data.len(), "image"));
        tell!("data: {folder}: {count}, {}", examples.why);
        examples.notes.iter().for_each(|note| tell!("note: {note}"));
        tell!("");
    }
    let loss = checkpoint.config.train.loss;
    let waiting = Waiting::begin("evaluating");
    let (report, outputs) = Trainer::resume(device, checkpoint)?.report_with_outputs(&examples.data)?;
    drop(waiting);
    let confused = confusion::most_confused(&report);
    if args.json {
        json(&evaluated(path.display().to_string(), &examples, &report, &confused))?;
    } else {
        tables::print(&report, &confused);
    }
    if let Some(file) = &args.confusion {
        file.write(&report)?;
        told(args, format_args!("confusion matrix: {}", file.path().display()));
    }
    if let Some(mistakes) = &args.errors {
        told(args, format_args!("errors: {}", mistakes.write(&examples, &outputs, loss)?));
    }
    Ok(())
}

/// Finds out before the work whether its results can be written.
fn check_outputs(args: &EvaluateArgs, classes: usize) -> Result<()> {
    args.confusion.iter().try_for_each(|file| file.check(classes))?;
    args.errors.iter().try_for_each(Mistakes::check)
}

/// Says where something was written, unless nothing but JSON is wanted.
fn told(args: &EvaluateArgs, what: std::fmt::Arguments<'_>) {
    if !args.json {
        tell!("{what}");
    }
}

fn evaluated<'a>(
    model: String,
    examples: &Examples,
    report: &'a Report,
    most_confused: &'a [Confused<'a>],
) -> Evaluated<'a> {
    let small = report.classes.len() <= MOST_IN_JSON;
    Evaluated {
        model,
        data: examples.folder.display().to_string(),
        part: examples.part,
        examples: examples.data.len(),
        loss: report.loss,
        accuracy: report.accuracy,
        classes: &report.classes,
        macro_precision: report.macro_precision,
        macro_recall: report.macro_recall,
        macro_f1: report.macro_f1,
        most_confused,
        confusion: small.then_some(&report.confusion),
        confusion_left_out: (!small)
            .then_some("more than 100 classes: write the matrix to a file with --confusion FILE"),
    }
}
