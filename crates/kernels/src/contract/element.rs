//! What a buffer's elements are, and how they lie in four-byte words.

use half::f16;
use half::slice::HalfFloatSliceExt;
use std::fmt;

/// Type of one buffer element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// 16-bit float, two to a word.
    F16,
    /// 32-bit unsigned integer, or four packed bytes.
    U32,
}

impl Element {
    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 | Self::U32 => 4,
            Self::F16 => 2,
        }
    }

    /// Whole words of four bytes that `len` elements take.
    pub fn words(self, len: usize) -> usize {
        match self {
            Self::F32 | Self::U32 => len,
            Self::F16 => len.div_ceil(2),
        }
    }

    /// The first `len` elements in `words`, as floats; of integers the bits.
    pub fn floats(self, words: &[u32], len: usize) -> Vec<f32> {
        match self {
            Self::F32 | Self::U32 => words.iter().take(len).map(|word| f32::from_bits(*word)).collect(),
            Self::F16 => {
                let mut floats = vec![0.0; len];
                halves(words, len).convert_to_f32_slice(&mut floats);
                floats
            }
        }
    }

    /// `values` as words; each is rounded to the nearest 16-bit float if that is what the elements are.
    pub fn pack(self, values: &[f32]) -> Vec<u32> {
        match self {
            Self::F32 | Self::U32 => values.iter().map(|value| value.to_bits()).collect(),
            Self::F16 => {
                let mut words = vec![0; self.words(values.len())];
                halves_mut(&mut words, values.len()).convert_from_f32_slice(values);
                words
            }
        }
    }
}

/// The word for it in WGSL.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::U32 => "u32",
        })
    }
}

/// The first `len` halves in `words`.
pub(super) fn halves(words: &[u32], len: usize) -> &[f16] {
    &bytemuck::cast_slice(words)[..len]
}

/// As [`halves`], to write to.
pub(super) fn halves_mut(words: &mut [u32], len: usize) -> &mut [f16] {
    &mut bytemuck::cast_slice_mut(words)[..len]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_lie_two_to_a_word_the_first_one_low() {
        // 1.0 is 0x3c00, -2.0 is 0xc000, 65504 is 0x7bff: IEEE 754, binary16.
        assert_eq!(Element::F16.pack(&[1.0, -2.0, 65504.0]), [0xc000_3c00, 0x7bff]);
        assert_eq!(Element::F16.floats(&[0xc000_3c00, 0x7bff], 3), [1.0, -2.0, 65504.0]);
        assert_eq!((Element::F16.words(3), Element::F32.words(3)), (2, 3));
    }

    #[test]
    fn what_is_too_large_for_a_half_becomes_infinite() {
        let again = Element::F16.floats(&Element::F16.pack(&[65_520.0, -1e9, f32::NAN]), 3);
        assert_eq!(again[..2], [f32::INFINITY, f32::NEG_INFINITY]);
        assert!(again[2].is_nan());
    }
}
