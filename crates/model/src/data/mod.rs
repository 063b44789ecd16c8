//! Data sets in memory: where they come from, what they must satisfy, and how one image is prepared for prediction.
//!
//! All file content is hostile until checked: sizes are compared with the bytes that are there, nothing is allocated
//! because a header claims it, and whatever is wrong becomes a one-line [`DataError`].
//!
//! | file | holds |
//! |---|---|
//! | `dataset.rs` | [`ImageShape`] and [`Dataset`], whose constructor checks every invariant |
//! | `classes.rs` | the order of classes, and [`ClassRule`]: which of a data set's are which of a model's |
//! | `split.rs` | [`TrainingData`] and which of its examples are validated on |
//! | `idx.rs` | MNIST's file form, gzipped or not |
//! | `layout.rs`, `class_folder.rs`, `image_folder.rs` | folders of parts, a folder of one class, all of an image folder |
//! | `preparation.rs` | [`Preparation`] and [`prepare_image`]: what an image file becomes |
//! | `normalise.rs` | a drawing as one of MNIST's digits |
//! | `decode.rs`, `jpeg.rs`, `listing.rs` | image files and folders, as the others need them |

mod class_folder;
mod classes;
mod dataset;
mod decode;
mod error;
mod idx;
mod image_folder;
mod jpeg;
mod layout;
mod listing;
mod normalise;
mod preparation;
mod split;
#[cfg(test)]
mod testing;

use std::path::Path;

pub use classes::ClassRule;
pub use dataset::{Dataset, ImageShape};
pub use error::{DataError, Problem};
pub use listing::image_files;
pub use preparation::{Invert, Preparation, PreparedImage, prepare_bytes, prepare_image};
pub use split::{Division, Split, TrainingData};

use error::At;
use listing::{Entry, entries};

/// What a data folder holds.
#[derive(Clone, Debug)]
pub struct Splits {
    /// The examples to train on.
    pub train: Dataset,
    /// The examples to validate on, if the folder holds any; without, some of `train` are held out. Same shape and
    /// classes as `train`.
    pub validation: Option<Dataset>,
    /// The examples to test on, if the folder holds any; same shape and classes as `train`.
    pub test: Option<Dataset>,
    /// What was left out and why, a sentence each, without a full stop.
    pub notes: Vec<String>,
}

/// What [`load`] should make of a data set.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The shape that a network takes. An image folder's images are turned to it, and IDX images must have it. Without,
    /// an image folder's first image decides, and another size is an error.
    pub shape: Option<ImageShape>,
    /// The number of classes that a network has; any other number of class folders, or a larger label, is an error.
    pub classes: Option<usize>,
    /// How an image folder's files become what the network takes.
    pub prepare: Preparation,
    /// Whether image files that can't be read are left out, and named in [`Splits::notes`], instead of an error.
    pub skip_bad: bool,
}

impl Splits {
    /// Takes the set in `dir`, an image folder or an IDX set of one part, as the examples to validate on. Its classes
    /// are found in `train` by name.
    ///
    /// # Errors
    /// Those of [`load`]; if the set has several parts, or a class that is not trained on.
    pub fn with_validation(mut self, dir: &Path, options: &LoadOptions) -> Result<Self, DataError> {
        let options = LoadOptions { shape: Some(self.train.shape()), classes: None, ..options.clone() };
        let found = load(dir, &options)?;
        if found.validation.is_some() || found.test.is_some() {
            return Err(Problem::Divided.at(dir));
        }
        let extra = |name: &&String| !self.train.classes().contains(name);
        let extra: Vec<&String> = used_classes(&found.train).into_iter().filter(extra).collect();
        if !extra.is_empty() {
            return Err(Problem::ExtraClasses { extra: error::name_list(&extra) }.at(dir));
        }
        self.validation = Some(found.train.with_classes(self.train.classes(), &ClassRule::default())?);
        self.notes.extend(found.notes);
        Ok(self)
    }

    /// The same examples with the classes of a model, found by `rule` in each part.
    ///
    /// # Errors
    /// Those of [`Dataset::labels_among`].
    pub fn with_classes(self, model: &[String], rule: &ClassRule) -> Result<Self, DataError> {
        let matched = |part: Option<Dataset>| part.map(|part| part.with_classes(model, rule)).transpose();
        Ok(Self {
            train: self.train.with_classes(model, rule)?,
            validation: matched(self.validation)?,
            test: matched(self.test)?,
            notes: self.notes,
        })
    }
}

/// The classes of which there are examples.
fn used_classes(data: &Dataset) -> Vec<&String> {
    let mut used = vec![false; data.classes().len()];
    data.labels().iter().for_each(|&label| used[label as usize] = true);
    data.classes().iter().zip(used).filter_map(|(name, used)| used.then_some(name)).collect()
}

/// Most bytes that the images, or the labels, of one split may have (4 GiB).
const MAX_BYTES: u128 = 4 << 30;

/// Loads the data set in the folder `dir`, whose form is recognised by what lies in it:
///
/// - IDX: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and, optionally, the same two with `t10k`, each plain or
///   gzipped (`.gz`; where both are there, the plain one is read). Classes are `0` to the largest label, or to
///   `classes - 1`.
/// - Image folder: `CLASS/*`, or `train/CLASS/*` and, optionally, `val/CLASS/*` (or `valid`, `validation`) and
///   `test/CLASS/*`. Classes are the sub-folders' names, those of digits as numbers (`2` before `10`). Loose files beside
///   the class folders are ignored; files in them that are no images, and folders in them, are left out and noted.
///   Examples come in a fixed shuffled order, the same on every machine.
///
/// # Shapes
/// Images are `[n, height, width, channels]` bytes; 1 channel is luma, 3 are RGB. Without a wanted shape the first
/// class's first image decides: its size, and whether its file has colour (bmp and gif always do).
///
/// # Errors
/// Whatever keeps the data from being read as the network expects it; the message names the file or folder.
pub fn load(dir: &Path, options: &LoadOptions) -> Result<Splits, DataError> {
    let found = entries(dir)?;
    if found.iter().any(|entry| idx::is_idx_name(&entry.name)) {
        idx::load(dir, options)
    } else if found.iter().any(|entry| entry.is_dir) {
        image_folder::load(dir, options)
    } else {
        Err(Problem::Unrecognised { found: summary(&found) }.at(dir))
    }
}

/// What an unrecognised folder holds, cut short.
fn summary(found: &[Entry]) -> String {
    const SHOWN: usize = 5;
    let names: Vec<_> = found.iter().take(SHOWN).map(|entry| entry.name.to_string_lossy()).collect();
    let names = error::one_line(&names.join(", "));
    match found.len() {
        0 => "nothing".to_owned(),
        n if n > SHOWN => format!("{n} files: {names}, ..."),
        1 => format!("1 file: {names}"),
        n => format!("{n} files: {names}"),
    }
}

/// Name of a split of the data in `dir`, as reports show it: `mnist/train`.
fn split_name(dir: &Path, split: &str) -> String {
    let full = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let folder = full.file_name().unwrap_or(full.as_os_str()).to_string_lossy();
    format!("{}/{split}", error::one_line(&folder))
}

#[cfg(test)]
mod tests {
    use super::testing::message;
    use super::*;
    use std::fs;

    #[test]
    fn missing_folder_and_file_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let missing = load(&dir.path().join("nothing-here"), &LoadOptions::default()).unwrap_err();
        assert!(matches!(missing.problem, Problem::Missing), "{missing}");
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        let not_folder = load(&file, &LoadOptions::default()).unwrap_err();
        assert!(matches!(not_folder.problem, Problem::NotFolder), "{not_folder}");
    }

    #[test]
    fn unrecognised_folder_says_what_was_looked_for_and_found() {
        let dir = tempfile::tempdir().unwrap();
        let text = message(load(dir.path(), &LoadOptions::default()));
        assert!(text.contains("train-images-idx3-ubyte") && text.ends_with("found nothing"), "{text}");
        fs::write(dir.path().join("b.csv"), "x").unwrap();
        let text = message(load(dir.path(), &LoadOptions::default()));
        assert!(text.ends_with(r"found 1 file: b.csv"), "{text}");
        for i in 0..9 {
            fs::write(dir.path().join(format!("z{i}")), "x").unwrap();
        }
        let text = message(load(dir.path(), &LoadOptions::default()));
        assert!(text.ends_with(r"found 10 files: b.csv, z0, z1, z2, z3, ..."), "{text}");
    }

    #[test]
    fn split_name_is_folder_and_split() {
        assert_eq!(split_name(Path::new("/no/such/mnist"), "train"), "mnist/train");
        assert!(split_name(Path::new("/"), "test").ends_with("/test"));
        assert!(split_name(Path::new("."), "train").len() > "./train".len());
    }
}
