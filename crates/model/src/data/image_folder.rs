//! Image folders: one sub-folder of images per class.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::decode::{check_shape, decode, shape_of, to_shape};
use super::error::{At, DataError, Problem, one_line};
use super::idx::is_idx_name;
use super::listing::{Entry, entries};
use super::{Dataset, ImageShape, MAX_BYTES, Splits, split_name};

/// Loads the image folder `dir`; see [`super::load`].
pub(super) fn load(dir: &Path, want: Option<ImageShape>, classes: Option<usize>) -> Result<Splits, DataError> {
    let (train_dir, test_dir) = split_dirs(dir)?;
    let train = Listing::of(train_dir)?;
    let test = test_dir.map(Listing::of).transpose()?;
    if let Some(expected) = classes.filter(|&classes| classes != train.classes.len()) {
        return Err(Problem::ClassCount { found: train.classes.len(), expected }.at(&train.dir));
    }
    if let Some(test) = &test {
        check_same_classes(&train, test).at(dir)?;
    }
    let target = Target::of(want, &train)?;
    Ok(Splits {
        train: train.read(split_name(dir, "train"), &target)?,
        test: test.map(|test| test.read(split_name(dir, "test"), &target)).transpose()?,
    })
}

/// The folders that hold the class folders, to train and to test.
fn split_dirs(dir: &Path) -> Result<(PathBuf, Option<PathBuf>), DataError> {
    let folders: Vec<Entry> = entries(dir)?.into_iter().filter(|entry| entry.is_dir).collect();
    let mut is_split = false;
    for entry in folders.iter().filter(|entry| is_split_name(entry)) {
        // A folder `train` that holds images is a class, say of vehicles.
        is_split |= entries(&entry.path)?.iter().any(|inner| inner.is_dir);
    }
    if !is_split {
        return Ok((dir.to_owned(), None));
    }
    if let Some(extra) = folders.iter().find(|entry| !is_split_name(entry)) {
        return Err(Problem::ExtraFolder.at(&extra.path));
    }
    let path_of = |name: &str| folders.iter().find(|entry| entry.name == name).map(|entry| entry.path.clone());
    let train = path_of("train").ok_or_else(|| Problem::NoTrain.at(&dir.join("train")))?;
    Ok((train, path_of("test")))
}

fn is_split_name(entry: &Entry) -> bool {
    entry.name == "train" || entry.name == "test"
}

/// The classes of one split, and their files.
struct Listing {
    dir: PathBuf,
    classes: Vec<String>,
    /// The first file of the first class, which decides the shape if nobody else does.
    first: PathBuf,
    /// The files in the order of the data set, with their class indices; at least one.
    files: Vec<(PathBuf, u32)>,
}

impl Listing {
    fn of(dir: PathBuf) -> Result<Self, DataError> {
        let (mut classes, mut files) = (Vec::new(), Vec::new());
        for (class, folder) in (0..).zip(entries(&dir)?.into_iter().filter(|entry| entry.is_dir)) {
            for (index, path) in (0..).zip(images(&folder.path)?) {
                files.push((order(class, index), path, class));
            }
            classes.push(folder.name.into_string().map_err(|_| Problem::ClassName.at(&folder.path))?);
        }
        let Some(first) = files.first().map(|(_, path, _): &(_, PathBuf, _)| path.clone()) else {
            return Err(Problem::NoClasses.at(&dir));
        };
        files.sort_by_key(|&(order, ..)| order);
        let files = files.into_iter().map(|(_, path, class)| (path, class)).collect();
        Ok(Self { dir, classes, first, files })
    }

    /// Decodes all files, in parallel.
    fn read(self, name: String, target: &Target) -> Result<Dataset, DataError> {
        let bytes = target.shape.bytes_of(self.files.len());
        let (Ok(total), Some(len), true) = (usize::try_from(bytes), target.shape.len(), bytes <= MAX_BYTES) else {
            return Err(Problem::TooLarge { bytes, limit: MAX_BYTES }.at(&self.dir));
        };
        let mut images = vec![0; total];
        let parts = images.par_chunks_exact_mut(len).zip(&self.files);
        // The first failure in the data set's order, whichever thread was first: the same message on every run.
        match parts.find_map_first(|(image, (path, _))| target.read(path, image).err()) {
            Some(error) => Err(error),
            None => {
                let labels = self.files.iter().map(|&(_, class)| class).collect();
                Dataset::new(name, target.shape, images, labels, self.classes)
            }
        }
    }
}

/// The images in a class folder, sorted by name.
fn images(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let found = entries(folder)?;
    if found.iter().any(|entry| is_idx_name(&entry.name)) {
        return Err(Problem::IdxInside.at(folder));
    }
    match found.iter().find(|entry| entry.is_dir) {
        Some(nested) => Err(Problem::NestedFolder.at(&nested.path)),
        None if found.is_empty() => Err(Problem::EmptyClass.at(folder)),
        None => Ok(found.into_iter().map(|entry| entry.path).collect()),
    }
}

/// Sort key of an example. A validation split takes the last part of a set, so examples must not come sorted by class;
/// a hash of the indices shuffles them in the same way on every machine.
///
/// Source: the output function of SplitMix64 (variant 13 of D. Stafford's "Better Bit Mixing"). It is a bijection, so
/// no two examples tie.
fn order(class: u32, index: u32) -> u64 {
    let mut bits = (u64::from(class) << 32 | u64::from(index)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

fn check_same_classes(train: &Listing, test: &Listing) -> Result<(), Problem> {
    let missing = |from: &Listing, other: &Listing, only_in| {
        let class = from.classes.iter().find(|class| !other.classes.contains(class))?;
        Some(Problem::ClassMismatch { class: one_line(class), only_in })
    };
    missing(train, test, "train").or_else(|| missing(test, train, "test")).map_or(Ok(()), Err)
}

/// What every image becomes.
struct Target {
    shape: ImageShape,
    /// The image that decided the size; `None` if the caller did, and others are resized.
    first: Option<PathBuf>,
}

impl Target {
    fn of(want: Option<ImageShape>, train: &Listing) -> Result<Self, DataError> {
        if let Some(shape) = want {
            check_shape(shape).at(&train.dir)?;
            return Ok(Self { shape, first: None });
        }
        Ok(Self { shape: shape_of(&decode(&train.first)?), first: Some(train.first.clone()) })
    }

    /// Decodes `path` into the bytes of one example.
    fn read(&self, path: &Path, image: &mut [u8]) -> Result<(), DataError> {
        let decoded = decode(path)?;
        let (found, expected) = ((decoded.width(), decoded.height()), (self.shape.width, self.shape.height));
        match &self.first {
            Some(first) if found != expected => {
                let first = one_line(&first.to_string_lossy());
                Err(Problem::ImageSize { found, expected, first }.at(path))
            }
            _ => {
                image.copy_from_slice(&to_shape(decoded, self.shape));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::super::testing::{colour, grey, message, shape};
    use super::*;
    use std::fs;

    /// Class folders `cat` (grey 10) and `dog` (grey 200) with `n` images of 4x3 pixels each.
    fn pets(dir: &Path, n: u32) {
        for i in 0..n {
            grey(&dir.join(format!("cat/{i}.png")), 4, 3, 10);
            grey(&dir.join(format!("dog/{i}.bmp")), 4, 3, 200);
        }
    }

    #[test]
    fn labels_follow_their_images_in_a_shuffled_fixed_order() {
        let dir = tempfile::tempdir().unwrap();
        pets(dir.path(), 8);
        fs::write(dir.path().join("README"), "loose").unwrap();
        fs::write(dir.path().join("cat/.DS_Store"), "hidden").unwrap();
        let train = load(dir.path(), None, Some(2)).unwrap().train;
        assert_eq!((train.shape(), train.classes()), (shape(3, 4, 1), &["cat".to_owned(), "dog".to_owned()][..]));
        assert!((0..16).all(|i| train.image(i) == [[10, 200][train.labels()[i] as usize]; 12]));
        // Pinned: another order would change every validation split.
        assert_eq!(train.labels(), [1, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 1, 0]);
        // SplitMix64's first output from seed 0, as published.
        assert_eq!(order(0, 0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(load(dir.path(), None, None).unwrap().train, train);
    }

    #[test]
    fn images_are_resized_and_turned_to_the_wanted_shape() {
        let dir = tempfile::tempdir().unwrap();
        pets(dir.path(), 1);
        colour(&dir.path().join("dog/big.jpg"), 40, 30, [200, 200, 200]);
        let train = load(dir.path(), Some(shape(2, 2, 3)), None).unwrap().train;
        assert!((0..3).all(|i| train.image(i).iter().all(|&b| b.abs_diff([10, 200][train.labels()[i] as usize]) <= 1)));
        assert_eq!(train.shape(), shape(2, 2, 3));
        assert!(
            message(load(dir.path(), Some(shape(2, 2, 4)), None)).contains("4 channels, expected 1 (luma) or 3 (RGB)")
        );
        assert!(message(load(dir.path(), Some(shape(0, 2, 1)), None)).contains("0x2x1 holds no pixels"));
        let huge = message(load(dir.path(), Some(shape(u32::MAX, u32::MAX, 3)), None));
        assert!(huge.contains("the limit is 4294967296"), "{huge}");
    }

    #[test]
    fn first_image_decides_colour_and_another_size_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        colour(&dir.path().join("only/a.png"), 4, 3, [1, 2, 3]);
        assert_eq!(load(dir.path(), None, None).unwrap().train.shape(), shape(3, 4, 3));
        colour(&dir.path().join("only/b.png"), 5, 3, [1, 2, 3]);
        let text = message(load(dir.path(), None, None));
        assert!(text.contains("3 like the first one, ") && text.contains("set the network's input shape"), "{text}");
    }

    #[test]
    fn train_and_test_folders_share_their_classes() {
        let dir = tempfile::tempdir().unwrap();
        pets(&dir.path().join("train"), 2);
        pets(&dir.path().join("test"), 1);
        let splits = load(dir.path(), None, None).unwrap();
        let test = splits.test.unwrap();
        assert_eq!((splits.train.len(), test.len(), test.shape()), (4, 2, shape(3, 4, 1)));
        assert_eq!(test.classes(), splits.train.classes());
        assert!(splits.train.name().ends_with("/train") && test.name().ends_with("/test"));
        grey(&dir.path().join("test/emu/0.png"), 4, 3, 1);
        assert!(message(load(dir.path(), None, None)).contains("class `emu` is only in test/"));
        fs::remove_dir_all(dir.path().join("test/emu")).unwrap();
        fs::remove_dir_all(dir.path().join("test/cat")).unwrap();
        assert!(message(load(dir.path(), None, None)).contains("class `cat` is only in train/"));
        fs::create_dir(dir.path().join("val")).unwrap();
        assert!(message(load(dir.path(), None, None)).contains("val: unexpected folder beside train/ and test/"));
    }

    #[test]
    fn test_images_must_have_the_size_of_the_training_images() {
        let dir = tempfile::tempdir().unwrap();
        pets(&dir.path().join("train"), 1);
        pets(&dir.path().join("test"), 1);
        grey(&dir.path().join("test/cat/odd.png"), 9, 9, 1);
        assert!(message(load(dir.path(), None, None)).contains("odd.png: image is 9x9 pixels"));
    }

    #[test]
    fn halves_of_a_split_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        pets(&dir.path().join("test"), 1);
        assert!(message(load(dir.path(), None, None)).contains("train: no such folder, expected train/CLASS/*"));
        fs::create_dir(dir.path().join("train")).unwrap();
        assert!(message(load(dir.path(), None, None)).contains("train: no class folders"));
    }

    #[test]
    fn train_with_images_is_a_class() {
        let dir = tempfile::tempdir().unwrap();
        for class in ["train", "tram"] {
            grey(&dir.path().join(class).join("0.png"), 2, 2, 9);
        }
        assert_eq!(load(dir.path(), None, None).unwrap().train.classes(), ["train", "tram"]);
    }

    #[test]
    fn faulty_class_folders_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        pets(dir.path(), 3);
        assert!(
            message(load(dir.path(), None, Some(3))).contains("2 class folders, expected 3; set the network's number")
        );
        fs::write(dir.path().join("dog/1.png"), "no image").unwrap();
        assert!(message(load(dir.path(), None, None)).contains("1.png: can't be decoded as an image"));
        fs::create_dir(dir.path().join("dog/more")).unwrap();
        assert!(message(load(dir.path(), None, None)).contains("more: folder inside a class folder"));
        fs::create_dir(dir.path().join("ant")).unwrap();
        fs::write(dir.path().join("ant/t10k-labels-idx1-ubyte.gz"), "").unwrap();
        assert!(message(load(dir.path(), None, None)).contains("ant: IDX files in a sub-folder; name this folder"));
        fs::remove_dir_all(dir.path().join("ant")).unwrap();
        fs::create_dir(dir.path().join("bee")).unwrap();
        assert!(message(load(dir.path(), None, None)).contains("bee: class folder holds no images"));
    }

    #[cfg(unix)]
    #[test]
    fn class_names_are_text() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().unwrap();
        // Where the file system takes only UTF-8 (macOS), such a name can't exist.
        if fs::create_dir(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff"))).is_ok() {
            grey(&dir.path().join(std::ffi::OsStr::from_bytes(b"\xff")).join("0.png"), 2, 2, 9);
            assert!(message(load(dir.path(), None, None)).contains("folder name is no valid UTF-8"));
        }
    }
}
