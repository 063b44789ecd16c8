//! A training step on two devices, call by call: the first call whose results differ is where to look.

use super::Trainer;
use super::diagnosis::Probe;
use crate::ModelError;
use crate::data::Dataset;
use std::fmt;
use tilegrad_kernels::{Access, Element, Slice, Tolerance};
use tilegrad_runtime::Node;

/// The first element of the first call that differs by more than the kernel's tolerance.
#[derive(Debug, Clone, PartialEq)]
pub struct CallDifference {
    /// Number of the call within the step.
    pub call: usize,
    /// Layer and direction, such as `conv2 forward`.
    pub scope: String,
    /// The kernel.
    pub kernel: &'static str,
    /// The buffer that it wrote.
    pub buffer: String,
    /// Place in the buffer.
    pub index: usize,
    /// What the device gave.
    pub got: f64,
    /// What the other device gave.
    pub expected: f64,
    /// How far apart they may be.
    pub allowed: f64,
}

impl fmt::Display for CallDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, scope, kernel, buffer, index, got, expected, allowed } = self;
        write!(
            f,
            "call {call}, {scope}, kernel {kernel}: {buffer}[{index}] is {got:e}, expected {expected:e} within {allowed:e}"
        )
    }
}

impl Trainer {
    /// Runs a step of this training and of `other`, which has the same configuration on another device, over the
    /// same batch of `data`, and returns the first call whose results differ.
    ///
    /// Before each call up to number `apart`, `other` gets what this device reads and is about to write, so that each
    /// call is judged by itself. From `apart` on both go their own ways, differences add up, and every call gets at least
    /// the tolerance of a long sum.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] if the configurations differ or the data does not fit them.
    pub fn compare_step(
        &mut self,
        other: &mut Self,
        data: &Dataset,
        apart: usize,
    ) -> Result<Option<CallDifference>, ModelError> {
        if self.config != other.config {
            return Err(ModelError::Mismatch(
                "two trainings can be compared if their configurations are the same".into(),
            ));
        }
        let (mine, theirs) = (self.begin_comparison(data)?, other.begin_comparison(data)?);
        for (call, node) in mine.nodes().iter().enumerate() {
            if call < apart {
                for slice in node.call.buffers() {
                    theirs.set_words(other, slice, &mine.words(self, slice)?)?;
                }
            }
            mine.run_call(call)?;
            theirs.run_call(call)?;
            // Apart, even a copy differs by what its input does.
            let own = node.call.kernel().tolerance;
            let tolerance =
                if call < apart || own.relative > Tolerance::SUMMED.relative { own } else { Tolerance::SUMMED };
            for slice in written(node) {
                let (got, expected) = (mine.words(self, slice)?, theirs.words(other, slice)?);
                if let Some(found) = first_difference(&got, &expected, slice, tolerance) {
                    let (index, got, expected, allowed) = found;
                    let (scope, kernel, buffer) = (node.scope.clone(), node.call.kernel().name, slice.name.to_string());
                    return Ok(Some(CallDifference { call, scope, kernel, buffer, index, got, expected, allowed }));
                }
            }
        }
        Ok(None)
    }

    fn begin_comparison(&mut self, data: &Dataset) -> Result<Probe, ModelError> {
        let session = self.session(data)?;
        self.start_pass(&session, &self.order(&session))?;
        self.probe(&session)
    }
}

fn written(node: &Node) -> impl Iterator<Item = &Slice> {
    let bindings = node.call.buffers().iter().zip(node.call.kernel().bindings);
    bindings.filter(|(_, binding)| binding.access == Access::ReadWrite).map(|(slice, _)| slice)
}

/// Place, both values and the allowed distance of the first element that differs too much. Integers are exact; two
/// NaNs are equal.
fn first_difference(
    got: &[u32],
    expected: &[u32],
    slice: &Slice,
    tolerance: Tolerance,
) -> Option<(usize, f64, f64, f64)> {
    if slice.element == Element::U32 {
        let at = got.iter().zip(expected).position(|(got, expected)| got != expected)?;
        return Some((at, got[at].into(), expected[at].into(), 0.0));
    }
    let [got, expected] = [got, expected].map(|words| slice.element.floats(words, slice.len));
    let finite = expected.iter().filter(|value| value.is_finite());
    let scale = finite.fold(0.0f32, |scale, value| scale.max(value.abs()));
    let mut pairs = got.iter().zip(&expected);
    let at = pairs.position(|(got, expected)| !tolerance.accepts(slice.element, *got, *expected, scale))?;
    let allowed = tolerance.allowed_as(slice.element, expected[at], scale);
    Some((at, got[at].into(), expected[at].into(), allowed.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilegrad_kernels::BufferId;

    fn slice(element: Element, len: usize) -> Slice {
        Slice { buffer: BufferId(0), name: "values".into(), offset: 0, len, element }
    }

    #[test]
    fn the_first_element_beyond_its_tolerance_is_found() {
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
        let find = |got: &[f32], expected: &[f32]| {
            first_difference(&bits(got), &bits(expected), &slice(Element::F32, got.len()), Tolerance::SUMMED)
                .map(|found| found.0)
        };
        assert_eq!(find(&[1.0, 2.0, f32::NAN], &[1.0, 2.0001, f32::NAN]), None);
        assert_eq!(find(&[1.0, 2.1, 9.0], &[1.0, 2.0, 3.0]), Some(1));
        assert_eq!(find(&[1.0], &[f32::INFINITY]), Some(0));
        let integers = first_difference(&[1, 2], &[1, 3], &slice(Element::U32, 2), Tolerance::EXACT);
        assert_eq!(integers, Some((1, 2.0, 3.0, 0.0)));
        // Two to a word: 1, 2, 3 against 1, 2, 4.
        let halves = [[1.0, 2.0, 3.0], [1.0, 2.0, 4.0]].map(|values| Element::F16.pack(&values));
        let found = first_difference(&halves[0], &halves[1], &slice(Element::F16, 3), Tolerance::EXACT);
        assert_eq!(found.map(|(at, got, expected, _)| (at, got, expected)), Some((2, 3.0, 4.0)));
    }
}
