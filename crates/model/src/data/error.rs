//! What can be wrong with data, in words.

use std::error::Error;
use std::io;
use std::path::Path;

use super::ImageShape;

/// Data that can't be used: where, and why. Shown in one line, as `place: problem`.
///
/// The message holds its cause, so [`Error::source`] is `None` and a printed chain says nothing twice.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct DataError {
    /// The file or folder (control characters escaped), or the name of the data set.
    pub place: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a file, a folder or a data set. Each message is one line: expected, found, and what to try.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is shown in the message right above it")]
pub enum Problem {
    /// The data folder isn't there.
    #[error("no such folder")]
    Missing,
    /// The data folder is a file.
    #[error("expected a folder, found a file; name the folder that holds the data")]
    NotFolder,
    /// The file is a folder, a pipe or a device.
    #[error("expected a file, found something else")]
    NotFile,
    /// The folder has neither form.
    #[error(
        "no data set found: looked for train-images-idx3-ubyte and train-labels-idx1-ubyte (plain or .gz), \
         or one sub-folder of images per class (CLASS/*, or train/CLASS/* and test/CLASS/*); found {found}"
    )]
    Unrecognised { found: String },
    /// One file of an IDX set is missing.
    #[error("no such file, and none with .gz; expected it beside the other IDX files")]
    MissingFile,
    /// The operating system refused.
    #[error("can't be read: {}", cause_line(.cause))]
    Io { cause: io::Error },
    /// Truncated, damaged or no gzip data.
    #[error("broken gzip data: {}; download or copy the file again", cause_line(.cause))]
    Gzip { cause: io::Error },
    /// An IDX file of another kind, or none at all.
    #[error("wrong magic number {found:#010x}, expected {expected}{}", magic_hint(*.found))]
    Magic { found: u32, expected: &'static str },
    /// An IDX file that ends inside its header.
    #[error("file ends inside the header: {found} bytes, expected at least {expected}; download or copy it again")]
    ShortHeader { found: usize, expected: usize },
    /// An IDX file whose length disagrees with its header.
    #[error("header announces {dims} = {expected} bytes, found {}; download or copy the file again",
        found_bytes(*.found, *.expected))]
    Size { dims: String, expected: u128, found: u128 },
    /// More than fits in memory.
    #[error("{bytes} bytes of data, the limit is {limit}; use fewer or smaller images")]
    TooLarge { bytes: u128, limit: u128 },
    /// A size of zero.
    #[error("image shape {shape} holds no pixels, expected every dimension to be at least 1")]
    ZeroShape { shape: ImageShape },
    /// Neither luma nor RGB.
    #[error("{channels} channels, expected 1 (luma) or 3 (RGB)")]
    Channels { channels: u32 },
    /// Images of another shape than asked for.
    #[error("images are {found}, expected {expected}; set the network's input to {found}")]
    Shape { found: ImageShape, expected: ImageShape },
    /// Not one label per image.
    #[error("{labels} labels for {images} images, expected one label per image; do the files belong together?")]
    Labels { labels: u128, images: u128 },
    /// The image bytes disagree with the count and the shape.
    #[error("{found} bytes of images, expected {count} images of {shape}")]
    ImageBytes { found: usize, count: usize, shape: ImageShape },
    /// A label without a class.
    #[error("label {label} at index {index}, expected less than the number of classes, {classes}")]
    Label { index: usize, label: u32, classes: usize },
    /// A set without examples.
    #[error("no examples, expected at least one")]
    Empty,
    /// An image file that can't be decoded.
    #[error("can't be decoded as an image: {cause}; expected png, jpeg, bmp, gif, webp, pnm or tiff")]
    Image { cause: String },
    /// An image of another size, and no size was asked for.
    #[error(
        "image is {} pixels (width x height), expected {} like the first one, {first}; set the network's input shape \
         to have all images resized", pixels(*.found), pixels(*.expected)
    )]
    ImageSize { found: (u32, u32), expected: (u32, u32), first: String },
    /// A folder where class folders are expected.
    #[error("no class folders, expected one sub-folder of images per class")]
    NoClasses,
    /// A class folder without images.
    #[error("class folder holds no images; remove it or add some")]
    EmptyClass,
    /// The folder above the one meant.
    #[error("IDX files in a sub-folder; name this folder to load them")]
    IdxInside,
    /// A folder inside a class folder.
    #[error("folder inside a class folder, expected only images; move it away")]
    NestedFolder,
    /// A class name that isn't text.
    #[error("folder name is no valid UTF-8, expected the name of a class; rename it")]
    ClassName,
    /// Another number of classes than asked for.
    #[error("{found} class folders, expected {expected}; set the network's number of classes to {found}")]
    ClassCount { found: usize, expected: usize },
    /// Train and test disagree about the classes.
    #[error("class `{class}` is only in {only_in}/, expected the same class folders in train/ and test/")]
    ClassMismatch { class: String, only_in: &'static str },
    /// `test/CLASS/*` without `train/CLASS/*`.
    #[error("no such folder, expected train/CLASS/* beside test/CLASS/*")]
    NoTrain,
    /// A third folder beside train and test.
    #[error("unexpected folder beside train/ and test/; move it away (validation examples are taken from train/)")]
    ExtraFolder,
}

impl Problem {
    /// The error that this problem is at `place`.
    pub(super) fn at_name(self, place: &str) -> DataError {
        DataError { place: one_line(place), problem: self }
    }
}

/// Says where a problem is.
pub(super) trait At {
    /// What has a place.
    type Placed;
    /// With the place.
    fn at(self, path: &Path) -> Self::Placed;
}

impl At for Problem {
    type Placed = DataError;
    fn at(self, path: &Path) -> DataError {
        self.at_name(&path.to_string_lossy())
    }
}

impl<T, P: Into<Problem>> At for Result<T, P> {
    type Placed = Result<T, DataError>;
    fn at(self, path: &Path) -> Result<T, DataError> {
        self.map_err(|problem| problem.into().at(path))
    }
}

impl From<io::Error> for Problem {
    fn from(cause: io::Error) -> Self {
        Self::Io { cause }
    }
}

/// The text in one line: file names may hold line breaks and terminal escapes.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// An error's message as part of another: in one line, without a full stop.
pub(super) fn cause_line(cause: &impl Error) -> String {
    one_line(cause.to_string().trim_end_matches(['.', '\n']))
}

fn magic_hint(found: u32) -> &'static str {
    match found {
        0x0801 => "; is this the labels file?",
        0x0803 | 0x0804 => "; is this the images file?",
        _ if found >> 16 == 0x1f8b => "; this is gzip data: add .gz to the file's name",
        _ => "",
    }
}

fn found_bytes(found: u128, expected: u128) -> String {
    // Reading stops one byte after the announced end, so the true length isn't known.
    if found > expected { "more".to_owned() } else { format!("only {found}") }
}

fn pixels((width, height): (u32, u32)) -> String {
    format!("{width}x{height}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_place_expected_found_and_remedy() {
        let problem = Problem::Magic { found: 0x0801, expected: "0x00000803 (unsigned bytes, 3 dimensions)" };
        assert_eq!(
            problem.at(Path::new("/data/train-images-idx3-ubyte.gz")).to_string(),
            "/data/train-images-idx3-ubyte.gz: wrong magic number 0x00000801, expected 0x00000803 (unsigned bytes, 3 \
             dimensions); is this the labels file?"
        );
        let size = Problem::ImageSize { found: (3, 2), expected: (4, 5), first: "a.png".to_owned() };
        assert!(
            size.to_string().contains("3x2 pixels (width x height), expected 4x5 like the first one, a.png; set"),
            "{size}"
        );
    }

    #[test]
    fn hostile_names_stay_on_one_line() {
        let text = Problem::Empty.at(Path::new("/a\nb\u{1b}[2J")).to_string();
        assert_eq!(text, r"/a\nb\u{1b}[2J: no examples, expected at least one");
    }

    #[test]
    fn causes_lose_their_full_stop_and_paths_keep_it() {
        let cause = io::Error::other("Bad\nthing.\n");
        assert_eq!(Problem::from(cause).at(Path::new("..")).to_string(), r"..: can't be read: Bad\nthing");
    }

    #[test]
    fn errors_stay_small_enough_to_return() {
        assert!(size_of::<DataError>() <= 128);
    }
}
