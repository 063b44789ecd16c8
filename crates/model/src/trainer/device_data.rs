//! Data on the device: images as bytes, four to a word, and labels. It is uploaded once.

use crate::data::Dataset;
use crate::program::DataSize;
use crate::{Config, ModelError, Shape};
use tilegrad_runtime::{Device, Memory};

/// A data set on a device.
#[derive(Debug, Clone)]
pub struct DeviceData {
    pub images: Memory,
    pub labels: Memory,
    examples: u32,
}

impl DeviceData {
    /// Uploads `data` after checking that it fits the network, with `labels` among the network's outputs, one for
    /// each example.
    pub fn upload(device: &Device, config: &Config, data: &Dataset, labels: &[u32]) -> Result<Self, ModelError> {
        check(config, data)?;
        let images = device.upload("images", &pack(data.images()))?;
        let labels = device.upload("labels", labels)?;
        Ok(Self { images, labels, examples: data.len() as u32 })
    }

    pub fn size(&self, indices: usize) -> DataSize {
        DataSize { examples: self.examples, indices: indices as u32 }
    }
}

/// Checks that the images of `data` fit the network.
pub fn check(config: &Config, data: &Dataset) -> Result<(), ModelError> {
    let network = &config.network;
    if Shape::Image(data.shape()) != network.input_shape() {
        let problem = format!("{} has images of {}, the network takes {}", data.name(), data.shape(), network.input());
        return Err(ModelError::Mismatch(problem));
    }
    if u32::try_from(data.len()).is_err() {
        return Err(ModelError::Mismatch(format!("{} has more than 2^32 examples", data.name())));
    }
    Ok(())
}

/// Bytes as little-endian words, the last one filled up with zeros.
fn pack(bytes: &[u8]) -> Vec<u32> {
    let mut words = Vec::new();
    pack_into(bytes, &mut words);
    words
}

/// As [`pack`], in place of what `words` held.
pub fn pack_into(bytes: &[u8], words: &mut Vec<u32>) {
    let (whole, rest) = bytes.as_chunks::<4>();
    words.clear();
    words.extend(whole.iter().map(|&word| u32::from_le_bytes(word)));
    if !rest.is_empty() {
        let mut word = [0; 4];
        word[..rest.len()].copy_from_slice(rest);
        words.push(u32::from_le_bytes(word));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_are_packed_from_the_low_end() {
        assert_eq!(super::pack(&[1, 2, 3, 4, 5]), [0x0403_0201, 5]);
        assert_eq!(super::pack(&[1, 2, 3, 4]), [0x0403_0201]);
    }
}
