//! `tilegrad predict`: the classes of images.

mod files;
mod prediction;

use crate::device::DeviceArgs;
use crate::engine::EngineArgs;
use crate::output::{json, note, say, tell};
use crate::progress::Waiting;
use crate::{format, run_folder};
use anyhow::{Result, bail, ensure};
use clap::{Args, ValueEnum, value_parser};
use files::{Batch, Source};
use prediction::Prediction;
use serde::Serialize;
use std::path::PathBuf;
use tilegrad_model::data::{Invert, Preparation};
use tilegrad_model::{Checkpoint, Loss, Predictor, Trainer};

/// Options of `tilegrad predict`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PredictArgs {
    /// Checkpoint of a training, or the folder of a run, whose best it means [default: the best of the newest run under
    /// runs]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Image files (png, jpeg, bmp, gif, webp, pnm or tiff), folders of them at any depth, or - for one image from
    /// standard input
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    engine: EngineArgs,
    /// How to turn the files into what the network takes [default: as its training did]
    #[arg(long, value_enum, value_name = "HOW")]
    prepare: Option<How>,
    /// When to exchange light and dark
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = When::Auto)]
    invert: When,
    /// Leave out files that can't be read, and count them
    #[arg(long)]
    skip_bad: bool,
    /// Show the K most likely classes [default: 3; with --json all]
    #[arg(long, value_name = "K", value_parser = value_parser!(u32).range(1..))]
    top: Option<u32>,
    /// One object of JSON instead of text
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tilegrad predict digit.png
  tilegrad predict --model runs/mnist_cnn-1 --json scans/ more/*.png
  tilegrad predict --model best.safetensors --prepare plain - < digit.png";

/// How files become what a network takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// Turned to luma or RGB and resized, as a folder of images is for training
    Plain,
    /// Light on dark, cropped and centred as MNIST's digits are
    Mnist,
}

impl From<How> for Preparation {
    fn from(how: How) -> Self {
        match how {
            How::Plain => Self::Plain,
            How::Mnist => Self::Mnist,
        }
    }
}

/// When images are inverted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    /// As the preparation has it: mnist inverts an image with a light border, plain none
    Auto,
    /// Whatever the image
    Always,
    /// Not at all
    Never,
}

impl From<When> for Invert {
    fn from(when: When) -> Self {
        match when {
            When::Auto => Self::Auto,
            When::Always => Self::Always,
            When::Never => Self::Never,
        }
    }
}

/// Images of one pass, if the training's batch is smaller.
const BATCH: u32 = 64;

#[derive(Serialize)]
struct Predictions<'a> {
    model: String,
    /// How the files were prepared.
    prepare: &'static str,
    images: Vec<Prediction<'a>>,
    /// Files that could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Failed>,
}

/// A file without a prediction.
#[derive(Debug, Serialize)]
struct Failed {
    file: String,
    error: String,
}

/// Predicts.
pub fn run(args: &PredictArgs) -> Result<()> {
    let path = run_folder::model(args.model.as_deref())?;
    let mut checkpoint = Checkpoint::load(&path)?;
    args.engine.apply(&mut checkpoint.config);
    let sources = files::sources(&args.images)?;
    let (config, classes) = (checkpoint.config.clone(), checkpoint.classes.clone());
    let preparation = args.prepare.map_or(config.data.prepare, Preparation::from);
    let prepare = files::Prepare { shape: config.network.input(), preparation, invert: args.invert.into() };
    let waiting = Waiting::begin("preparing");
    let trainer = Trainer::resume(args.device.open()?, checkpoint)?;
    // No larger than there are images: a pass takes as long as its batch is large.
    let most = u32::try_from(sources.len()).unwrap_or(u32::MAX);
    let mut pass = Pass {
        predictor: trainer.predictor(config.train.batch.max(BATCH).min(most))?,
        loss: config.train.loss,
        classes: &classes,
        top: args.top.map_or(if args.json { usize::MAX } else { 3 }, |top| top as usize),
    };
    drop(waiting);
    if !args.json {
        if args.model.as_ref() != Some(&path) {
            tell!("note: the model is {}", path.display());
        }
        if preparation != config.data.prepare {
            let trained = config.data.prepare.word();
            tell!("note: prepared as asked, {}; the network was trained with {trained}", preparation.word());
        }
    }
    let (mut images, mut failed) = (Vec::new(), Vec::new());
    for sources in sources.chunks(pass.predictor.batch()) {
        // Decoded images live for one pass: of a million files, only a batch is in memory.
        let batch = prepare.batch(sources);
        let predicted = pass.predict(&batch)?;
        failed.extend(batch.failed);
        if args.json {
            images.extend(predicted);
        } else {
            predicted.iter().for_each(|image| say!("{}", image.line()));
        }
    }
    ensure!(!args.skip_bad || failed.len() < sources.len(), "none of the files can be read as an image");
    let left_out = if args.skip_bad { std::mem::take(&mut failed).len() } else { 0 };
    if args.json {
        let (model, prepare) = (path.display().to_string(), preparation.word());
        let predictions = Predictions { model, prepare, images, failed };
        json(&predictions)?;
        return complain(predictions.failed, sources.len());
    }
    if left_out > 0 {
        tell!("note: left out {} that can't be read", format::plural(left_out, "file"));
    }
    complain(failed, sources.len())
}

/// Names the files that could not be read, and fails if there are any.
fn complain(mut failed: Vec<Failed>, of: usize) -> Result<()> {
    match failed.len() {
        0 => Ok(()),
        1 => bail!(failed.swap_remove(0).error),
        count => {
            failed.iter().for_each(|file| note(format_args!("error: {}", file.error)));
            bail!("{count} of {of} files can't be read as images: see above; --skip-bad leaves such files out")
        }
    }
}

/// Forward passes, and what their outputs mean.
struct Pass<'a> {
    predictor: Predictor,
    loss: Loss,
    classes: &'a [String],
    /// Most classes that are shown.
    top: usize,
}

impl<'a> Pass<'a> {
    /// A prediction for each image.
    fn predict(&mut self, batch: &Batch<'_>) -> Result<Vec<Prediction<'a>>> {
        if batch.images.is_empty() {
            return Ok(Vec::new());
        }
        let bytes: Vec<u8> = batch.images.iter().flat_map(|(_, image)| image.bytes.iter().copied()).collect();
        let outputs = self.predictor.run(&bytes)?;
        let rows = batch.images.iter().zip(outputs.chunks_exact(self.classes.len()));
        let of = |((source, image), row): (&(&Source, _), &[f32])| {
            Prediction::new(source.name(), image, self.loss, row, self.classes, self.top)
        };
        Ok(rows.map(of).collect())
    }
}
