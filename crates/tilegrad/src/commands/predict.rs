//! `tilegrad predict`: the classes of images.

use crate::device::DeviceArgs;
use crate::engine::EngineArgs;
use crate::output::{json, say};
use crate::progress::Waiting;
use anyhow::{Result, ensure};
use clap::{Args, ValueEnum, value_parser};
use serde::Serialize;
use std::path::{Path, PathBuf};
use tilegrad_model::data::{Dataset, ImageShape, Invert, Preparation, PreparedImage, prepare_image};
use tilegrad_model::{Checkpoint, Loss, Trainer};

/// Options of `tilegrad predict`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PredictArgs {
    /// Checkpoint of a training
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Image files: png, jpeg, bmp, gif, webp, pnm or tiff
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
  tilegrad predict --model runs/mnist_cnn-1/best.safetensors digit.png
  tilegrad predict --model best.safetensors --json --prepare plain scans/*.png";

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

#[derive(Serialize)]
struct Predictions<'a> {
    model: String,
    /// How the files were prepared.
    prepare: &'static str,
    images: Vec<Prediction<'a>>,
}

#[derive(Serialize)]
struct Prediction<'a> {
    file: String,
    class: &'a str,
    probability: f64,
    inverted: bool,
    rescaled: bool,
    blank: bool,
    probabilities: Vec<Score<'a>>,
}

#[derive(Serialize)]
struct Score<'a> {
    class: &'a str,
    probability: f64,
}

/// Predicts.
pub fn run(args: &PredictArgs) -> Result<()> {
    let mut checkpoint = Checkpoint::load(&args.model)?;
    args.engine.apply(&mut checkpoint.config);
    let (shape, loss) = (checkpoint.config.network.input(), checkpoint.config.train.loss);
    let classes = checkpoint.classes.clone();
    let trained = checkpoint.config.data.prepare;
    let preparation = args.prepare.map_or(trained, Preparation::from);
    let (files, prepared) = prepare(args, shape, preparation)?;
    let waiting = Waiting::begin("preparing");
    let trainer = Trainer::resume(args.device.open()?, checkpoint)?;
    let outputs = trainer.predict(&unlabelled(&prepared, shape, &classes)?)?;
    drop(waiting);
    let top = args.top.map_or(if args.json { usize::MAX } else { 3 }, |top| top as usize);
    let of = |((path, image), row): ((&PathBuf, &PreparedImage), &Vec<f32>)| {
        prediction(path, image, scores(loss, row, &classes), top)
    };
    let images: Vec<Prediction<'_>> = files.iter().copied().zip(&prepared).zip(&outputs).map(of).collect();
    if args.json {
        let (model, prepare) = (args.model.display().to_string(), preparation.word());
        return json(&Predictions { model, prepare, images });
    }
    if preparation != trained {
        say!("note: prepared as asked, {}; the network was trained with {}", preparation.word(), trained.word());
    }
    if files.len() < args.images.len() {
        let left_out = args.images.len() - files.len();
        say!("note: left out {} that can't be read", crate::format::plural(left_out, "file"));
    }
    images.iter().for_each(print);
    Ok(())
}

/// The files that can be read, and what became of them; a file that cannot is an error unless it may be left out.
fn prepare(
    args: &PredictArgs,
    shape: ImageShape,
    preparation: Preparation,
) -> Result<(Vec<&PathBuf>, Vec<PreparedImage>)> {
    let (mut files, mut images) = (Vec::new(), Vec::new());
    for path in &args.images {
        match prepare_image(path, shape, preparation, args.invert.into()) {
            Ok(image) => {
                files.push(path);
                images.push(image);
            }
            Err(_) if args.skip_bad => {}
            Err(error) => return Err(error.into()),
        }
    }
    ensure!(!files.is_empty(), "none of the files can be read as an image");
    Ok((files, images))
}

/// The images as one batch.
fn unlabelled(prepared: &[PreparedImage], shape: ImageShape, classes: &[String]) -> Result<Dataset> {
    let bytes = prepared.iter().flat_map(|image| image.bytes.iter().copied()).collect();
    Ok(Dataset::new("the images", shape, bytes, vec![0; prepared.len()], classes.to_vec())?)
}

/// The classes with their scores, the best first.
fn scores<'a>(loss: Loss, outputs: &[f32], classes: &'a [String]) -> Vec<Score<'a>> {
    let pairs = classes.iter().zip(loss.scores(outputs));
    let mut scores: Vec<Score<'_>> = pairs.map(|(class, probability)| Score { class, probability }).collect();
    scores.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    scores
}

fn prediction<'a>(path: &Path, image: &PreparedImage, mut scores: Vec<Score<'a>>, top: usize) -> Prediction<'a> {
    let (class, probability) = scores.first().map_or(("", 0.0), |best| (best.class, best.probability));
    scores.truncate(top);
    Prediction {
        file: path.display().to_string(),
        class,
        probability,
        inverted: image.inverted,
        rescaled: image.rescaled,
        blank: image.blank,
        probabilities: scores,
    }
}

fn print(image: &Prediction<'_>) {
    say!("{}", line(image));
}

fn line(image: &Prediction<'_>) -> String {
    let done = [(image.inverted, "inverted"), (image.rescaled, "rescaled"), (image.blank, "blank: nothing stands out")];
    let done: Vec<&str> = done.iter().filter(|(was, _)| *was).map(|(_, what)| *what).collect();
    let done = if done.is_empty() { String::new() } else { format!("  ({})", done.join(", ")) };
    let others = image.probabilities.iter().skip(1).map(|score| format!("{} {:.4}", score.class, score.probability));
    let others: Vec<String> = others.collect();
    let others = if others.is_empty() { String::new() } else { format!("  then {}", others.join(", ")) };
    format!("{}: {}  probability {:.4}{others}{done}", image.file, image.class, image.probability)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prediction_is_one_line_with_the_best_first() {
        let classes = ["cat".to_owned(), "dog".to_owned(), "emu".to_owned()];
        let shape = ImageShape { height: 1, width: 1, channels: 1 };
        let image = PreparedImage { shape, bytes: vec![0], inverted: true, rescaled: false, blank: false };
        let scores = scores(Loss::MeanSquaredError, &[0.25, 0.5, 0.125], &classes);
        let shown = line(&prediction(Path::new("a.png"), &image, scores, 2));
        assert_eq!(shown, "a.png: dog  probability 0.5000  then cat 0.2500  (inverted)");
    }
}
