//! How an image file becomes what the network takes: the same in training, evaluation and prediction.

use std::path::Path;

use image::DynamicImage;

use super::decode::{check_shape, decode, decode_bytes, to_shape};
use super::error::At;
use super::normalise::prepare_ink;
use super::{DataError, ImageShape, Problem};

/// How an image file becomes what a network takes. Part of the model: what it was trained with is saved in its
/// checkpoint, and done again when it predicts. Images of IDX files are taken as they lie, in every case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preparation {
    /// Turned to luma or RGB and resized, without regard to the aspect ratio. An image that has the network's size and
    /// channels stays as it is.
    #[default]
    Plain,
    /// As MNIST's authors made their digits: luma, light ink on dark ground, its contrast stretched, cropped, scaled
    /// and centred. An image of the network's size with a dark border stays as it is.
    Mnist,
}

impl Preparation {
    /// Every preparation, in the order of the documentation.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Mnist];

    /// Its name in configurations and options.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Mnist => "mnist",
        }
    }

    /// That images can be turned to `shape` in this way.
    pub(super) fn check(self, shape: ImageShape) -> Result<(), Problem> {
        check_shape(shape)?;
        match self {
            Self::Mnist if shape.channels != 1 => Err(Problem::InkChannels { channels: shape.channels }),
            Self::Plain | Self::Mnist => Ok(()),
        }
    }

    /// Turns a decoded image to `shape`, which was checked.
    pub(super) fn apply(self, mut image: DynamicImage, shape: ImageShape, invert: Invert) -> PreparedImage {
        match self {
            Self::Mnist => prepare_ink(image.into_luma8(), shape, invert),
            Self::Plain => {
                let inverted = invert == Invert::Always;
                if inverted {
                    image.invert();
                }
                let rescaled = (image.width(), image.height()) != (shape.width, shape.height);
                PreparedImage { shape, bytes: to_shape(image, shape), inverted, rescaled, blank: false }
            }
        }
    }
}

/// When light and dark are exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Invert {
    /// As the preparation has it: [`Preparation::Mnist`] inverts an image whose border is light,
    /// [`Preparation::Plain`] none.
    #[default]
    Auto,
    /// Whatever the image.
    Always,
    /// Not at all.
    Never,
}

/// An image as the network takes it, and what was done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedImage {
    /// Shape of the image.
    pub shape: ImageShape,
    /// `[height, width, channels]`, 0 to 255.
    pub bytes: Vec<u8>,
    /// Whether light and dark were exchanged.
    pub inverted: bool,
    /// Whether it was cropped, scaled, centred or stretched in contrast. False: the bytes are the file's own pixels,
    /// apart from inversion and the change to luma or RGB.
    pub rescaled: bool,
    /// Whether nothing stands out from the ground, so that a prediction means nothing. Found only where ink is looked
    /// for, by [`Preparation::Mnist`]; else false.
    pub blank: bool,
}

/// Decodes the image in the file `path` and turns it to `shape`, for prediction: with `preparation` as in the
/// checkpoint and [`Invert::Auto`], exactly as [`load`](super::load) does with the images of a folder.
///
/// A blank page isn't an error, but gives a black image marked `blank`.
///
/// # Errors
/// If the file can't be read or decoded, or `shape` has a zero dimension or other channels than the preparation makes.
pub fn prepare_image(
    path: &Path,
    shape: ImageShape,
    preparation: Preparation,
    invert: Invert,
) -> Result<PreparedImage, DataError> {
    preparation.check(shape).at(path)?;
    Ok(preparation.apply(decode(path)?, shape, invert))
}

/// As [`prepare_image`], of a file's content in memory; `name` stands for the path in errors.
///
/// # Errors
/// Those of [`prepare_image`].
pub fn prepare_bytes(
    name: &str,
    bytes: &[u8],
    shape: ImageShape,
    preparation: Preparation,
    invert: Invert,
) -> Result<PreparedImage, DataError> {
    let place = Path::new(name);
    preparation.check(shape).at(place)?;
    Ok(preparation.apply(decode_bytes(bytes).at(place)?, shape, invert))
}
