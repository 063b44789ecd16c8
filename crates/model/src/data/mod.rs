//! Data sets in memory: where they come from, what they must satisfy, and how one image is prepared for prediction.
//!
//! All file content is hostile until checked: sizes are compared with the bytes that are there, nothing is allocated
//! because a header claims it, and whatever is wrong becomes a one-line [`DataError`].
//!
//! | file | holds |
//! |---|---|
//! | `dataset.rs` | [`ImageShape`] and [`Dataset`], whose constructor checks every invariant |
//! | `idx.rs` | MNIST's file form, gzipped or not |
//! | `image_folder.rs` | one sub-folder of images per class |
//! | `normalise.rs` | [`prepare_image`]: one image, for prediction |
//! | `decode.rs`, `listing.rs` | image files and folders, as the others need them |

mod dataset;
mod decode;
mod error;
mod idx;
mod image_folder;
mod listing;
mod normalise;
#[cfg(test)]
mod testing;

use std::path::Path;

pub use dataset::{Dataset, ImageShape};
pub use error::{DataError, Problem};
pub use normalise::{Invert, PreparedImage, prepare_image};

use error::At;
use listing::{Entry, entries};

/// What a data folder holds.
#[derive(Clone, Debug)]
pub struct Splits {
    /// The examples to train on. The validation split is taken from these.
    pub train: Dataset,
    /// The examples to test on, if the folder holds any; same shape and classes as `train`.
    pub test: Option<Dataset>,
}

/// Most bytes that the images, or the labels, of one split may have (4 GiB).
const MAX_BYTES: u128 = 4 << 30;

/// Loads the data set in the folder `dir`, whose form is recognised by what lies in it:
///
/// - IDX: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and, optionally, the same two with `t10k`, each plain or
///   gzipped (`.gz`; where both are there, the plain one is read). Classes are `0` to the largest label, or to
///   `classes - 1`.
/// - Image folder: `CLASS/*`, or `train/CLASS/*` and, optionally, `test/CLASS/*`. Classes are the sub-folders' names in
///   byte order (so `10` comes before `2`). Names that start with a dot are ignored, and so are loose files beside the
///   class folders; every file in a class folder must be an image. Examples come in a fixed shuffled order, the
///   same on every machine.
///
/// # Shapes
/// Images are `[n, height, width, channels]` bytes. With `want`, an image folder's images are resized and turned to
/// it (1 channel: luma; 3: RGB), and IDX images must have it. Without, the first class's first image decides: its size,
/// and whether its file has colour (bmp and gif always do). Another image of a different size is then an error.
///
/// # Errors
/// Whatever keeps the data from being read as the network expects it; the message names the file or folder.
pub fn load(dir: &Path, want: Option<ImageShape>, classes: Option<usize>) -> Result<Splits, DataError> {
    let found = entries(dir)?;
    if found.iter().any(|entry| idx::is_idx_name(&entry.name)) {
        idx::load(dir, want, classes)
    } else if found.iter().any(|entry| entry.is_dir) {
        image_folder::load(dir, want, classes)
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
        let missing = load(&dir.path().join("nothing-here"), None, None).unwrap_err();
        assert!(matches!(missing.problem, Problem::Missing), "{missing}");
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        let not_folder = load(&file, None, None).unwrap_err();
        assert!(matches!(not_folder.problem, Problem::NotFolder), "{not_folder}");
    }

    #[test]
    fn unrecognised_folder_says_what_was_looked_for_and_found() {
        let dir = tempfile::tempdir().unwrap();
        let text = message(load(dir.path(), None, None));
        assert!(text.contains("train-images-idx3-ubyte") && text.ends_with("found nothing"), "{text}");
        fs::write(dir.path().join("b.csv"), "x").unwrap();
        let text = message(load(dir.path(), None, None));
        assert!(text.ends_with(r"found 1 file: b.csv"), "{text}");
        for i in 0..9 {
            fs::write(dir.path().join(format!("z{i}")), "x").unwrap();
        }
        let text = message(load(dir.path(), None, None));
        assert!(text.ends_with(r"found 10 files: b.csv, z0, z1, z2, z3, ..."), "{text}");
    }

    #[test]
    fn split_name_is_folder_and_split() {
        assert_eq!(split_name(Path::new("/no/such/mnist"), "train"), "mnist/train");
        assert!(split_name(Path::new("/"), "test").ends_with("/test"));
        assert!(split_name(Path::new("."), "train").len() > "./train".len());
    }
}
