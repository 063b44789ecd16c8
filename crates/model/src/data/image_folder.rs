//! Image folders: one sub-folder of images per class.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::class_folder::{ClassFolder, Skipped};
use super::classes::natural_order;
use super::decode::{decode, shape_of};
use super::error::{At, DataError, Problem, name_list, one_line};
use super::layout::Layout;
use super::listing::entries;
use super::{Dataset, ImageShape, Invert, LoadOptions, MAX_BYTES, Preparation, Splits, split_name};

/// Loads the image folder `dir`; see [`super::load`].
pub(super) fn load(dir: &Path, options: &LoadOptions) -> Result<Splits, DataError> {
    let Layout { train, validation, test, mut notes } = Layout::of(dir)?;
    let train = Listing::of(train)?;
    let [validation, test] = [validation, test].map(|part| part.map(Listing::of).transpose());
    let (validation, test) = (validation?, test?);
    let others: Vec<&Listing> = validation.iter().chain(&test).collect();
    let classes = train.classes(options.classes, &others, &mut notes)?;
    let target = Target::of(options, &train, &classes)?;
    let mut read = |listing: &Listing, part: &str| {
        notes.extend(listing.skipped.notes(&split_name(dir, part)));
        listing.read(split_name(dir, part), &classes, &target, &mut notes)
    };
    let train = read(&train, "train")?;
    let validation = validation.map(|listing| read(&listing, "validation")).transpose()?;
    let test = test.map(|listing| read(&listing, "test")).transpose()?;
    Ok(Splits { train, validation, test, notes })
}

/// The class folders of one part.
struct Listing {
    dir: PathBuf,
    /// In byte order of their names.
    folders: Vec<ClassFolder>,
    skipped: Skipped,
}

impl Listing {
    fn of(dir: PathBuf) -> Result<Self, DataError> {
        let mut skipped = Skipped::default();
        let folders = entries(&dir)?.into_iter().filter(|entry| entry.is_dir);
        let folders = folders.map(|folder| ClassFolder::of(folder, &mut skipped)).collect::<Result<Vec<_>, _>>()?;
        if folders.is_empty() {
            return Err(Problem::NoClasses.at(&dir));
        }
        if folders.iter().all(|folder| folder.images.is_empty()) {
            return Err(Problem::NoImages { deeper: name_list(skipped.folders()) }.at(&dir));
        }
        Ok(Self { dir, folders, skipped })
    }

    /// Names of the folders for which `which` holds.
    fn names(&self, which: impl Fn(&ClassFolder) -> bool) -> Vec<String> {
        self.folders.iter().filter(|folder| which(folder)).map(|folder| folder.name.clone()).collect()
    }

    /// The classes of the data, as people order them: those with images. An empty folder is one if another part has
    /// images of it, or if so many classes were `wanted`.
    fn classes(
        &self,
        wanted: Option<usize>,
        others: &[&Self],
        notes: &mut Vec<String>,
    ) -> Result<Vec<String>, DataError> {
        let elsewhere: Vec<String> =
            others.iter().flat_map(|part| part.names(|folder| !folder.images.is_empty())).collect();
        let all = self.names(|_| true);
        if let Some(extra) = others.iter().find_map(|part| part.extra_classes(&all)) {
            return Err(extra);
        }
        let mut classes = self.names(|folder| !folder.images.is_empty() || elsewhere.contains(&folder.name));
        if wanted == Some(all.len()) {
            classes = all;
        }
        if let Some(expected) = wanted.filter(|&wanted| wanted != classes.len()) {
            return Err(Problem::ClassCount { found: classes.len(), expected }.at(&self.dir));
        }
        let empty = self.names(|folder| folder.images.is_empty() && !classes.contains(&folder.name));
        if !empty.is_empty() {
            notes.push(format!("left out class folders without images: {}", name_list(&empty)));
        }
        classes.sort_by(|a, b| natural_order(a, b));
        Ok(classes)
    }

    /// The error that this part has images of classes which are not among `known`.
    fn extra_classes(&self, known: &[String]) -> Option<DataError> {
        let extra = self.names(|folder| !folder.images.is_empty() && !known.contains(&folder.name));
        (!extra.is_empty()).then(|| Problem::ExtraClasses { extra: name_list(&extra) }.at(&self.dir))
    }

    /// The files in the order of the data set, with their class indices.
    fn files(&self, classes: &[String]) -> Vec<(&Path, u32)> {
        let mut files = Vec::new();
        // Folders without images change no order.
        for (number, folder) in (0..).zip(self.folders.iter().filter(|folder| !folder.images.is_empty())) {
            // Every folder with images has a class.
            let class = classes.iter().position(|class| *class == folder.name).unwrap_or(0) as u32;
            files.extend((0..).zip(&folder.images).map(|(index, path)| (order(number, index), path.as_path(), class)));
        }
        files.sort_by_key(|&(order, ..)| order);
        files.into_iter().map(|(_, path, class)| (path, class)).collect()
    }

    /// Decodes all files, in parallel.
    fn read(
        &self,
        name: String,
        classes: &[String],
        target: &Target,
        notes: &mut Vec<String>,
    ) -> Result<Dataset, DataError> {
        let files = self.files(classes);
        let bytes = target.shape.bytes_of(files.len());
        let (Ok(total), Some(len), true) = (usize::try_from(bytes), target.shape.len(), bytes <= MAX_BYTES) else {
            return Err(Problem::TooLarge { bytes, limit: MAX_BYTES }.at(&self.dir));
        };
        let mut images = vec![0; total];
        let parts = images.par_chunks_exact_mut(len).zip(&files).enumerate();
        // In the data set's order, whichever thread was first: the same message on every run.
        let failed = parts.filter_map(|(at, (image, (path, _)))| Some((at, target.read(path, image).err()?)));
        let failed: Vec<(usize, DataError)> = failed.collect();
        let bad: Vec<usize> = failed.iter().map(|&(at, _)| at).collect();
        if let Some(note) = self.judge(failed, files.len(), target)? {
            notes.push(note);
            keep_good(&mut images, len, &bad);
        }
        let good = (0..files.len()).filter(|at| bad.binary_search(at).is_err());
        let (files, labels) = good.map(|at| (files[at].0.to_owned(), files[at].1)).unzip();
        Ok(Dataset::new(name, target.shape, images, labels, classes.to_vec())?.with_files(files))
    }

    /// What to say of images that could not be read: an error, or a note if they are to be skipped.
    fn judge(&self, failed: Vec<(usize, DataError)>, of: usize, target: &Target) -> Result<Option<String>, DataError> {
        let (bad, mut others): (Vec<_>, Vec<_>) =
            failed.into_iter().map(|(_, error)| error).partition(|error| error.problem.is_bad_image());
        if !others.is_empty() {
            return Err(others.swap_remove(0));
        }
        if bad.is_empty() {
            return Ok(None);
        }
        let mut shown: Vec<String> = bad.iter().map(|error| self.shown(error)).collect();
        shown.sort_by(|a, b| natural_order(a, b));
        let problem = Problem::BadImages { bad: bad.len(), of, shown: super::error::list(&shown, "; ", 3) };
        if !target.skip_bad {
            return Err(problem.at(&self.dir));
        }
        let names: Vec<&str> =
            shown.iter().map(|line| line.split_once(": ").map_or(line.as_str(), |(file, _)| file)).collect();
        Ok(Some(format!("left out {} of {of} images that can't be read: {}", bad.len(), name_list(&names))))
    }

    /// `class/file: cause`.
    fn shown(&self, error: &DataError) -> String {
        let dir = one_line(&self.dir.to_string_lossy());
        let file = error.place.strip_prefix(&dir).unwrap_or(&error.place);
        let cause = match &error.problem {
            Problem::Image { cause } => format!("can't be decoded as an image: {cause}"),
            other => other.to_string(),
        };
        format!("{}: {cause}", file.trim_start_matches(['/', '\\']))
    }
}

/// Moves the images that are not `bad` (ascending) to the front, and drops the rest.
fn keep_good(images: &mut Vec<u8>, len: usize, bad: &[usize]) {
    let mut kept = 0;
    for at in (0..images.len() / len).filter(|at| bad.binary_search(at).is_err()) {
        images.copy_within(at * len..(at + 1) * len, kept * len);
        kept += 1;
    }
    images.truncate(kept * len);
}

/// Sort key of an example. Examples must not come sorted by class; a hash of the indices shuffles them in the same way on
/// every machine.
///
/// Source: the output function of SplitMix64 (variant 13 of D. Stafford's "Better Bit Mixing"). It is a bijection, so
/// no two examples tie.
fn order(class: u32, index: u32) -> u64 {
    let mut bits = (u64::from(class) << 32 | u64::from(index)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

/// What every image becomes.
struct Target {
    shape: ImageShape,
    preparation: Preparation,
    skip_bad: bool,
    /// The image that decided the size; `None` if the caller did, and others are resized.
    first: Option<PathBuf>,
}

impl Target {
    /// The wanted shape, or that of the first image of the first class that can be read.
    fn of(options: &LoadOptions, train: &Listing, classes: &[String]) -> Result<Self, DataError> {
        let (preparation, skip_bad) = (options.prepare, options.skip_bad);
        if let Some(shape) = options.shape {
            preparation.check(shape).at(&train.dir)?;
            return Ok(Self { shape, preparation, skip_bad, first: None });
        }
        let folder = |class: &String| train.folders.iter().find(|folder| folder.name == *class);
        let mut problem = Problem::NoClasses.at(&train.dir);
        for first in classes.iter().filter_map(folder).flat_map(|folder| &folder.images) {
            match decode(first) {
                Ok(image) => {
                    let shape = shape_of(&image);
                    preparation.check(shape).at(first)?;
                    return Ok(Self { shape, preparation, skip_bad, first: Some(first.clone()) });
                }
                Err(error) if skip_bad => problem = error,
                Err(error) => return Err(error),
            }
        }
        Err(problem)
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
                image.copy_from_slice(&self.preparation.apply(decoded, self.shape, Invert::Auto).bytes);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
#[path = "image_folder_tests.rs"]
mod tests;
