//! Where data comes from: a folder that the user names, or the MNIST that comes with the project.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use tilegrad_model::data::{self, Dataset, Splits};
use tilegrad_model::{Network, Shape};

/// Place of the project's MNIST within the repository.
const MNIST: &str = "assets/mnist";

/// The data set in `folder`, as `network` takes it, cut to at most `limit` examples of each split.
pub fn load(folder: &Path, network: &Network, limit: Option<usize>) -> Result<Splits> {
    let splits = data::load(folder, Some(network.input()), Some(network.outputs() as usize))?;
    let Some(limit) = limit else { return Ok(splits) };
    let test = splits.test.map(|test| test.head(limit)).transpose()?;
    Ok(Splits { train: splits.train.head(limit)?, test })
}

/// `folder` with its full path, so that it is found again from elsewhere.
pub fn absolute(folder: &Path) -> Result<PathBuf> {
    folder.canonicalize().with_context(|| format!("{}: the data folder could not be opened", folder.display()))
}

/// The folder of the project's MNIST: near the current folder, near this program, or where it was built.
pub fn mnist() -> Result<PathBuf> {
    match of_project(MNIST, holds_mnist) {
        Some(folder) => absolute(&folder),
        None => bail!("the MNIST of the project ({MNIST}) was not found; give a folder of data with --data DIR"),
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

fn holds_mnist(folder: &Path) -> bool {
    ["train-images-idx3-ubyte.gz", "train-images-idx3-ubyte"].iter().any(|name| folder.join(name).is_file())
}

/// What there is to train on and to test on, in a line.
pub fn summary(splits: &Splits, validation_split: f64) -> String {
    let all = splits.train.len();
    let held_out = (all as f64 * validation_split).floor() as usize;
    let count = |number: usize| crate::format::count(number as u64);
    let mut parts = vec![format!("{} to train on", count(all - held_out))];
    if held_out > 0 {
        parts.push(format!("{} to validate on", count(held_out)));
    }
    parts.push(
        splits.test.as_ref().map_or("none to test on".into(), |test| format!("{} to test on", count(test.len()))),
    );
    let data = &splits.train;
    format!("images of {1} in {2} classes: {0}", parts.join(", "), Shape::Image(data.shape()), data.classes().len())
}

/// A number that changes when any example does; against mistakes, not against malice.
pub fn fingerprint(data: &Dataset) -> String {
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
    use tilegrad_model::data::ImageShape;

    fn dataset(images: [u8; 9], labels: [u32; 3]) -> Dataset {
        let shape = ImageShape { height: 1, width: 3, channels: 1 };
        Dataset::new("d", shape, images.to_vec(), labels.to_vec(), vec!["a".into(), "b".into()]).unwrap()
    }

    #[test]
    fn the_fingerprint_sees_every_byte_and_label() {
        let base = fingerprint(&dataset([1; 9], [0, 1, 0]));
        assert_eq!(base, fingerprint(&dataset([1; 9], [0, 1, 0])));
        assert_ne!(base, fingerprint(&dataset([1, 1, 1, 1, 1, 1, 1, 1, 2], [0, 1, 0])));
        assert_ne!(base, fingerprint(&dataset([1; 9], [0, 1, 1])));
    }

    #[test]
    fn the_summary_counts_each_part() {
        let train = dataset([1; 9], [0, 1, 0]);
        let splits = Splits { test: Some(train.head(2).unwrap()), train };
        assert_eq!(
            summary(&splits, 0.4),
            "images of 1x3x1 in 2 classes: 2 to train on, 1 to validate on, 2 to test on"
        );
    }
}
