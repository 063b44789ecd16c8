//! Image files as upright 8-bit luma or RGB pixels.

use std::io::{BufRead, Cursor, Seek};
use std::path::Path;

use image::imageops::{FilterType, resize};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};

use super::error::{At, DataError, Problem, cause_line};
use super::listing::check_file;
use super::{ImageShape, jpeg};

/// Largest width and height that are decoded, in pixels.
const MAX_SIDE: u32 = 16384;
/// Largest memory for decoding one image, in bytes.
const MAX_ALLOC: u64 = 512 << 20;

/// Decodes an image of any enabled format, recognised by its content before its name.
///
/// The result is `ImageLuma8`, or `ImageRgb8` if the file has colour. Transparent parts lie over white, as browsers
/// and paper show them; the camera's orientation tag is followed; of an animation, the first frame is taken.
pub(super) fn decode(path: &Path) -> Result<DynamicImage, DataError> {
    check_file(path)?;
    decode_whole(ImageReader::open(path).at(path)?).at(path)
}

/// As [`decode`], of a file's content.
pub(super) fn decode_bytes(bytes: &[u8]) -> Result<DynamicImage, Problem> {
    decode_whole(ImageReader::new(Cursor::new(bytes)))
}

fn decode_whole<R: BufRead + Seek>(reader: ImageReader<R>) -> Result<DynamicImage, Problem> {
    let mut reader = reader.with_guessed_format()?;
    if reader.format() == Some(ImageFormat::Jpeg) {
        reader = whole_jpeg(reader.into_inner())?;
    }
    decode_limited(reader).map(flatten)
}

/// A reader of a JPEG file that was not cut short.
fn whole_jpeg<R: BufRead + Seek>(mut file: R) -> Result<ImageReader<R>, Problem> {
    // What does not begin like a JPEG is none, and not one that was cut.
    if file.fill_buf()?.starts_with(&[0xff, 0xd8]) && !jpeg::is_whole(&mut file)? {
        return Err(Problem::Image { cause: "the file ends before its end marker: it was cut short".into() });
    }
    file.rewind()?;
    Ok(ImageReader::with_format(file, ImageFormat::Jpeg))
}

/// `height`, `width` and `channels` of a decoded image.
pub(super) fn shape_of(image: &DynamicImage) -> ImageShape {
    ImageShape { height: image.height(), width: image.width(), channels: image.color().channel_count().into() }
}

/// The image's bytes in `shape`, `[height, width, channels]`: turned to luma or RGB, then resized without regard to its
/// aspect ratio.
pub(super) fn to_shape(image: DynamicImage, shape: ImageShape) -> Vec<u8> {
    let (width, height) = (shape.width, shape.height);
    match shape.channels {
        1 => resize(&image.into_luma8(), width, height, FilterType::Triangle).into_raw(),
        _ => resize(&image.into_rgb8(), width, height, FilterType::Triangle).into_raw(),
    }
}

/// That images can be turned to `shape`.
pub(super) fn check_shape(shape: ImageShape) -> Result<(), Problem> {
    match shape.channels {
        _ if shape.is_empty() => Err(Problem::ZeroShape { shape }),
        1 | 3 => Ok(()),
        channels => Err(Problem::Channels { channels }),
    }
}

fn decode_limited<R: BufRead + Seek>(mut reader: ImageReader<R>) -> Result<DynamicImage, Problem> {
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
    limits.max_alloc = Some(MAX_ALLOC);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    // Not every decoder heeds the limits, so the pixels are counted before they are allocated.
    let (width, height) = decoder.dimensions();
    limits.check_dimensions(width, height)?;
    limits.reserve(decoder.total_bytes())?;
    if width == 0 || height == 0 {
        return Err(Problem::Image { cause: format!("{width}x{height} pixels") });
    }
    // A broken orientation tag is no reason to refuse the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Self {
        Self::Image { cause: cause_line(&error) }
    }
}

/// In 8 bits, over white.
fn flatten(image: DynamicImage) -> DynamicImage {
    match (image.color().has_color(), image.color().has_alpha()) {
        (false, false) => image.into_luma8().into(),
        (true, false) => image.into_rgb8().into(),
        (false, true) => {
            let source = image.into_luma_alpha8();
            let mut flat = GrayImage::new(source.width(), source.height());
            flat.pixels_mut().zip(source.pixels()).for_each(|(to, from)| to.0[0] = over_white(from.0[0], from.0[1]));
            flat.into()
        }
        (true, true) => {
            let source = image.into_rgba8();
            let mut flat = RgbImage::new(source.width(), source.height());
            flat.pixels_mut().zip(source.pixels()).for_each(|(to, from)| {
                let [r, g, b, alpha] = from.0;
                to.0 = [r, g, b].map(|level| over_white(level, alpha));
            });
            flat.into()
        }
    }
}

fn over_white(level: u8, alpha: u8) -> u8 {
    let (level, alpha) = (u32::from(level), u32::from(alpha));
    // A mean of two bytes, weighted by parts of 255, is a byte.
    ((level * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::super::testing::{colour, grey, message, shape};
    use super::*;
    use image::{GrayAlphaImage, LumaA, Rgba, RgbaImage};
    use std::fs;

    #[test]
    fn opaque_levels_are_kept_and_transparent_ones_are_white() {
        assert!((0..=255).all(|level| over_white(level, 255) == level && over_white(level, 0) == 255));
        assert_eq!(over_white(0, 51), 204);
    }

    #[test]
    fn every_colour_type_is_flattened() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        grey(&file("grey.png"), 3, 2, 7);
        colour(&file("rgb.bmp"), 3, 2, [1, 2, 3]);
        GrayAlphaImage::from_pixel(3, 2, LumaA([0, 0])).save(file("clear-grey.png")).unwrap();
        RgbaImage::from_pixel(3, 2, Rgba([9, 8, 7, 255])).save(file("opaque.png")).unwrap();
        let deep = image::ImageBuffer::<image::Luma<u16>, _>::from_pixel(3, 2, image::Luma([257 * 5]));
        deep.save(file("deep.png")).unwrap();
        let first = |name: &str| {
            (decode(&file(name)).unwrap().color().channel_count(), decode(&file(name)).unwrap().into_bytes()[0])
        };
        assert_eq!(first("grey.png"), (1, 7));
        assert_eq!(first("rgb.bmp"), (3, 1));
        assert_eq!(first("clear-grey.png"), (1, 255));
        assert_eq!(first("opaque.png"), (3, 9));
        assert_eq!(first("deep.png"), (1, 5));
        assert_eq!(shape_of(&decode(&file("rgb.bmp")).unwrap()), shape(2, 3, 3));
    }

    #[test]
    fn images_are_turned_to_the_shape() {
        let pair: GrayImage = GrayImage::from_raw(2, 1, vec![10, 20]).unwrap();
        assert_eq!(to_shape(pair.clone().into(), shape(1, 2, 1)), [10, 20]);
        assert_eq!(to_shape(pair.clone().into(), shape(1, 2, 3)), [10, 10, 10, 20, 20, 20]);
        assert_eq!(to_shape(pair.into(), shape(1, 1, 1)), [15]);
        assert_eq!(to_shape(RgbImage::from_pixel(1, 1, image::Rgb([255, 0, 0])).into(), shape(1, 1, 1)), [54]);
    }

    #[test]
    fn shapes_without_meaning_are_refused() {
        assert!(matches!(check_shape(shape(2, 2, 2)), Err(Problem::Channels { channels: 2 })));
        assert!(matches!(check_shape(shape(2, 0, 1)), Err(Problem::ZeroShape { .. })));
        assert!(check_shape(shape(2, 2, 1)).is_ok() && check_shape(shape(2, 2, 3)).is_ok());
    }

    #[test]
    fn text_named_png_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("note.png");
        fs::write(&path, "dear diary").unwrap();
        assert!(message(decode(&path)).contains("note.png: can't be decoded as an image: "));
        let path = dir.path().join("note.jpg");
        fs::write(&path, "dear diary").unwrap();
        let text = message(decode(&path));
        assert!(text.contains("can't be decoded as an image: ") && !text.contains("cut short"), "{text}");
    }

    /// Pixels that leave traces in every part of a file.
    fn noise() -> RgbImage {
        RgbImage::from_fn(37, 29, |x, y| {
            let bits = tilegrad_kernels::hash::bits(1, x, y);
            image::Rgb([(bits % 256) as u8, (x * 6) as u8, (bits >> 8) as u8 / 4 + (y * 3) as u8])
        })
    }

    /// Whatever is cut off, the pixels are all there or the file is refused.
    #[test]
    fn a_file_of_any_format_that_was_cut_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        for ending in ["png", "jpg", "bmp", "gif", "webp", "tiff", "ppm"] {
            let path = dir.path().join(format!("whole.{ending}"));
            noise().save(&path).unwrap();
            let (bytes, pixels) = (fs::read(&path).unwrap(), decode(&path).unwrap());
            let mut harmless = 0;
            for end in 0..bytes.len() {
                fs::write(&path, &bytes[..end]).unwrap();
                match decode(&path) {
                    Err(error) => assert!(error.to_string().contains("can't be decoded as an image"), "{error}"),
                    Ok(found) => {
                        assert!(
                            found == pixels,
                            "{ending}: other pixels when cut after {end} of {} bytes",
                            bytes.len()
                        );
                        harmless += 1;
                    }
                }
            }
            // What follows the pixels: checksums, trailers, padding.
            assert!(harmless <= 16, "{ending}: {harmless} cuts were not noticed");
        }
    }

    /// Three scans of one JPEG, as progressive files have them: what is behind the first refines it.
    #[test]
    fn a_progressive_jpeg_that_was_cut_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("progressive.jpg");
        let bytes = include_bytes!("testing/progressive.jpg");
        fs::write(&path, bytes).unwrap();
        let whole = decode(&path).unwrap();
        assert_eq!((whole.width(), whole.height()), (32, 24));
        for end in 0..bytes.len() {
            fs::write(&path, &bytes[..end]).unwrap();
            assert!(message(decode(&path)).contains("can't be decoded as an image"), "cut after {end} bytes");
        }
    }

    #[test]
    fn dimension_bombs_are_refused_before_they_are_allocated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bomb.pgm");
        for header in ["P5 4000000000 1 255\n", "P5 16385 1 255\n", "P6 16384 16384 255\n", "P5 0 4 255\n"] {
            fs::write(&path, header).unwrap();
            assert!(message(decode(&path)).contains("can't be decoded as an image"), "{header}");
        }
    }

    #[test]
    fn content_decides_over_the_name() {
        let dir = tempfile::tempdir().unwrap();
        grey(&dir.path().join("a.bmp"), 3, 2, 7);
        fs::rename(dir.path().join("a.bmp"), dir.path().join("a.jpg")).unwrap();
        assert_eq!(decode(&dir.path().join("a.jpg")).unwrap().width(), 3);
    }
}
