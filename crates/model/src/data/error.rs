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
         or one sub-folder of images per class (CLASS/*, or train/CLASS/*, val/CLASS/* and test/CLASS/*); found {found}"
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
    /// Class folders without any image.
    #[error("no images in the class folders{}", deeper_hint(.deeper))]
    NoImages { deeper: String },
    /// Images that can't be read.
    #[error(
        "{bad} of {of} images can't be read: {shown}; mend or remove {}, or leave such files out with --skip-bad",
        if *.bad == 1 { "it" } else { "them" }
    )]
    BadImages { bad: usize, of: usize, shown: String },
    /// The folder above the one meant.
    #[error("IDX files in a sub-folder; name this folder to load them")]
    IdxInside,
    /// A class name that isn't text.
    #[error("folder name is no valid UTF-8, expected the name of a class; rename it")]
    ClassName,
    /// Another number of classes than asked for.
    #[error("{found} class folders, expected {expected}; give the network's last layer {found} units")]
    ClassCount { found: usize, expected: usize },
    /// Two classes of the same name.
    #[error("two classes are called {class}, expected a name for each")]
    SameClass { class: String },
    /// Classes that the model doesn't know.
    #[error(
        "the classes are not the model's: new are {new}, missing are {missing}; rename them with --classes {rename}, \
         or match them by position with --ignore-class-names"
    )]
    ClassNames { new: String, missing: String, rename: String },
    /// A renaming of or to a class that isn't there.
    #[error("--classes {rename}: {lack}; its classes are {names}")]
    Rename { rename: String, lack: String, names: String },
    /// More classes than the model's, matched by position.
    #[error("{found} classes, the model has {model}; classes without a place in the model can't be judged by it")]
    ClassesBeyond { found: usize, model: usize },
    /// Classes to validate or test on that are not trained on.
    #[error("classes that are not trained on: {extra}; name the folders as those to train on, or move them away")]
    ExtraClasses { extra: String },
    /// `test/CLASS/*` without `train/CLASS/*`.
    #[error(
        "no train/ beside the other parts, expected train/CLASS/*; name the folder of the part itself to take that"
    )]
    NoTrain,
    /// Two folders of the same part.
    #[error("means the same as {other}/ beside it, expected one of them; move the other away")]
    TwoFolders { other: String },
    /// A folder to validate on that is divided itself.
    #[error("holds parts to train and to test on, expected one set to validate on; name the folder of that part")]
    Divided,
    /// MNIST's preparation of colour.
    #[error("{channels} channels, expected 1: prepare = \"mnist\" makes grey images; set prepare = \"plain\"")]
    InkChannels { channels: u32 },
}

impl Problem {
    /// The error that this problem is at `place`.
    pub(super) fn at_name(self, place: &str) -> DataError {
        DataError { place: one_line(place), problem: self }
    }

    /// Whether an image file is to blame, so that the others could do without it.
    pub(super) fn is_bad_image(&self) -> bool {
        matches!(self, Self::Image { .. } | Self::Io { .. } | Self::NotFile)
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

/// The texts in one line, cut after the first few.
pub(super) fn list<T: AsRef<str>>(texts: &[T], separator: &str, most: usize) -> String {
    let shown: Vec<String> = texts.iter().take(most).map(|text| one_line(text.as_ref())).collect();
    let shown = shown.join(separator);
    match texts.len() {
        0 => "none".to_owned(),
        n if n > most => format!("{shown}{separator}... ({n} in all)"),
        _ => shown,
    }
}

/// Names in one line, cut after the first ten.
pub(super) fn name_list<T: AsRef<str>>(names: &[T]) -> String {
    list(names, ", ", 10)
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

fn deeper_hint(deeper: &str) -> String {
    match deeper {
        "none" => "; put each class's images into its folder".to_owned(),
        folders => format!(", but folders in them: {folders}; name the folder whose sub-folders hold the images"),
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
        assert!(size_of::<DataError>() < 128);
    }
}
