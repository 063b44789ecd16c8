//! A small data set that a network learns within seconds.

use tilegrad_kernels::hash;
use tilegrad_model::data::{Dataset, ImageShape};

/// Random images whose label is the quarter in which a bright spot lies.
pub fn spots(count: u32, shape: ImageShape) -> Dataset {
    let len = shape.len().unwrap() as u32;
    let mut images: Vec<u8> = (0..count * len).map(|i| (hash::bits(1, 0, i) % 60) as u8).collect();
    let mut labels = Vec::new();
    for i in 0..count {
        let label = hash::bits(2, 0, i) % 4;
        let (row, column) = (label / 2 * (shape.height / 2), label % 2 * (shape.width / 2));
        for spot in 0..4 {
            let (row, column) = (row + spot / 2, column + spot % 2);
            images[(i * len + (row * shape.width + column) * shape.channels) as usize] = 255;
        }
        labels.push(label);
    }
    Dataset::new("spots", shape, images, labels, ["a", "b", "c", "d"].map(str::to_owned).to_vec()).unwrap()
}
