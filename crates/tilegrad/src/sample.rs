//! The few images that the program carries with it: enough for a step to be timed or compared where the project's MNIST
//! is not at hand.

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use std::io::Read;
use tilegrad_model::data::{Dataset, ImageShape};

/// The first test images of MNIST and their labels, as gzipped IDX files.
const IMAGES: &[u8] = include_bytes!("../../../assets/sample/t10k-first-512-images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../../../assets/sample/t10k-first-512-labels-idx1-ubyte.gz");
const COUNT: usize = 512;
const SHAPE: ImageShape = ImageShape { height: 28, width: 28, channels: 1 };
const CLASSES: u32 = 10;
/// Bytes before the pixels: a magic number and three dimensions; before the labels there is one.
const HEADERS: [usize; 2] = [16, 8];

/// The carried images, over and over until there are `least` of them: steps need a whole batch, whatever is in it.
pub fn mnist(least: usize) -> Result<Dataset> {
    let images = unpacked(IMAGES, HEADERS[0], COUNT * SHAPE.len().unwrap_or_default())?;
    let labels: Vec<u32> = unpacked(LABELS, HEADERS[1], COUNT)?.into_iter().map(u32::from).collect();
    let rounds = least.div_ceil(COUNT).max(1);
    let classes = (0..CLASSES).map(|class| class.to_string()).collect();
    Ok(Dataset::new("the program's own MNIST images", SHAPE, images.repeat(rounds), labels.repeat(rounds), classes)?)
}

/// What follows the header of a gzipped IDX file.
fn unpacked(packed: &[u8], header: usize, wanted: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).context("the program's own images cannot be unpacked")?;
    ensure!(bytes.len() == header + wanted, "the program's own images are {} bytes, expected {wanted}", bytes.len());
    Ok(bytes.split_off(header))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use tilegrad_model::data;

    #[test]
    fn the_images_are_those_of_mnists_test() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/mnist");
        let test = data::load(&folder, &data::LoadOptions::default()).unwrap().test.unwrap().head(COUNT).unwrap();
        let sample = mnist(1).unwrap();
        assert_eq!(
            (sample.images(), sample.labels(), sample.classes()),
            (test.images(), test.labels(), test.classes())
        );
        let more = mnist(COUNT + 1).unwrap();
        assert_eq!((more.len(), more.image(COUNT)), (2 * COUNT, sample.image(0)));
    }
}
