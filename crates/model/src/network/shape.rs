//! Shapes of one example on its way through a network.

use crate::data::ImageShape;
use std::fmt;

/// Shape of one example's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Rows, columns, channels.
    Image(ImageShape),
    /// So many numbers.
    Vector(u32),
}

impl Shape {
    /// Number of elements.
    pub fn len(self) -> u64 {
        match self {
            Self::Image(ImageShape { height, width, channels }) => {
                u64::from(height) * u64::from(width) * u64::from(channels)
            }
            Self::Vector(units) => units.into(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => image.fmt(f),
            Self::Vector(units) => units.fmt(f),
        }
    }
}
