//! A labelled set of images that satisfies its invariants.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::classes::{self, ClassRule};
use super::error::{DataError, Problem, one_line};

/// Shape of one image. Displayed as `28x28x1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageShape {
    /// Rows, in pixels.
    pub height: u32,
    /// Columns, in pixels.
    pub width: u32,
    /// Bytes per pixel.
    pub channels: u32,
}

impl ImageShape {
    /// Bytes of one image, or `None` if they can't be counted in a `usize`.
    pub fn len(self) -> Option<usize> {
        let [height, width, channels] = [self.height, self.width, self.channels].map(usize::try_from);
        height.ok()?.checked_mul(width.ok()?)?.checked_mul(channels.ok()?)
    }

    /// Whether a dimension is zero.
    pub fn is_empty(self) -> bool {
        self.height == 0 || self.width == 0 || self.channels == 0
    }

    /// Bytes of `count` images; never overflows.
    pub(super) fn bytes_of(self, count: usize) -> u128 {
        // Four factors below 2^32, and `count` is a number of things in memory.
        [self.height, self.width, self.channels].iter().fold(count as u128, |n, &d| n.saturating_mul(d.into()))
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// Labelled images of one shape: at least one, each with a label below the number of classes, which have different
/// names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    name: String,
    shape: ImageShape,
    images: Vec<u8>,
    labels: Vec<u32>,
    classes: Vec<String>,
    /// A file for each example, or nothing.
    files: Vec<PathBuf>,
}

impl Dataset {
    /// A data set of `labels.len()` examples.
    ///
    /// # Shapes
    /// `images`: `[n, height, width, channels]`, 0 to 255; `labels`: `[n]`, indices into `classes`.
    ///
    /// # Errors
    /// If there are no examples, a dimension is zero, the counts disagree, a label has no class, or two classes the same
    /// name.
    pub fn new(
        name: impl Into<String>,
        shape: ImageShape,
        images: Vec<u8>,
        labels: Vec<u32>,
        classes: Vec<String>,
    ) -> Result<Self, DataError> {
        let name = name.into();
        match check(shape, &images, &labels, &classes) {
            Ok(()) => Ok(Self { name, shape, images, labels, classes, files: Vec::new() }),
            Err(problem) => Err(problem.at_name(&name)),
        }
    }

    /// The same examples, each from a file of its own, `[n]`, or none from one.
    pub(super) fn with_files(mut self, files: Vec<PathBuf>) -> Self {
        debug_assert!(files.is_empty() || files.len() == self.len(), "a file for each example, or none");
        self.files = files;
        self
    }

    /// The file that example `i` was read from, if each has one of its own: those of an image folder do.
    pub fn file(&self, i: usize) -> Option<&Path> {
        self.files.get(i).map(PathBuf::as_path)
    }

    /// Name for reports, such as `mnist/train`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Shape of every image.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// Every image's bytes, `[n, height, width, channels]`.
    pub fn images(&self) -> &[u8] {
        &self.images
    }

    /// Every example's class index, `[n]`.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Names of the classes; a label is an index into these.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Number of examples, at least 1.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Always false: a data set has examples.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Bytes of one image, at least 1.
    pub fn image_len(&self) -> usize {
        self.images.len() / self.labels.len()
    }

    /// The bytes of example `i`, `[height, width, channels]`.
    ///
    /// # Panics
    /// If `i >= len()`, like an index into a slice.
    pub fn image(&self, i: usize) -> &[u8] {
        assert!(i < self.len(), "image {i} of {}", self.len());
        let len = self.image_len();
        &self.images[i * len..][..len]
    }

    /// A copy of the first `n` examples, with the same classes; all of them if there are no more than `n`.
    ///
    /// # Errors
    /// If `n` is 0.
    pub fn head(&self, n: usize) -> Result<Self, DataError> {
        let n = n.min(self.len());
        let images = self.images[..n * self.image_len()].to_vec();
        let head = Self::new(self.name.clone(), self.shape, images, self.labels[..n].to_vec(), self.classes.clone())?;
        Ok(head.with_files(self.files.iter().take(n).cloned().collect()))
    }

    /// A copy of the examples `rows`, in their order, with the same classes.
    ///
    /// # Errors
    /// If there are none.
    ///
    /// # Panics
    /// If a row is not below `len()`, like an index into a slice.
    pub fn select(&self, rows: &[u32]) -> Result<Self, DataError> {
        let rows = || rows.iter().map(|&row| row as usize);
        let images = rows().flat_map(|row| self.image(row)).copied().collect();
        let labels = rows().map(|row| self.labels[row]).collect();
        let selected = Self::new(self.name.clone(), self.shape, images, labels, self.classes.clone())?;
        Ok(selected.with_files(rows().filter_map(|row| self.files.get(row).cloned()).collect()))
    }

    /// Every example's class as an index into `model`, the classes of a model. A class without examples need not be
    /// among them, and the model may have others.
    ///
    /// # Errors
    /// If a class is not found by `rule`; lists what is missing and what is new.
    pub fn labels_among(&self, model: &[String], rule: &ClassRule) -> Result<Cow<'_, [u32]>, DataError> {
        if self.classes == model && *rule == ClassRule::default() {
            return Ok(Cow::Borrowed(&self.labels));
        }
        let mut used = vec![false; self.classes.len()];
        self.labels.iter().for_each(|&label| used[label as usize] = true);
        let places =
            classes::places(model, &self.classes, &used, rule).map_err(|problem| problem.at_name(&self.name))?;
        // Every class that is used has a place.
        Ok(self.labels.iter().filter_map(|&label| places[label as usize]).collect())
    }

    /// The same examples with the classes of a model, found by `rule`.
    ///
    /// # Errors
    /// Those of [`Dataset::labels_among`].
    pub fn with_classes(mut self, model: &[String], rule: &ClassRule) -> Result<Self, DataError> {
        self.labels = self.labels_among(model, rule)?.into_owned();
        self.classes = model.to_vec();
        Ok(self)
    }
}

fn check(shape: ImageShape, images: &[u8], labels: &[u32], classes: &[String]) -> Result<(), Problem> {
    if shape.is_empty() {
        return Err(Problem::ZeroShape { shape });
    }
    if labels.is_empty() {
        return Err(Problem::Empty);
    }
    if shape.bytes_of(labels.len()) != images.len() as u128 {
        return Err(Problem::ImageBytes { found: images.len(), count: labels.len(), shape });
    }
    let mut names = HashSet::new();
    if let Some(twice) = classes.iter().find(|name| !names.insert(*name)) {
        return Err(Problem::SameClass { class: one_line(twice) });
    }
    check_labels(labels, classes.len())
}

/// That every label is below `classes`.
pub(super) fn check_labels(labels: &[u32], classes: usize) -> Result<(), Problem> {
    match labels.iter().position(|&label| label as usize >= classes) {
        Some(index) => Err(Problem::Label { index, label: labels[index], classes }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{message, shape};
    use super::*;

    fn two(shape: ImageShape, images: usize, labels: &[u32]) -> Result<Dataset, DataError> {
        let images = (0..images).map(|i| i as u8).collect();
        Dataset::new("tiny", shape, images, labels.to_vec(), vec!["cat".into(), "dog".into()])
    }

    #[test]
    fn shape_displays_and_counts_its_bytes() {
        assert_eq!(shape(28, 14, 3).to_string(), "28x14x3");
        assert_eq!(shape(28, 14, 3).len(), Some(1176));
        assert_eq!(shape(u32::MAX, u32::MAX, u32::MAX).len(), None);
        assert!(shape(1, 0, 1).is_empty() && !shape(1, 1, 1).is_empty());
    }

    #[test]
    fn examples_are_found_by_index() {
        let set = two(shape(1, 2, 1), 6, &[0, 1, 1]).unwrap();
        assert_eq!((set.name(), set.shape(), set.len(), set.image_len()), ("tiny", shape(1, 2, 1), 3, 2));
        assert_eq!((set.image(0), set.image(2)), (&[0, 1][..], &[4, 5][..]));
        assert_eq!((set.labels(), set.images().len(), set.classes().len()), (&[0, 1, 1][..], 6, 2));
        assert!(!set.is_empty());
    }

    #[test]
    #[should_panic(expected = "image 3 of 3")]
    fn index_past_the_end_panics() {
        two(shape(1, 2, 1), 6, &[0, 1, 1]).unwrap().image(3);
    }

    #[test]
    fn head_takes_at_most_all() {
        let set = two(shape(1, 2, 1), 6, &[0, 1, 1]).unwrap();
        let head = set.head(2).unwrap();
        assert_eq!((head.images(), head.labels()), (&[0, 1, 2, 3][..], &[0, 1][..]));
        assert_eq!(set.head(3).unwrap(), set);
        assert_eq!(set.head(usize::MAX).unwrap(), set);
        assert_eq!(message(set.head(0)), "tiny: no examples, expected at least one");
    }

    #[test]
    fn rows_are_selected_with_their_labels_and_files() {
        let set = two(shape(1, 2, 1), 6, &[0, 1, 1]).unwrap();
        assert_eq!(set.file(0), None);
        let filed = set.with_files(["a", "b", "c"].map(PathBuf::from).to_vec());
        let picked = filed.select(&[2, 0]).unwrap();
        assert_eq!((picked.images(), picked.labels()), (&[4, 5, 0, 1][..], &[1, 0][..]));
        let files = |set: &Dataset| (0..4).map(|i| set.file(i).map(Path::to_owned)).collect::<Vec<_>>();
        assert_eq!(files(&picked), [Some("c".into()), Some("a".into()), None, None]);
        assert_eq!(files(&filed.head(1).unwrap()), [Some("a".into()), None, None, None]);
        let model = ["dog", "cat"].map(str::to_owned);
        let renamed = filed.clone().with_classes(&model, &ClassRule::default()).unwrap();
        assert_eq!(files(&renamed), files(&filed));
        assert_eq!(message(filed.select(&[])), "tiny: no examples, expected at least one");
    }

    #[test]
    fn labels_follow_the_names_of_a_model() {
        let set = two(shape(1, 2, 1), 6, &[0, 1, 1]).unwrap();
        let model = ["dog", "emu", "cat"].map(str::to_owned);
        let matched = set.clone().with_classes(&model, &ClassRule::default()).unwrap();
        assert_eq!((matched.labels(), matched.classes()), (&[2, 0, 0][..], &model[..]));
        assert_eq!(matched.images(), set.images());
        let placed = set.clone().with_classes(&model, &ClassRule::ByPosition).unwrap();
        assert_eq!(placed.labels(), [0, 1, 1]);
        let text = message(set.with_classes(&["cat".into(), "fox".into()], &ClassRule::default()));
        assert!(text.starts_with("tiny: the classes are not the model's: new are dog, missing are fox;"), "{text}");
        let only = two(shape(1, 2, 1), 4, &[1, 1]).unwrap();
        assert_eq!(only.labels_among(&model[..1], &ClassRule::default()).unwrap()[..], [0, 0], "no cat is no error");
    }

    #[test]
    fn invariants_are_checked() {
        let text = |shape, images, labels: &[u32]| message(two(shape, images, labels));
        assert!(text(shape(1, 2, 1), 5, &[0, 1]).contains("5 bytes of images, expected 2 images of 1x2x1"));
        assert!(text(shape(1, 2, 1), 6, &[0, 1]).contains("6 bytes of images"));
        assert!(text(shape(0, 2, 1), 0, &[0]).contains("0x2x1 holds no pixels"));
        assert!(text(shape(1, 2, 1), 0, &[]).contains("no examples"));
        assert!(
            text(shape(1, 2, 1), 4, &[0, 2])
                .contains("label 2 at index 1, expected less than the number of classes, 2")
        );
        assert!(text(shape(u32::MAX, u32::MAX, u32::MAX), 4, &[0]).contains("4 bytes of images"));
        let twice = Dataset::new("d", shape(1, 1, 1), vec![0], vec![0], vec!["a".into(), "a".into()]);
        assert_eq!(message(twice), "d: two classes are called a, expected a name for each");
    }
}
