//! IDX, the file form of MNIST: a magic number, big-endian dimensions, bytes.
//!
//! Source of the form: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits",
//! <http://yann.lecun.com/exdb/mnist/>.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::dataset::check_labels;
use super::error::{At, DataError, Problem};
use super::listing::check_file;
use super::normalise::has_light_border;
use super::{Dataset, ImageShape, LoadOptions, MAX_BYTES, Preparation, Splits, split_name};

/// The four files, without `.gz`: images and labels, to train and to test.
const TRAIN: [&str; 2] = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];
const TEST: [&str; 2] = ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// Whether `name` is one of the files of an IDX set.
pub(super) fn is_idx_name(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    TRAIN.contains(&stem) || TEST.contains(&stem)
}

/// Loads the IDX set in `dir`; see [`super::load`].
pub(super) fn load(dir: &Path, options: &LoadOptions) -> Result<Splits, DataError> {
    let train = read_pair(dir, TRAIN, options.shape)?;
    let test = match TEST.iter().any(|name| find(dir, name).is_ok()) {
        true => Some(read_pair(dir, TEST, Some(train.shape))?),
        false => None,
    };
    let notes = light_borders(&train, options.prepare);
    // One class list for both splits, though a label may occur in only one of them.
    let classes = options.classes.unwrap_or_else(|| test.iter().chain([&train]).map(Pair::classes).max().unwrap_or(0));
    let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
    Ok(Splits {
        train: train.into_dataset(split_name(dir, "train"), names.clone())?,
        validation: None,
        test: test.map(|test| test.into_dataset(split_name(dir, "test"), names)).transpose()?,
        notes: notes.into_iter().collect(),
    })
}

/// What to say if prediction would turn images like these into something else than they are trained as.
fn light_borders(train: &Pair, preparation: Preparation) -> Option<String> {
    let (len, width) = (train.shape.len()?, train.shape.width as usize);
    if preparation != Preparation::Mnist || train.shape.channels != 1 {
        return None;
    }
    let light = train.images.chunks_exact(len).filter(|image| has_light_border(image, width)).count();
    let all = train.labels.len();
    (light > 0).then(|| {
        format!(
            "prepare = \"mnist\", but {light} of {all} images have a light border, which prediction inverts; \
             set prepare = \"plain\" if they are no drawings of digits"
        )
    })
}

/// An images file and its labels file.
struct Pair {
    shape: ImageShape,
    images: Vec<u8>,
    labels: Vec<u32>,
    labels_path: PathBuf,
}

impl Pair {
    /// The fewest classes that have all the labels.
    fn classes(&self) -> usize {
        self.labels.iter().max().map_or(0, |&label| label as usize + 1)
    }

    fn into_dataset(self, name: String, classes: Vec<String>) -> Result<Dataset, DataError> {
        check_labels(&self.labels, classes.len()).at(&self.labels_path)?;
        Dataset::new(name, self.shape, self.images, self.labels, classes)
    }
}

fn read_pair(dir: &Path, [images, labels]: [&str; 2], want: Option<ImageShape>) -> Result<Pair, DataError> {
    let (images_path, labels_path) = (find(dir, images)?, find(dir, labels)?);
    let (shape, images) = read_file(&images_path, |reader| read_images(reader, want))?;
    let count = images.len() as u128 / shape.bytes_of(1);
    let labels = read_file(&labels_path, |reader| read_labels(reader, count))?;
    Ok(Pair { shape, images, labels, labels_path })
}

/// The path of an IDX file, plain or gzipped.
fn find(dir: &Path, name: &str) -> Result<PathBuf, DataError> {
    let plain = dir.join(name);
    let gzipped = dir.join(format!("{name}.gz"));
    [&plain, &gzipped].into_iter().find(|path| path.exists()).cloned().ok_or_else(|| Problem::MissingFile.at(&plain))
}

/// Reads `path` through `read`, unzipping it if it is named so.
fn read_file<T>(path: &Path, read: impl Fn(&mut dyn Read) -> Result<T, Problem>) -> Result<T, DataError> {
    check_file(path)?;
    let file = BufReader::new(File::open(path).at(path)?);
    if path.extension() != Some(OsStr::new("gz")) {
        return read(&mut { file }).at(path);
    }
    // What the decoder reports as an input error is damaged content, except where the disk itself failed.
    let result = read(&mut MultiGzDecoder::new(file)).map_err(|problem| match problem {
        Problem::Io { cause } if cause.raw_os_error().is_none() => Problem::Gzip { cause },
        other => other,
    });
    result.at(path)
}

/// Reads `[n, height, width]` or `[n, height, width, channels]`.
fn read_images(reader: &mut dyn Read, want: Option<ImageShape>) -> Result<(ImageShape, Vec<u8>), Problem> {
    const EXPECTED: &str = "0x00000803 (unsigned bytes, 3 dimensions) or 0x00000804 (4 dimensions)";
    let dims = read_dims(reader, 3..=4, EXPECTED)?;
    let shape = ImageShape { height: dims[1], width: dims[2], channels: dims.get(3).copied().unwrap_or(1) };
    if shape.is_empty() {
        return Err(Problem::ZeroShape { shape });
    }
    if let Some(expected) = want.filter(|&want| want != shape) {
        return Err(Problem::Shape { found: shape, expected });
    }
    Ok((shape, read_body(reader, &dims)?))
}

/// Reads `[n]` labels for `images` images.
fn read_labels(reader: &mut dyn Read, images: u128) -> Result<Vec<u32>, Problem> {
    let dims = read_dims(reader, 1..=1, "0x00000801 (unsigned bytes, 1 dimension)")?;
    if u128::from(dims[0]) != images {
        return Err(Problem::Labels { labels: dims[0].into(), images });
    }
    Ok(read_body(reader, &dims)?.into_iter().map(u32::from).collect())
}

/// Reads the header: `0, 0`, the element type (8: unsigned byte), the rank, and that many big-endian dimensions.
fn read_dims(
    reader: &mut dyn Read,
    ranks: std::ops::RangeInclusive<u32>,
    expected: &'static str,
) -> Result<Vec<u32>, Problem> {
    let magic = read_words(reader, 1, 0)?[0];
    let rank = magic & 0xff;
    if magic >> 8 != 8 || !ranks.contains(&rank) {
        return Err(Problem::Magic { found: magic, expected });
    }
    let dims = read_words(reader, rank as usize, 4)?;
    if dims[0] == 0 { Err(Problem::Empty) } else { Ok(dims) }
}

/// Reads `count` words of the header, which begin `offset` bytes into the file.
fn read_words(reader: &mut dyn Read, count: usize, offset: usize) -> Result<Vec<u32>, Problem> {
    let bytes = read_at_most(reader, 4 * count as u64)?;
    if bytes.len() < 4 * count {
        return Err(Problem::ShortHeader { found: offset + bytes.len(), expected: offset + 4 * count });
    }
    Ok(bytes.as_chunks::<4>().0.iter().map(|&word| u32::from_be_bytes(word)).collect())
}

/// Reads what `dims` announce, and fails unless the file ends exactly there.
fn read_body(reader: &mut dyn Read, dims: &[u32]) -> Result<Vec<u8>, Problem> {
    // At most four factors below 2^32: the product fits.
    let expected: u128 = dims.iter().map(|&dim| u128::from(dim)).product();
    let cap = match u64::try_from(expected) {
        Ok(bytes) if expected <= MAX_BYTES => bytes + 1,
        _ => return Err(Problem::TooLarge { bytes: expected, limit: MAX_BYTES }),
    };
    let bytes = read_at_most(reader, cap)?;
    let found = bytes.len() as u128;
    if found == expected { Ok(bytes) } else { Err(Problem::Size { dims: product(dims), expected, found }) }
}

/// Up to `cap` bytes. Memory grows with the bytes that are there, not with `cap`. If fewer than `cap` are there, the
/// reader has reached its end, which is where a gzip reader compares the checksum.
fn read_at_most(reader: &mut dyn Read, cap: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(cap).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn product(dims: &[u32]) -> String {
    dims.iter().map(u32::to_string).collect::<Vec<_>>().join("x")
}

#[cfg(test)]
#[path = "idx_tests.rs"]
mod tests;
