//! Which elements of a buffer were written so far.

use std::collections::BTreeMap;
use std::ops::Range;

/// Elements as runs that neither touch nor overlap: each start with its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written(BTreeMap<usize, usize>);

impl Written {
    /// Adds a run.
    pub fn add(&mut self, run: Range<usize>) {
        let (mut start, mut end) = (run.start, run.end);
        if start == end {
            return;
        }
        let met: Vec<(usize, usize)> = self.0.range(..=end).rev().map(|(start, end)| (*start, *end)).collect();
        for (other_start, other_end) in met.into_iter().take_while(|(_, other_end)| *other_end >= run.start) {
            self.0.remove(&other_start);
            (start, end) = (start.min(other_start), end.max(other_end));
        }
        self.0.insert(start, end);
    }

    /// Whether every element of `run` was written.
    pub fn holds(&self, run: Range<usize>) -> bool {
        let last = self.0.range(..=run.start).next_back();
        run.is_empty() || last.is_some_and(|(_, end)| *end >= run.end)
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every set of three runs over eight elements, against a bit per element.
    #[test]
    fn runs_are_as_one_bit_per_element_says() {
        let runs: Vec<Range<usize>> = (0..=8).flat_map(|start| (start..=8).map(move |end| start..end)).collect();
        for a in &runs {
            for b in &runs {
                for c in &runs {
                    let (mut written, mut bits) = (Written::default(), [false; 8]);
                    for run in [a, b, c] {
                        written.add(run.clone());
                        bits[run.clone()].fill(true);
                    }
                    for run in &runs {
                        let expected = bits[run.clone()].iter().all(|bit| *bit);
                        assert_eq!(written.holds(run.clone()), expected, "{a:?} {b:?} {c:?}: {run:?}");
                    }
                    assert_eq!(written.is_empty(), bits == [false; 8]);
                }
            }
        }
    }
}
