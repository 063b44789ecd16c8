//! Data on the device: images as bytes, four to a word, and labels. It is uploaded once.

use crate::data::Dataset;
use crate::program::DataSize;
use crate::{Config, ModelError, Shape};
use tilegrad_runtime::{Device, Memory, RuntimeError};

/// A data set on a device: images in as many buffers of whole examples as its largest binding asks for.
#[derive(Debug, Clone)]
pub struct DeviceData {
    pub images: Vec<Memory>,
    pub labels: Memory,
    examples: u32,
    /// Most examples in one buffer.
    part: u32,
}

impl DeviceData {
    /// Uploads `data` after checking that it fits the network, with `labels` among the network's outputs, one for
    /// each example.
    pub fn upload(device: &Device, config: &Config, data: &Dataset, labels: &[u32]) -> Result<Self, ModelError> {
        check(config, data)?;
        let len = data.image_len();
        let part = (device.largest_binding() / len as u64).min(data.len() as u64) as usize;
        if part == 0 {
            let problem = format!("one binding holds {} bytes", device.largest_binding());
            return Err(no_room(device, data, problem));
        }
        let mut words = Vec::new();
        let parts = data.images().chunks(part * len).map(|images| {
            pack_into(images, &mut words);
            device.upload("images", &words).map_err(|error| match error {
                RuntimeError::Limit { .. } | RuntimeError::OutOfMemory { .. } => {
                    no_room(device, data, error.to_string())
                }
                other => other.into(),
            })
        });
        let images = parts.collect::<Result<_, _>>()?;
        let labels = device.upload("labels", labels)?;
        Ok(Self { images, labels, examples: data.len() as u32, part: part as u32 })
    }

    pub fn size(&self, indices: usize) -> DataSize {
        DataSize { examples: self.examples, indices: indices as u32, part: self.part }
    }
}

fn no_room(device: &Device, data: &Dataset, problem: String) -> ModelError {
    let (data, examples, bytes) = (data.name().to_owned(), data.len(), data.image_len());
    ModelError::NoRoom { data, examples, bytes, device: device.info().name.clone(), problem }
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

/// Bytes as little-endian words, the last one filled up with zeros, in place of what `words` held.
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
        let mut words = vec![9; 3];
        super::pack_into(&[1, 2, 3, 4, 5], &mut words);
        assert_eq!(words, [0x0403_0201, 5]);
        super::pack_into(&[1, 2, 3, 4], &mut words);
        assert_eq!(words, [0x0403_0201]);
    }
}
