//! Where data comes from: a folder that the user names, or the MNIST that comes with the project.

use crate::output::tell;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use tilegrad_model::data::{self, ClassRule, Dataset, Division, LoadOptions, Splits};
use tilegrad_model::{Checkpoint, Config, Shape};

/// Place of the project's MNIST within the repository.
const MNIST: &str = "assets/mnist";

/// The data set in `folder` as a new network of `config` takes it, cut to at most `limit` examples of each split.
pub fn load(folder: &Path, config: &Config, limit: Option<usize>) -> Result<Splits> {
    cut(data::load(folder, &options(config, false))?, limit)
}

/// What the network of `config` asks of its data.
pub fn options(config: &Config, skip_bad: bool) -> LoadOptions {
    LoadOptions {
        shape: Some(config.network.input()),
        classes: Some(config.network.outputs() as usize),
        prepare: config.data.prepare,
        skip_bad,
    }
}

/// The data set in `folder` as a trained network takes it, with the network's classes, found by `rule`.
pub fn load_for(folder: &Path, model: &Checkpoint, rule: &ClassRule, skip_bad: bool) -> Result<Splits> {
    let options = LoadOptions { classes: None, ..options(&model.config, skip_bad) };
    Ok(data::load(folder, &options)?.with_classes(&model.classes, rule)?)
}

/// At most the first `limit` examples of each split.
pub fn cut(splits: Splits, limit: Option<usize>) -> Result<Splits> {
    let Some(limit) = limit else { return Ok(splits) };
    let head = |part: Option<Dataset>| part.map(|part| part.head(limit)).transpose();
    Ok(Splits {
        train: splits.train.head(limit)?,
        validation: head(splits.validation)?,
        test: head(splits.test)?,
        notes: splits.notes,
    })
}

/// Prints what was left out of the data.
pub fn say_notes(splits: &Splits) {
    splits.notes.iter().for_each(|note| tell!("note: {note}"));
}

/// `folder` with its full path, so that it is found again from elsewhere.
pub fn absolute(folder: &Path) -> Result<PathBuf> {
    folder.canonicalize().with_context(|| format!("{}: the data folder could not be opened", folder.display()))
}

/// The folder of the project's MNIST: near the current folder, near this program, or where it was built.
pub fn mnist() -> Result<PathBuf> {
    match of_project(MNIST, holds_idx) {
        Some(folder) => absolute(&folder),
        None => bail!(
            "the program comes without MNIST, and the project's ({MNIST}) was not found; give a folder of data with --data \
             DIR: a sub-folder of images per class, or MNIST's four IDX files"
        ),
    }
}

/// What the project keeps at `place`, if `suits` says so: near the current folder, near this program, or where it was
/// built.
pub fn of_project(place: &str, suits: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let program = std::env::current_exe().and_then(|path| path.canonicalize()).ok();
    let starts = std::env::current_dir().ok().into_iter().chain(program);
    let near = starts.flat_map(|start| start.ancestors().map(|folder| folder.join(place)).collect::<Vec<_>>());
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(place);
    near.chain([built]).find(|path| suits(path))
}

/// Whether IDX files lie in `folder`.
pub fn holds_idx(folder: &Path) -> bool {
    ["train-images-idx3-ubyte.gz", "train-images-idx3-ubyte"].iter().any(|name| folder.join(name).is_file())
}

/// What there is to train on and to test on, in a line.
pub fn summary(splits: &Splits, division: &Division) -> String {
    let count = |number: usize| crate::format::count(number as u64);
    let mut parts = vec![format!("{} to train on", count(division.train.len()))];
    if !division.validation.is_empty() {
        let whose = if splits.validation.is_some() { " (a set of its own)" } else { "" };
        parts.push(format!("{} to validate on{whose}", count(division.validation.len())));
    }
    parts.push(
        splits.test.as_ref().map_or("none to test on".into(), |test| format!("{} to test on", count(test.len()))),
    );
    let data = &splits.train;
    format!("images of {1} in {2} classes: {0}", parts.join(", "), Shape::Image(data.shape()), data.classes().len())
}

/// A number that changes when any example to train or to validate on does; against mistakes, not against malice.
pub fn fingerprint(splits: &Splits) -> String {
    let validation = splits.validation.iter().map(|own| format!("-{}", fingerprint_of(own)));
    fingerprint_of(&splits.train) + &validation.collect::<String>()
}

fn fingerprint_of(data: &Dataset) -> String {
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let images = data.images().chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    let labels = data.labels().iter().map(|&label| u64::from(label));
    format!("{:016x}", images.chain(labels).chain([data.len() as u64]).fold(0, mix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilegrad_model::data::{ImageShape, Split, TrainingData};

    fn dataset(images: [u8; 9], labels: [u32; 3]) -> Dataset {
        let shape = ImageShape { height: 1, width: 3, channels: 1 };
        Dataset::new("d", shape, images.to_vec(), labels.to_vec(), vec!["a".into(), "b".into()]).unwrap()
    }

    #[test]
    fn the_fingerprint_sees_every_byte_and_label() {
        let of = |validation: Option<Dataset>, images: [u8; 9], labels: [u32; 3]| {
            fingerprint(&Splits { train: dataset(images, labels), validation, test: None, notes: Vec::new() })
        };
        let base = of(None, [1; 9], [0, 1, 0]);
        assert_eq!(base, of(None, [1; 9], [0, 1, 0]));
        assert_ne!(base, of(None, [1, 1, 1, 1, 1, 1, 1, 1, 2], [0, 1, 0]));
        assert_ne!(base, of(None, [1; 9], [0, 1, 1]));
        let own = of(Some(dataset([1; 9], [0, 1, 0])), [1; 9], [0, 1, 0]);
        assert_ne!(base, own);
        assert_ne!(own, of(Some(dataset([2; 9], [0, 1, 0])), [1; 9], [0, 1, 0]));
    }

    #[test]
    fn the_summary_counts_each_part() {
        let train = dataset([1; 9], [0, 1, 0]);
        let test = Some(train.head(2).unwrap());
        let mut splits = Splits { validation: None, test, train, notes: Vec::new() };
        let line = |splits: &Splits| summary(splits, &TrainingData::from(splits).divide(0.4, Split::Stratified, 1));
        assert_eq!(line(&splits), "images of 1x3x1 in 2 classes: 2 to train on, 1 to validate on, 2 to test on");
        splits.validation = splits.test.clone();
        assert_eq!(
            line(&splits),
            "images of 1x3x1 in 2 classes: 3 to train on, 2 to validate on (a set of its own), 2 to test on"
        );
    }
}
