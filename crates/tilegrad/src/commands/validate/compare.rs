//! The comparison of one buffer with its reference, element by element.

use serde::{Serialize, Serializer};
use tilegrad_kernels::{Element, Slice, Tolerance};

/// Bad elements that are kept for the reader; all of them are counted.
const SHOWN: usize = 5;

/// An element that is too far off.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bad {
    /// Place in the buffer.
    pub index: usize,
    /// What the device gave.
    #[serde(serialize_with = "number")]
    pub got: f64,
    /// What the reference says.
    #[serde(serialize_with = "number")]
    pub expected: f64,
    /// How far the one may be from the other.
    pub allowed: f64,
}

/// How a buffer compares.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// The largest error as a share of what is allowed there.
    pub share: f64,
    /// Where that is.
    pub index: usize,
    /// The first elements that are too far off.
    pub bad: Vec<Bad>,
    /// All elements that are.
    pub bad_count: usize,
}

impl Difference {
    fn add(&mut self, element: Bad) {
        let share = share(&element);
        if share > self.share {
            (self.share, self.index) = (share, element.index);
        }
        if share > 1.0 {
            self.bad_count += 1;
            if self.bad.len() < SHOWN {
                self.bad.push(element);
            }
        }
    }
}

/// Compares every element of `slice`. Integers must be equal; two NaNs are.
pub fn compare(got: &[u32], expected: &[u32], slice: &Slice, tolerance: Tolerance) -> Difference {
    let mut difference = Difference::default();
    if slice.element == Element::U32 {
        let pairs = got.iter().zip(expected).enumerate().filter(|(_, (got, expected))| got != expected);
        pairs.for_each(|(index, (&got, &expected))| {
            difference.add(Bad { index, got: got.into(), expected: expected.into(), allowed: 0.0 });
        });
        return difference;
    }
    let [got, expected] = [got, expected].map(|words| slice.element.floats(words, slice.len));
    let scale = largest(&expected);
    for (index, (got, expected)) in got.into_iter().zip(expected).enumerate() {
        let allowed = if expected.is_finite() { tolerance.allowed_as(slice.element, expected, scale) } else { 0.0 };
        difference.add(Bad { index, got: got.into(), expected: expected.into(), allowed: allowed.into() });
    }
    difference
}

/// The largest finite magnitude.
fn largest(values: &[f32]) -> f32 {
    values.iter().map(|value| value.abs()).filter(|value| value.is_finite()).fold(0.0, f32::max)
}

/// The error as a share of what is allowed: infinite if nothing is, or if either value is not finite.
fn share(element: &Bad) -> f64 {
    let &Bad { got, expected, allowed, .. } = element;
    if got == expected || (got.is_nan() && expected.is_nan()) {
        return 0.0;
    }
    let error = (got - expected).abs();
    if error.is_finite() && allowed > 0.0 { error / allowed } else { f64::INFINITY }
}

/// A number that JSON cannot hold becomes a text, such as `NaN`.
pub fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { serializer.serialize_f64(*value) } else { serializer.serialize_str(&value.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilegrad_kernels::BufferId;

    const TOLERANCE: Tolerance = Tolerance { relative: 0.1, scaled: 0.01, reason: "a test" };

    fn floats(got: &[f32], expected: &[f32]) -> Difference {
        let words = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
        compare(&words(got), &words(expected), &slice(Element::F32, got.len()), TOLERANCE)
    }

    fn slice(element: Element, len: usize) -> Slice {
        Slice { buffer: BufferId(0), name: "values".into(), offset: 0, len, element }
    }

    #[test]
    fn the_largest_share_and_its_place_are_found() {
        let found = floats(&[1.0, 10.5, 1.0], &[1.0, 10.0, 1.05]);
        assert_eq!((found.index, found.bad_count), (1, 0));
        assert!((found.share - 0.5 / 1.1).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn halves_may_be_rounded_either_way() {
        // 10 and its neighbour among the 16-bit floats, two to a word; the tolerance of 0.1 * 10 + 0.01 * 10 grows by one
        // unit in the last place.
        let words = |values: &[f32]| Element::F16.pack(values);
        let found = compare(&words(&[10.0, 10.0078, 2.0]), &words(&[10.0; 3]), &slice(Element::F16, 3), TOLERANCE);
        assert_eq!((found.index, found.bad_count), (2, 1));
        assert!((found.bad[0].allowed - 1.1 - 10.0 / 1024.0).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn what_is_not_a_number_must_be_the_same() {
        assert_eq!(floats(&[f32::NAN, f32::INFINITY, -0.0], &[-f32::NAN, f32::INFINITY, 0.0]).share, 0.0);
        for (got, expected) in [(f32::NAN, 1.0), (1.0, f32::NAN), (1.0, f32::INFINITY), (f32::INFINITY, 1.0)] {
            let found = floats(&[2.0, got], &[2.0, expected]);
            assert_eq!((found.share, found.index, found.bad_count), (f64::INFINITY, 1, 1), "{got} {expected}");
        }
        // An infinity in the reference does not excuse its neighbours.
        assert_eq!(floats(&[f32::INFINITY, 2.0], &[f32::INFINITY, 1.0]).bad_count, 1);
    }

    #[test]
    fn integers_are_exact_and_few_bad_ones_are_kept() {
        let found = compare(&[0; 9], &[1; 9], &slice(Element::U32, 9), TOLERANCE);
        assert_eq!((found.bad_count, found.bad.len(), found.share), (9, SHOWN, f64::INFINITY));
        assert_eq!(found.bad[0], Bad { index: 0, got: 0.0, expected: 1.0, allowed: 0.0 });
    }
}
