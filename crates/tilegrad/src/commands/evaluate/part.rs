//! Which examples are evaluated on: a part of the data, and never the training images in silence.

use super::EvaluateArgs;
use crate::data;
use crate::run_folder::Settings;
use anyhow::{Result, bail};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use tilegrad_model::Checkpoint;
use tilegrad_model::data::{self as model_data, Dataset, Splits};

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// What the run held out to validate on, or the data's validation set
    Validation,
    /// What was trained on
    Train,
    /// The test set
    Test,
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Train => "train",
            Self::Test => "test",
        }
    }

    /// What it is, to people.
    fn asked(self) -> &'static str {
        match self {
            Self::Validation => "its validation part, as asked",
            Self::Train => "its training part, as asked",
            Self::Test => "its test part, as asked",
        }
    }
}

/// Examples to evaluate on, with the network's classes.
#[derive(Debug)]
pub struct Examples {
    /// Folder that they are from.
    pub folder: PathBuf,
    /// The examples.
    pub data: Dataset,
    /// The place of each in its set, such as an IDX file.
    pub rows: Vec<u32>,
    /// Name of the part.
    pub part: &'static str,
    /// What was taken, and why.
    pub why: &'static str,
    /// What else to say of the data.
    pub notes: Vec<String>,
}

/// Loads the examples that `args` asks of the network `model` from `path`.
pub fn load(args: &EvaluateArgs, model: &Checkpoint, path: &Path) -> Result<Examples> {
    let beside = path.parent().unwrap_or(Path::new(".")).join("run.json");
    let run = if beside.is_file() { Some(Settings::read(&beside)?) } else { None };
    match (&args.data, run) {
        (None, Some(run)) if run.data.is_dir() => of_run(args, model, &run),
        (None, Some(run)) => {
            let gone = run.data.display();
            bail!("{gone}: the data that the model was trained on is no longer there; give it with --data DIR")
        }
        (Some(folder), Some(run)) if is_same(folder, &run.data) => of_run(args, model, &run),
        (Some(folder), _) => of_folder(args, model, folder),
        // The model lies somewhere else than in its run folder.
        (None, None) => of_folder(args, model, &data::mnist()?),
    }
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// A part of a run's own data, divided as the run divides it.
fn of_run(args: &EvaluateArgs, model: &Checkpoint, run: &Settings) -> Result<Examples> {
    let options = data::options(&model.config, run.skip_bad || args.skip_bad);
    let options = model_data::LoadOptions { classes: None, ..options };
    let mut splits = model_data::load(&run.data, &options)?;
    if let Some(own) = &run.validation {
        splits = splits.with_validation(own, &options)?;
    }
    let mut splits = data::cut(splits.with_classes(&model.classes, &args.classes.rule())?, run.limit)?;
    if data::fingerprint(&splits) != run.fingerprint {
        let changed = "the data is not what the run was started with: its parts may hold other examples";
        splits.notes.push(changed.into());
    }
    let division = model.config.divide(&splits);
    let held_out = (!division.validation.is_empty()).then_some(division.validation);
    let parts = Parts { train: division.train, validation: held_out, own: true, splits };
    parts.pick(args.part, &run.data)
}

/// A part of data that the run knows nothing of.
fn of_folder(args: &EvaluateArgs, model: &Checkpoint, folder: &Path) -> Result<Examples> {
    let splits = data::load_for(folder, model, &args.classes.rule(), args.skip_bad)?;
    let validation = splits.validation.as_ref().map(all);
    Parts { train: all(&splits.train), validation, own: false, splits }.pick(args.part, folder)
}

fn all(data: &Dataset) -> Vec<u32> {
    (0..data.len() as u32).collect()
}

/// The parts of a folder: examples of the training set by their places, and those to validate on of their own set, or of the
/// training set if there is none.
struct Parts {
    splits: Splits,
    train: Vec<u32>,
    validation: Option<Vec<u32>>,
    /// Whether the run was trained on them.
    own: bool,
}

impl Parts {
    /// The part that was asked for, else the one that tells the most about data not trained on.
    fn pick(self, wanted: Option<Part>, folder: &Path) -> Result<Examples> {
        let (part, why) = match wanted {
            Some(part) => (part, part.asked()),
            None if self.splits.test.is_some() => (Part::Test, "its test part"),
            None if self.validation.is_some() => (Part::Validation, "its validation part (it has no test part)"),
            None if self.own => (Part::Train, "all of it, which the network was trained on (no part was held out)"),
            None => (Part::Train, "all of it (it has neither a test nor a validation part)"),
        };
        let name = folder.display();
        let (set, rows) = match part {
            Part::Train => (self.splits.train, self.train),
            Part::Validation => match self.validation {
                Some(rows) => (self.splits.validation.unwrap_or(self.splits.train), rows),
                None if self.own => bail!("{name}: the run held nothing out to validate on; take another --part"),
                None => bail!("{name}: no validation part (val/CLASS/*), and no run to say what it held out"),
            },
            Part::Test => match self.splits.test {
                Some(test) => {
                    let rows = all(&test);
                    (test, rows)
                }
                None => bail!("{name}: no test part; take another --part, or name a folder with --data DIR"),
            },
        };
        let whole = wanted.is_none() && part == Part::Train && !self.own;
        let part = if whole { "all" } else { part.word() };
        let data = if rows.len() == set.len() { set } else { set.select(&rows)? };
        Ok(Examples { folder: folder.to_owned(), data, rows, part, why, notes: self.splits.notes })
    }
}
