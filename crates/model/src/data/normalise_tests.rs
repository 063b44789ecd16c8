//! Tests of the preparation of one image.

use super::super::testing::{colour, grey, message, shape};
use super::super::{Preparation, prepare_image};
use super::*;
use image::{Luma, Rgba, RgbaImage};

const MNIST: ImageShape = ImageShape { height: 28, width: 28, channels: 1 };

fn prepare(image: &GrayImage, name: &str, invert: Invert) -> PreparedImage {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    image.save(&path).unwrap();
    prepare_image(&path, MNIST, Preparation::Mnist, invert).unwrap()
}

/// A bar of `ink` on `ground`, `bar` = x, y, width, height.
fn drawing(size: (u32, u32), ground: u8, ink: u8, bar: [u32; 4]) -> GrayImage {
    let inside = |at: u32, from: u32, length: u32| (from..from + length).contains(&at);
    GrayImage::from_fn(size.0, size.1, |x, y| {
        Luma([if inside(x, bar[0], bar[2]) && inside(y, bar[1], bar[3]) { ink } else { ground }])
    })
}

/// The bar that [`drawing`] makes of a 28x28 image of black and white.
fn bar(x: u32, y: u32, width: u32, height: u32) -> Vec<u8> {
    drawing((28, 28), 0, 255, [x, y, width, height]).into_raw()
}

#[track_caller]
fn assert_same(got: &[u8], want: &[u8]) {
    assert!(got == want, "{}differs from{}", sketch(got), sketch(want));
}

/// A 28x28 image in letters.
fn sketch(bytes: &[u8]) -> String {
    let letters = |row: &[u8]| row.iter().map(|&level| char::from(b" .:+#@"[usize::from(level) * 5 / 255])).collect();
    bytes.chunks(28).map(letters).fold("\n".to_owned(), |all, row: String| all + &row + "\n")
}

#[test]
fn target_size_with_dark_border_is_taken_byte_for_byte() {
    let odd = GrayImage::from_fn(28, 28, |x, y| Luma([if (3..9).contains(&x) { (x * 9 + y) as u8 } else { 0 }]));
    let prepared = prepare(&odd, "digit.png", Invert::Auto);
    assert_eq!(&prepared.bytes, odd.as_raw());
    assert!(!prepared.inverted && !prepared.rescaled && !prepared.blank);
}

#[test]
fn dark_ink_on_light_ground_is_inverted_scaled_and_centred() {
    let prepared = prepare(&drawing((280, 140), 250, 20, [10, 5, 20, 100]), "digit.png", Invert::Auto);
    assert!(prepared.inverted && prepared.rescaled && !prepared.blank);
    assert_same(&prepared.bytes, &bar(13, 5, 4, 20));
}

#[test]
fn light_ink_on_dark_ground_is_scaled_and_centred() {
    let prepared = prepare(&drawing((56, 56), 0, 255, [2, 3, 40, 8]), "digit.png", Invert::Auto);
    assert!(!prepared.inverted && prepared.rescaled);
    assert_same(&prepared.bytes, &bar(5, 13, 20, 4));
}

#[test]
fn small_light_drawing_is_scaled_too() {
    let prepared = prepare(&drawing((28, 28), 255, 0, [20, 20, 5, 1]), "digit.png", Invert::Auto);
    assert_same(&prepared.bytes, &bar(5, 13, 20, 4));
}

#[test]
fn lossy_pictures_with_grain_find_the_same_ink() {
    let mut photo = drawing((280, 280), 215, 60, [30, 60, 30, 150]);
    photo.enumerate_pixels_mut().for_each(|(x, y, pixel)| pixel.0[0] -= ((x * 7 + y * 13) % 10) as u8);
    let prepared = prepare(&photo, "digit.jpg", Invert::Auto);
    // The bar's own centre lies between two pixels, so grain may move it by one.
    let bright: Vec<usize> = (0..784).filter(|&i| prepared.bytes[i] > 180).collect();
    let dark = prepared.bytes.iter().filter(|&&level| level < 40).count();
    assert!((bright.len(), dark) == (80, 784 - 80), "{}", sketch(&prepared.bytes));
    assert!((4..=5).contains(&(bright[0] / 28)) && (12..=13).contains(&(bright[0] % 28)));
}

#[test]
fn a_light_border_is_one_with_a_light_median() {
    for number in 0..200 {
        let bits = |x: u32, y: u32| tilegrad_kernels::hash::bits(number, x, y);
        let (width, height) = (1 + bits(9, 0) % 7, 1 + bits(9, 1) % 7);
        let image = GrayImage::from_fn(width, height, |x, y| Luma([(bits(x, y) % 256) as u8]));
        assert_eq!(has_light_border(image.as_raw(), width as usize), border_median(&image) > 127, "{width}x{height}");
    }
}

#[test]
fn centre_of_mass_is_in_the_middle() {
    // A heavy block at the left of a faint one of the same size.
    let mut image = drawing((40, 40), 0, 255, [5, 10, 10, 20]);
    (15..25).for_each(|x| (10..30).for_each(|y| image.put_pixel(x, y, Luma([51]))));
    let bytes = prepare(&image, "digit.png", Invert::Auto).bytes;
    let row = &bytes[14 * 28..][..28];
    // Masses 5 and 1, centres 10 apart: the box starts at 14 - (5 * 4.5 + 1 * 14.5) / 6, rounded. By the box's own
    // centre it would start at 4.
    assert_eq!(row.iter().position(|&level| level > 0), Some(8), "{row:?}");
    assert_eq!(row.iter().rposition(|&level| level > 0), Some(27), "{row:?}");
}

#[test]
fn ink_is_never_cut() {
    // Nearly all mass is at the left: in the middle of the target, the faint line would leave it at the right.
    let mut image = drawing((100, 100), 0, 255, [0, 0, 3, 100]);
    (3..100).for_each(|x| image.put_pixel(x, 50, Luma([255])));
    let bytes = prepare(&image, "digit.png", Invert::Auto).bytes;
    let inked = |x: usize| bytes.chunks_exact(28).any(|row| row[x] > 0);
    assert!(!inked(7) && (8..28).all(inked), "{}", sketch(&bytes));
}

#[test]
fn blank_pages_give_black_images_marked_blank() {
    for (level, inverted) in [(255, true), (0, false), (128, true), (127, false)] {
        let prepared = prepare(&drawing((50, 40), level, level, [0, 0, 1, 1]), "page.png", Invert::Auto);
        assert_eq!((prepared.bytes, prepared.blank), (vec![0; 784], true), "{level}");
        assert_eq!(prepared.inverted, inverted, "{level}");
    }
    let black = prepare(&GrayImage::new(28, 28), "page.png", Invert::Auto);
    assert!(black.blank && !black.rescaled);
}

#[test]
fn one_pixel_and_one_row_are_images() {
    for (width, height) in [(1, 1), (1, 9), (9, 1), (2, 2)] {
        for invert in [Invert::Auto, Invert::Always, Invert::Never] {
            for level in [0, 99, 255] {
                assert_eq!(
                    prepare(&drawing((width, height), level, 77, [0, 0, 1, 1]), "p.png", invert).bytes.len(),
                    784
                );
            }
        }
    }
}

#[test]
fn transparent_ground_counts_as_white() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("digit.png");
    let ink = drawing((280, 140), 0, 255, [10, 5, 20, 100]);
    RgbaImage::from_fn(280, 140, |x, y| Rgba([0, 0, 0, ink[(x, y)].0[0]])).save(&path).unwrap();
    let prepared = prepare_image(&path, MNIST, Preparation::Mnist, Invert::Auto).unwrap();
    assert!(prepared.inverted);
    assert_same(&prepared.bytes, &bar(13, 5, 4, 20));
}

#[test]
fn never_and_always_overrule_the_border() {
    let image = drawing((28, 28), 255, 0, [4, 12, 20, 4]);
    let never = prepare(&image, "digit.png", Invert::Never);
    assert_eq!(&never.bytes, image.as_raw());
    assert!(!never.inverted && !never.rescaled);
    let always = prepare(&image, "digit.png", Invert::Always);
    assert_same(&always.bytes, &bar(5, 13, 20, 4));
    assert!(always.inverted);
    let light = prepare(&drawing((56, 56), 0, 255, [2, 3, 40, 8]), "digit.png", Invert::Never);
    assert!(!light.inverted && light.rescaled, "centred all the same");
    assert_same(&light.bytes, &bar(5, 13, 20, 4));
}

#[test]
fn targets_need_not_be_square_and_may_be_tiny() {
    let image = drawing((100, 100), 255, 0, [10, 10, 50, 50]);
    for (height, width) in [(14, 56), (56, 14), (1, 1), (1, 28), (3, 2)] {
        let shape = shape(height, width, 1);
        let prepared = prepare_ink(image.clone(), shape, Invert::Auto);
        assert_eq!(Some(prepared.bytes.len()), shape.len());
        assert!(prepared.bytes.iter().any(|&level| level > 0), "{shape}");
    }
}

#[test]
fn plain_images_are_only_resized() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png");
    colour(&path, 4, 4, [250, 240, 10]);
    let plain = |shape, invert| prepare_image(&path, shape, Preparation::Plain, invert).unwrap();
    let prepared = plain(shape(1, 2, 3), Invert::Auto);
    assert_eq!(prepared.bytes, [250, 240, 10, 250, 240, 10]);
    assert!(!prepared.inverted && prepared.rescaled);
    assert_eq!(plain(shape(1, 1, 3), Invert::Always).bytes, [5, 15, 245]);
    // Luma by Rec. 709, as the image crate has it: 0.2126 * 250 + 0.7152 * 240 + 0.0722 * 10 = 225.52.
    assert_eq!(plain(shape(1, 1, 1), Invert::Auto).bytes, [226]);
    assert_eq!(plain(shape(1, 1, 1), Invert::Never), plain(shape(1, 1, 1), Invert::Auto), "light ground stays light");
}

#[test]
fn bad_files_and_shapes_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png");
    assert!(message(prepare_image(&path, MNIST, Preparation::Mnist, Invert::Auto)).contains("a.png: can't be read"));
    grey(&path, 4, 4, 9);
    let refused = |shape, preparation| message(prepare_image(&path, shape, preparation, Invert::Auto));
    assert!(refused(shape(2, 2, 2), Preparation::Plain).contains("2 channels, expected 1"));
    assert!(refused(shape(2, 2, 3), Preparation::Mnist).contains("3 channels, expected 1: prepare"));
    assert!(refused(shape(0, 2, 1), Preparation::Plain).contains("holds no pixels"));
    assert!(message(prepare_image(dir.path(), MNIST, Preparation::Plain, Invert::Auto)).contains("expected a file"));
}
