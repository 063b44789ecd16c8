//! The tuner: for each call of some graphs, the fastest of the variants that give the same bits.
//!
//! It only ever chooses among variants that fold each output in the same order, and compares their bits, so that what is
//! trained does not depend on what was chosen. What it finds lies in a file per adapter and driver;
//! [`Device::prepare`](crate::Device::prepare) takes it from there.

mod cache;
mod measure;
mod step;
mod trial;

pub use cache::{Tuned, file};
pub use step::StepTimes;
pub use trial::Verdict;

use crate::choice::AdapterReport;
use crate::select::Candidate;
use crate::{Device, Graph, RuntimeError};
use cache::{Choice, Entry, sum_of_candidates};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tilegrad_kernels::{Call, Halves, Kernel};
use trial::Trial;

/// Share of the default's time that a candidate must save to be worth a change.
pub const GAIN: f64 = 0.05;

/// How to tune.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TuneOptions {
    /// After this time, calls that are left keep their defaults.
    pub budget: Duration,
    /// Measure again what was tuned before.
    pub fresh: bool,
}

/// What came of a tuning.
#[derive(Debug)]
pub struct Tuning {
    /// One per kernel and params with a choice, in the order in which they were tuned.
    pub rows: Vec<Row>,
    /// Calls of the graphs that have one candidate only.
    pub without_choice: usize,
    /// For each graph whether its chosen set was kept, if it differs from the default.
    pub steps: Vec<Option<Confirmed>>,
    /// Where it was saved; none if the user wants no such files.
    pub file: Option<PathBuf>,
}

/// A whole graph with the default and with the chosen set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confirmed {
    /// Both times; none if they could not be measured.
    pub times: Option<StepTimes>,
    /// Whether the chosen set was kept.
    pub kept: bool,
}

/// A kernel with its params, and what was found for it.
#[derive(Debug, Clone)]
pub struct Row {
    /// The kernel of the calls.
    pub kernel: &'static Kernel,
    /// The params struct as words.
    pub params: Vec<u32>,
    /// The bindings that hold 16-bit floats.
    pub halves: Halves,
    /// Taken without a tuning.
    pub default: Candidate,
    /// Taken from now on.
    pub chosen: Candidate,
    /// What was done.
    pub outcome: Outcome,
}

/// What was done about a row.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Every candidate with its verdict, the default first.
    Measured(Vec<(Candidate, Verdict)>),
    /// An earlier tuning had found it: seconds of the default and of the chosen one.
    Known(f64, f64),
    /// There was no time left; it keeps its default.
    OutOfTime,
}

impl Row {
    /// Seconds of the default and of the chosen variant.
    pub fn seconds(&self) -> Option<(f64, f64)> {
        match &self.outcome {
            Outcome::Measured(all) => Some((seconds_of(all, self.default)?, seconds_of(all, self.chosen)?)),
            Outcome::Known(default, _) if !self.is_changed() => Some((*default, *default)),
            Outcome::Known(default, chosen) => Some((*default, *chosen)),
            Outcome::OutOfTime => None,
        }
    }

    /// What an earlier tuning found, where there was no time left to measure again.
    fn or_known(self, known: Option<Self>) -> Self {
        match (&self.outcome, known) {
            (Outcome::OutOfTime, Some(known)) => known,
            _ => self,
        }
    }

    fn is_changed(&self) -> bool {
        !same(self.default, self.chosen)
    }

    fn is_for(&self, call: &Call) -> bool {
        self.kernel == call.kernel() && self.params == call.params() && self.halves == Halves::of(call)
    }
}

fn seconds_of(all: &[(Candidate, Verdict)], wanted: Candidate) -> Option<f64> {
    all.iter().find_map(|(candidate, verdict)| match verdict {
        Verdict::Seconds(seconds) if same(*candidate, wanted) => Some(*seconds),
        _ => None,
    })
}

fn same(a: Candidate, b: Candidate) -> bool {
    a.0 == b.0 && a.1.name == b.1.name
}

/// What an earlier tuning left for an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TuningFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Kernels and shapes that were tuned, or why the file is ignored.
    pub calls: Result<usize, String>,
}

/// What an earlier tuning left for an adapter; none if it was never tuned.
pub fn tuned_for(report: &AdapterReport) -> Option<TuningFile> {
    let path = file(report).filter(|file| file.exists())?;
    let calls = Tuned::read(&path, report).map(|tuned| tuned.len());
    Some(TuningFile { path, calls })
}

/// Tunes every call of `graphs` on `device`, whose adapter `report` describes, and saves what was found. `progress` is
/// told how many rows are done, of how many, and which is next.
pub fn tune(
    device: &Device,
    report: &AdapterReport,
    graphs: &[Graph],
    options: TuneOptions,
    progress: &mut dyn FnMut(usize, usize, &'static str),
) -> Result<Tuning, RuntimeError> {
    let begun = Instant::now();
    let in_time = || begun.elapsed() < options.budget;
    let mut tuned = Tuned::load(report);
    let (calls, without_choice) = calls(device, graphs)?;
    let mut rows = Vec::new();
    for (done, (call, candidates)) in calls.iter().enumerate() {
        progress(done, calls.len(), call.kernel().name);
        let known = tuned.find(call);
        let known = known.and_then(|entry| known_row(call, candidates, entry));
        rows.push(match known {
            Some(row) if !options.fresh => row,
            known => tune_call(device, call, candidates, &in_time)?.or_known(known),
        });
    }
    progress(calls.len(), calls.len(), "whole steps");
    let steps = confirm(device, graphs, &mut rows)?;
    for ((_, candidates), row) in calls.iter().zip(&rows) {
        if let Some(entry) = entry_of(row, candidates) {
            tuned.put(entry);
        }
    }
    let file = tuned.save(report).map_err(|error| RuntimeError::Kept(error.to_string()))?;
    Ok(Tuning { rows, without_choice, steps, file })
}

/// Every distinct call with more than one candidate, the default first; the most work first, so that a short budget goes
/// where it counts. And how many calls have no choice.
type Choices<'a> = (Vec<(&'a Call, Vec<Candidate>)>, usize);

fn calls<'a>(device: &Device, graphs: &'a [Graph]) -> Result<Choices<'a>, RuntimeError> {
    let (mut found, mut without): (Vec<(&Call, Vec<Candidate>)>, Vec<&Call>) = (Vec::new(), Vec::new());
    for call in graphs.iter().flat_map(Graph::nodes).map(|node| &node.call) {
        if found.iter().any(|(other, _)| call.is_like(other)) || without.iter().any(|other| call.is_like(other)) {
            continue;
        }
        match device.candidates(call)? {
            candidates if candidates.len() > 1 => found.push((call, candidates)),
            _ => without.push(call),
        }
    }
    found.sort_by_key(|(call, _)| std::cmp::Reverse(call.cost().flops));
    Ok((found, without.len()))
}

/// What an earlier tuning found, if it compared the same candidates.
fn known_row(call: &Call, candidates: &[Candidate], entry: &Entry) -> Option<Row> {
    let chosen = entry.candidate(call.kernel()).filter(|_| entry.candidates == sum_of_candidates(candidates))?;
    let outcome = Outcome::Known(entry.default_s, entry.chosen_s);
    Some(row_of(call, candidates[0], chosen, outcome))
}

fn tune_call(
    device: &Device,
    call: &Call,
    candidates: &[Candidate],
    in_time: &dyn Fn() -> bool,
) -> Result<Row, RuntimeError> {
    let verdicts = if in_time() { Trial::new(device, call)?.run(candidates, in_time)? } else { None };
    let outcome = match verdicts {
        Some(verdicts) => Outcome::Measured(candidates.iter().copied().zip(verdicts).collect()),
        None => Outcome::OutOfTime,
    };
    let default = candidates[0];
    let chosen = match &outcome {
        Outcome::Measured(all) => fastest(default, all),
        Outcome::Known(..) | Outcome::OutOfTime => default,
    };
    Ok(row_of(call, default, chosen, outcome))
}

fn row_of(call: &Call, default: Candidate, chosen: Candidate, outcome: Outcome) -> Row {
    let (kernel, params, halves) = (call.kernel(), call.params().to_vec(), Halves::of(call));
    Row { kernel, params, halves, default, chosen, outcome }
}

/// The fastest, if it saves enough; the default if that was not measured itself.
fn fastest(default: Candidate, all: &[(Candidate, Verdict)]) -> Candidate {
    let Some(limit) = seconds_of(all, default).map(|seconds| seconds * (1.0 - GAIN)) else { return default };
    let times = all.iter().filter_map(|(candidate, verdict)| match verdict {
        Verdict::Seconds(seconds) if *seconds < limit => Some((*candidate, *seconds)),
        _ => None,
    });
    times.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(default, |(candidate, _)| candidate)
}

/// Keeps the chosen variants of each graph only if all of it becomes faster. What an earlier graph decided stays.
fn confirm(device: &Device, graphs: &[Graph], rows: &mut [Row]) -> Result<Vec<Option<Confirmed>>, RuntimeError> {
    let mut decided = vec![false; rows.len()];
    let mut steps = Vec::new();
    for graph in graphs {
        let is_in = |row: &Row| graph.nodes().iter().any(|node| row.is_for(&node.call));
        let open: Vec<usize> = (0..rows.len()).filter(|&at| !decided[at] && is_in(&rows[at])).collect();
        open.iter().for_each(|&at| decided[at] = true);
        // What an earlier run confirmed is not put to the test again: one noisy run would throw it away for good.
        let is_new = |row: &Row| row.is_changed() && matches!(row.outcome, Outcome::Measured(_));
        if !open.iter().any(|&at| is_new(&rows[at])) {
            steps.push(None);
            continue;
        }
        let without = |call: &Call| device.default_for(call);
        let with = |call: &Call| match rows.iter().find(|row| row.is_for(call)) {
            Some(row) => Ok(row.chosen),
            None => device.default_for(call),
        };
        let times = step::time(device, graph, &without, &with)?;
        let kept = times.is_some_and(|times| times.is_faster());
        if !kept {
            open.iter().for_each(|&at| rows[at].chosen = rows[at].default);
        }
        steps.push(Some(Confirmed { times, kept }));
    }
    Ok(steps)
}

/// For the file; none for what was not measured.
fn entry_of(row: &Row, candidates: &[Candidate]) -> Option<Entry> {
    let (default_s, chosen_s) = row.seconds()?;
    Some(Entry {
        kernel: row.kernel.name.into(),
        params: row.params.clone(),
        halves: row.halves.names(row.kernel).map(str::to_owned).collect(),
        default: Choice::of(row.default),
        chosen: Choice::of(row.chosen),
        candidates: sum_of_candidates(candidates),
        default_s,
        chosen_s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilegrad_kernels::{Variant, relu};

    const fn named(name: &'static str) -> Variant {
        Variant { name, ..Variant::LINE[0] }
    }

    static KERNEL: Kernel =
        relu::KERNEL.variation("relu", relu::KERNEL.wgsl).with_variants(&[named("default"), named("a"), named("b")]);

    fn chosen(verdicts: [Verdict; 3]) -> &'static str {
        let all: Vec<Candidate> = crate::candidates(&KERNEL).collect();
        let (_, variant) = fastest(all[0], &all.iter().copied().zip(verdicts).collect::<Vec<_>>());
        variant.name
    }

    #[test]
    fn only_a_clear_gain_counts() {
        use Verdict::Seconds;
        assert_eq!(chosen([Seconds(1.0), Seconds(0.96), Seconds(2.0)]), "default");
        assert_eq!(chosen([Seconds(1.0), Seconds(0.9), Seconds(0.8)]), "b");
        assert_eq!(chosen([Seconds(1.0), Seconds(0.9), Verdict::Rejected("other bits".into())]), "a");
        assert_eq!(chosen([Seconds(1.0), Verdict::Hopeless(0.1), Seconds(0.9)]), "b");
        assert_eq!(chosen([Verdict::Rejected("took no time".into()), Seconds(0.1), Seconds(0.2)]), "default");
    }
}
