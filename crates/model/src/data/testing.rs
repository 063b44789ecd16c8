//! Small data for this module's tests.

use std::fmt::Debug;
use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use image::{GrayImage, Luma, Rgb, RgbImage};

use super::{DataError, ImageShape};

/// The message of a result that must be an error in one line.
pub(super) fn message<T: Debug>(result: Result<T, DataError>) -> String {
    let text = result.unwrap_err().to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

pub(super) fn shape(height: u32, width: u32, channels: u32) -> ImageShape {
    ImageShape { height, width, channels }
}

/// An IDX file of unsigned bytes.
pub(super) fn idx(dims: &[u32], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    bytes.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
    bytes.extend(body);
    bytes
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Saves a one-coloured grey image, making the folders on the way.
pub(super) fn grey(path: &Path, width: u32, height: u32, level: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    GrayImage::from_pixel(width, height, Luma([level])).save(path).unwrap();
}

/// Saves a one-coloured RGB image, making the folders on the way.
pub(super) fn colour(path: &Path, width: u32, height: u32, rgb: [u8; 3]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(width, height, Rgb(rgb)).save(path).unwrap();
}
