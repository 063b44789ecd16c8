//! Any drawing as one of MNIST's digits.
//!
//! Networks trained on MNIST have seen light digits on black ground, of one size and in the middle. The procedure of
//! MNIST's authors brings any drawing there: "size normalized to fit in a 20x20 pixel box while preserving their aspect
//! ratio", then placed in a 28x28 image "by computing the center of mass of the pixels".
//!
//! Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits",
//! <http://yann.lecun.com/exdb/mnist/>.

use image::GrayImage;
use image::imageops::{self, FilterType};

use super::{ImageShape, Invert, PreparedImage};

/// Least difference between ink and ground, of 255; below it is the grain of paper.
const LEAST_CONTRAST: u8 = 32;
/// Least level of ink once the contrast is stretched; fainter pixels are smudges that must not widen the box.
const LEAST_INK: u8 = 32;
/// Part of the target's side that the ink takes: MNIST's 20 of 28 pixels.
const BOX: (u32, u32) = (20, 28);

/// The image as one of MNIST's digits: if its border's median is above 127 (dark ink on light ground), or as `invert`
/// says, it is inverted; the ground is set to 0 and the strongest ink to 255; the ink is cropped, scaled so that it fits
/// in 20/28 of the target, and moved so that its centre of mass is in the middle, as far as it stays inside.
///
/// An image that has the target's size and needs no inversion is taken as it is, byte for byte: it is one of MNIST's
/// own, or like them. A blank page gives a black image marked `blank`.
pub(super) fn prepare_ink(mut image: GrayImage, shape: ImageShape, invert: Invert) -> PreparedImage {
    let inverted = match invert {
        Invert::Auto => has_light_border(image.as_raw(), image.width() as usize),
        Invert::Always => true,
        Invert::Never => false,
    };
    if inverted {
        imageops::invert(&mut image);
    }
    let ground = border_median(&image);
    let strongest = image.as_raw().iter().copied().max().unwrap_or(0);
    let blank = strongest.saturating_sub(ground) < LEAST_CONTRAST;
    let as_it_is = !inverted && image.dimensions() == (shape.width, shape.height);
    let bytes = if as_it_is {
        image.into_raw()
    } else if blank {
        vec![0; shape.width as usize * shape.height as usize]
    } else {
        stretch(&mut image, ground, strongest);
        centre(&fit(&image, shape), shape).into_raw()
    };
    PreparedImage { shape, bytes, inverted, rescaled: !as_it_is, blank }
}

/// Whether the median of the outermost pixels of a grey image is above 127: dark ink on light ground.
pub(super) fn has_light_border(image: &[u8], width: usize) -> bool {
    let (first, last) = (&image[..width], &image[image.len() - width..]);
    let sides = image.chunks_exact(width).flat_map(|row| [row[0], row[width - 1]]);
    let levels = first.iter().chain(last).copied().chain(sides);
    let (all, light) = levels.fold((0, 0), |(all, light), level| (all + 1, light + usize::from(level > 127)));
    // An even number, of which the upper middle one counts.
    2 * light >= all
}

/// Median level of the outermost pixels.
fn border_median(image: &GrayImage) -> u8 {
    let (right, bottom) = (image.width() - 1, image.height() - 1);
    let mut levels: Vec<u8> =
        (0..=right).flat_map(|x| [(x, 0), (x, bottom)]).map(|(x, y)| image[(x, y)].0[0]).collect();
    levels.extend((0..=bottom).flat_map(|y| [(0, y), (right, y)]).map(|(x, y)| image[(x, y)].0[0]));
    let middle = levels.len() / 2;
    *levels.select_nth_unstable(middle).1
}

/// Maps `ground..=strongest` to `0..=255`.
fn stretch(image: &mut GrayImage, ground: u8, strongest: u8) {
    let range = u32::from(strongest - ground);
    for pixel in image.pixels_mut() {
        let above = u32::from(pixel.0[0].saturating_sub(ground));
        // At most 255: no pixel is above the strongest.
        pixel.0[0] = ((above * 255 + range / 2) / range) as u8;
    }
}

/// The ink's bounding box, scaled to fit in the [`BOX`] of the target.
fn fit(image: &GrayImage, shape: ImageShape) -> GrayImage {
    let (x, y, width, height) = ink_box(image);
    let side = |target: u32| (u64::from(target) * u64::from(BOX.0) / u64::from(BOX.1)).max(1) as f64;
    let scale = (side(shape.width) / f64::from(width)).min(side(shape.height) / f64::from(height));
    // Thin strokes keep a pixel of width.
    let scaled = |length: u32| (f64::from(length) * scale).round().max(1.0) as u32;
    let ink = imageops::crop_imm(image, x, y, width, height);
    imageops::resize(&*ink, scaled(width), scaled(height), FilterType::Triangle)
}

/// `x`, `y`, width and height of what is at least [`LEAST_INK`].
fn ink_box(image: &GrayImage) -> (u32, u32, u32, u32) {
    let (mut left, mut top, mut right, mut bottom) = (image.width(), image.height(), 0, 0);
    for (x, y, _) in image.enumerate_pixels().filter(|(.., pixel)| pixel.0[0] >= LEAST_INK) {
        (left, right) = (left.min(x), right.max(x + 1));
        (top, bottom) = (top.min(y), bottom.max(y + 1));
    }
    (left, top, right - left, bottom - top)
}

/// A black image of `shape` with `ink` so placed that its centre of mass is in the middle, as far as it stays inside.
fn centre(ink: &GrayImage, shape: ImageShape) -> GrayImage {
    let (mut mass, mut sum_x, mut sum_y) = (0.0, 0.0, 0.0);
    for (x, y, pixel) in ink.enumerate_pixels() {
        let level = f64::from(pixel.0[0]);
        mass += level;
        sum_x += level * f64::from(x);
        sum_y += level * f64::from(y);
    }
    // The middle is pixel 14 of 28, not 13.5: the mean over MNIST's own test images (14.01, 13.99).
    let start = |sum: f64, side: u32, room: u32| {
        (f64::from(side / 2) - sum / f64::max(mass, 1.0)).round().clamp(0.0, f64::from(room)) as i64
    };
    let x = start(sum_x, shape.width, shape.width.saturating_sub(ink.width()));
    let y = start(sum_y, shape.height, shape.height.saturating_sub(ink.height()));
    let mut image = GrayImage::new(shape.width, shape.height);
    imageops::replace(&mut image, ink, x, y);
    image
}

#[cfg(test)]
#[path = "normalise_tests.rs"]
mod tests;
