//! Where images come from, and what becomes of their files.

use super::Failed;
use anyhow::{Result, bail, ensure};
use rayon::prelude::*;
use std::io::Read;
use std::path::{Path, PathBuf};
use tilegrad_model::data::{ImageShape, Invert, Preparation, PreparedImage, image_files, prepare_bytes, prepare_image};

/// Largest image on standard input, in bytes.
const MOST_BYTES: u64 = 512 << 20;
/// Name of an image from standard input.
const STDIN: &str = "-";

/// An image still to be read.
#[derive(Debug)]
pub enum Source {
    File(PathBuf),
    /// The content of standard input.
    Bytes(Vec<u8>),
}

impl Source {
    /// The file's name, as predictions show it.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Bytes(_) => STDIN.into(),
        }
    }
}

/// The images that `paths` mean: files, those in folders, and standard input.
pub fn sources(paths: &[PathBuf]) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in paths {
        if path.as_os_str() == STDIN {
            let again = sources.iter().any(|source| matches!(source, Source::Bytes(_)));
            ensure!(!again, "standard input (-) is named twice, and holds one image");
            sources.push(Source::Bytes(standard_input()?));
        } else if path.is_dir() {
            sources.extend(folder(path)?.into_iter().map(Source::File));
        } else {
            sources.push(Source::File(path.clone()));
        }
    }
    Ok(sources)
}

fn folder(path: &Path) -> Result<Vec<PathBuf>> {
    let images = image_files(path)?;
    ensure!(!images.is_empty(), "{}: no images in the folder or the folders within it", path.display());
    Ok(images)
}

fn standard_input() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        0 => bail!("standard input is empty, expected an image"),
        found if found > MOST_BYTES => bail!("standard input has more than {MOST_BYTES} bytes, expected one image"),
        _ => Ok(bytes),
    }
}

/// How files become what the network takes.
#[derive(Debug, Clone, Copy)]
pub struct Prepare {
    pub shape: ImageShape,
    pub preparation: Preparation,
    pub invert: Invert,
}

/// Images of one pass, and files that are none.
#[derive(Debug)]
pub struct Batch<'a> {
    pub images: Vec<(&'a Source, PreparedImage)>,
    pub failed: Vec<Failed>,
}

impl Prepare {
    /// Reads the images, in parallel, and keeps their order.
    pub fn batch<'a>(&self, sources: &'a [Source]) -> Batch<'a> {
        let read = |source: &'a Source| (source, self.read(source));
        let found: Vec<_> = sources.par_iter().map(read).collect();
        let mut batch = Batch { images: Vec::with_capacity(found.len()), failed: Vec::new() };
        for (source, image) in found {
            match image {
                Ok(image) => batch.images.push((source, image)),
                Err(error) => batch.failed.push(Failed { file: source.name(), error: error.to_string() }),
            }
        }
        batch
    }

    fn read(&self, source: &Source) -> Result<PreparedImage> {
        let Self { shape, preparation, invert } = *self;
        Ok(match source {
            Source::File(path) => prepare_image(path, shape, preparation, invert)?,
            Source::Bytes(bytes) => prepare_bytes("standard input", bytes, shape, preparation, invert)?,
        })
    }
}
