//! Comparisons of whole outputs. A failure shows the first bad elements and the worst one.

use tilegrad_kernels::{Case, CaseBuffer, Element, Tolerance};

/// An element that is too far off.
#[derive(Debug, Clone)]
pub struct Bad {
    /// Place in the buffer.
    pub index: usize,
    /// What the device gave.
    pub got: f64,
    /// What the oracle says.
    pub expected: f64,
}

/// Compares every element; `allowed` gives the tolerance of an expected value. Two NaNs are equal.
pub fn bad_elements(got: &[f32], expected: &[f32], allowed: impl Fn(f32) -> f32) -> Vec<Bad> {
    let fits = |got: f32, expected: f32| {
        got.to_bits() == expected.to_bits()
            || (got.is_nan() && expected.is_nan())
            || (expected.is_finite() && (got - expected).abs() <= allowed(expected))
    };
    let pairs = got.iter().zip(expected).enumerate();
    let bad = pairs.filter(|(_, (got, expected))| !fits(**got, **expected));
    bad.map(|(index, (got, expected))| Bad { index, got: f64::from(*got), expected: f64::from(*expected) }).collect()
}

/// Asserts that every element of every buffer of `case` is within the kernel's tolerance of the reference.
///
/// # Panics
/// If one is not; the message names the buffer and shows the first of them.
pub fn assert_case(case: &Case, got: &[CaseBuffer], expected: &[CaseBuffer], what: &str) {
    for (got, expected) in got.iter().zip(expected) {
        assert_eq!(got.words.len(), expected.words.len(), "{what}: length of `{}`", got.slice.name);
        let name = &got.slice.name;
        if expected.slice.element == Element::U32 {
            let bad = got.words.iter().zip(&expected.words).position(|(got, expected)| got != expected);
            if let Some(index) = bad {
                let (got, expected) = (got.words[index], expected.words[index]);
                panic!("{what}: `{name}`[{index}] is {got}, expected {expected} (exact)");
            }
            continue;
        }
        let floats = |words: &[u32]| expected.slice.element.floats(words, expected.slice.len);
        let (got, wanted) = (floats(&got.words), floats(&expected.words));
        let (tolerance, element) = (case.call.kernel().tolerance, expected.slice.element);
        assert_close_as(element, &got, &wanted, tolerance, &format!("{what}: `{name}`"));
    }
}

/// Asserts that every element is within `tolerance` of the expected one.
///
/// # Panics
/// If one is not; the message shows the first of them.
pub fn assert_close(got: &[f32], expected: &[f32], tolerance: Tolerance, what: &str) {
    assert_close_as(Element::F32, got, expected, tolerance, what);
}

/// As [`assert_close`], for values that were stored as `element`.
///
/// # Panics
/// As [`assert_close`].
pub fn assert_close_as(element: Element, got: &[f32], expected: &[f32], tolerance: Tolerance, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}: length");
    let finite = expected.iter().filter(|value| value.is_finite());
    let scale = finite.fold(0.0f32, |scale, value| scale.max(value.abs()));
    let bad = bad_elements(got, expected, |reference| tolerance.allowed_as(element, reference, scale));
    assert!(
        bad.is_empty(),
        "{what}: {} of {} elements are beyond {tolerance:?}; the first: {:?}",
        bad.len(),
        got.len(),
        &bad[..bad.len().min(5)]
    );
}
