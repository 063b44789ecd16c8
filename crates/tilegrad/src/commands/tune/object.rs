//! A tuning as an object of JSON.

use super::{STEPS, name, same};
use crate::commands::graph::params_object;
use crate::output::json;
use anyhow::Result;
use serde::Serialize;
use serde_json::{Map, Value};
use std::time::Duration;
use tilegrad_runtime::{Candidate, Confirmed, Device, Outcome, Row, Tuning, Verdict};

/// What came of it.
#[derive(Serialize)]
struct Tuned {
    device: String,
    /// One per kernel and params with a choice; none on a device without variants.
    calls: Vec<CallObject>,
    without_choice: usize,
    steps: Map<String, Value>,
    seconds: f64,
    file: Option<String>,
}

#[derive(Serialize)]
struct CallObject {
    kernel: &'static str,
    params: Map<String, Value>,
    /// Bindings that hold 16-bit floats.
    f16: Vec<&'static str>,
    default: String,
    chosen: String,
    changed: bool,
    default_ms: Option<f64>,
    chosen_ms: Option<f64>,
    /// `measured`, `known` or `out of time`.
    outcome: &'static str,
    compared: usize,
    rejected: Vec<Rejected>,
}

#[derive(Serialize)]
struct Rejected {
    variant: String,
    reason: String,
}

#[derive(Serialize)]
struct StepObject {
    kept: bool,
    default_ms: Option<f64>,
    tuned_ms: Option<f64>,
}

/// Prints it.
pub fn print(device: &Device, tuning: Option<&Tuning>, taken: Duration) -> Result<()> {
    let steps = tuning.map_or(&[][..], |tuning| &tuning.steps);
    let step = |(at, confirmed): (usize, &Option<Confirmed>)| {
        Ok((STEPS[at].1.replace(' ', "_"), serde_json::to_value(confirmed.map(step))?))
    };
    json(&Tuned {
        device: device.info().name.clone(),
        calls: tuning.iter().flat_map(|tuning| &tuning.rows).map(call).collect(),
        without_choice: tuning.map_or(0, |tuning| tuning.without_choice),
        steps: steps.iter().enumerate().map(step).collect::<Result<_>>()?,
        seconds: taken.as_secs_f64(),
        file: tuning.and_then(|tuning| tuning.file.as_ref()).map(|file| file.display().to_string()),
    })
}

fn step(Confirmed { times, kept }: Confirmed) -> StepObject {
    let ms = |seconds: f64| seconds * 1e3;
    StepObject {
        kept,
        default_ms: times.map(|times| ms(times.default_s)),
        tuned_ms: times.map(|times| ms(times.tuned_s)),
    }
}

fn call(row: &Row) -> CallObject {
    let (outcome, candidates): (_, &[(Candidate, Verdict)]) = match &row.outcome {
        Outcome::Measured(all) => ("measured", all),
        Outcome::Known(..) => ("known", &[]),
        Outcome::OutOfTime => ("out of time", &[]),
    };
    let rejected = candidates.iter().filter_map(|(candidate, verdict)| match verdict {
        Verdict::Rejected(reason) => Some(Rejected { variant: name(*candidate), reason: reason.clone() }),
        Verdict::Seconds(_) | Verdict::Hopeless(_) => None,
    });
    let seconds = row.seconds();
    CallObject {
        kernel: row.kernel.name,
        params: params_object(row.kernel, &row.params),
        f16: row.halves.names(row.kernel).collect(),
        default: name(row.default),
        chosen: name(row.chosen),
        changed: !same(row.default, row.chosen),
        default_ms: seconds.map(|(default, _)| default * 1e3),
        chosen_ms: seconds.map(|(_, chosen)| chosen * 1e3),
        outcome,
        compared: candidates.len(),
        rejected: rejected.collect(),
    }
}
