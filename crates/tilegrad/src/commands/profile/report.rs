//! The tables of a profile, and its JSON.

use super::ceilings::Ceilings;
use super::measure::{Profile, TimedCall};
use crate::format;
use crate::table::{Align, Table};
use serde::Serialize;
use std::fmt;
use tilegrad_runtime::{Device, MemoryUse};

/// A profile, ready to print. What could not be measured is none: `null` in JSON.
#[derive(Debug, Serialize)]
pub struct Report {
    pub device: String,
    pub batch: u32,
    method: String,
    step_ms: f64,
    submit_ms: Option<f64>,
    /// Sum of the calls that could be measured.
    calls_ms: f64,
    calls_not_measured: usize,
    /// What the step takes longer than its calls; none if it does not, or if a call is missing.
    gaps_ms: Option<f64>,
    pub ceilings: Ceilings,
    kernels: Vec<Row>,
    layers: Vec<Row>,
    notes: Vec<String>,
}

/// Calls of one kernel, or of one layer in one direction.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    calls: usize,
    flops: u64,
    bytes: u64,
    /// None if one of the calls could not be measured.
    #[serde(flatten)]
    measured: Measured,
}

/// What follows from a time.
#[derive(Debug, Default, Serialize)]
struct Measured {
    ms: Option<f64>,
    share: Option<f64>,
    gflops: Option<f64>,
    gbytes_per_s: Option<f64>,
    /// Share of what the device can do, by the bound that is nearer.
    of_peak: Option<f64>,
    /// `arithmetic` or `memory`.
    bound: Option<&'static str>,
}

/// A kernel in the roofline picture.
pub struct Point {
    pub name: String,
    /// Flops per byte.
    pub intensity: f64,
    pub gflops: f64,
    /// Share of the step.
    pub share: f64,
}

impl Report {
    /// Sums up `profile`.
    pub fn new(device: &Device, batch: u32, profile: &Profile, ceilings: Ceilings) -> Self {
        let total: f64 = profile.calls.iter().filter_map(|call| call.seconds).sum();
        let missing = profile.calls.iter().filter(|call| call.seconds.is_none()).count();
        let mut kernels = rows(profile, |call| call.kernel, total, ceilings);
        let ms = |row: &Row| row.measured.ms.unwrap_or(f64::INFINITY);
        kernels.sort_by(|a, b| ms(b).total_cmp(&ms(a)));
        let mut report = Self {
            device: device.info().name.clone(),
            batch,
            method: profile.method.clone(),
            step_ms: profile.step * 1e3,
            submit_ms: profile.submit.map(|seconds| seconds * 1e3),
            calls_ms: total * 1e3,
            calls_not_measured: missing,
            gaps_ms: (missing == 0 && profile.step > total).then_some((profile.step - total) * 1e3),
            ceilings,
            kernels,
            layers: rows(profile, |call| &call.scope, total, ceilings),
            notes: Vec::new(),
        };
        report.notes = report.findings();
        report
    }

    /// The kernels of the roofline picture, and the names of those that have no place in it.
    pub fn points(&self) -> (Vec<Point>, Vec<String>) {
        let (mut points, mut hidden) = (Vec::new(), Vec::new());
        for row in &self.kernels {
            match (row.measured.gflops, row.measured.share) {
                (Some(gflops), Some(share)) if row.flops > 0 && row.bytes > 0 => {
                    let intensity = row.flops as f64 / row.bytes as f64;
                    points.push(Point { name: row.name.clone(), intensity, gflops, share });
                }
                _ => hidden.push(row.name.clone()),
            }
        }
        (points, hidden)
    }

    /// What a reader should know about the figures.
    fn findings(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let off = (self.calls_ms - self.step_ms) / self.step_ms * 100.0;
        if self.calls_not_measured > 0 {
            let missing = format!("calls that could not be measured: {}", self.calls_not_measured);
            notes.push(format!("{missing}; shares and the sum are of the others"));
        } else if off.abs() > 10.0 {
            let why = if off > 0.0 { "a call timed by itself waits where a step does not" } else { "see gaps" };
            notes.push(format!(
                "the sum is {off:+.0} % off the step: {why}, or the machine was busy with something else"
            ));
        }
        notes
    }
}

/// A row for each name that `key` gives, in the order of the calls.
fn rows(profile: &Profile, key: fn(&TimedCall) -> &str, total: f64, ceilings: Ceilings) -> Vec<Row> {
    let mut names: Vec<&str> = Vec::new();
    for call in &profile.calls {
        if !names.contains(&key(call)) {
            names.push(key(call));
        }
    }
    let of = |name: &&str| profile.calls.iter().filter(|call| key(call) == *name).collect::<Vec<_>>();
    names.iter().map(|name| Row::new(name, &of(name), total, ceilings)).collect()
}

impl Row {
    fn new(name: &str, calls: &[&TimedCall], total: f64, ceilings: Ceilings) -> Self {
        let flops = calls.iter().map(|call| call.cost.flops).sum();
        let bytes = calls.iter().map(|call| call.cost.bytes).sum();
        let seconds = calls.iter().map(|call| call.seconds).sum::<Option<f64>>();
        let measured = seconds.map(|seconds| Measured::new(seconds, total, flops, bytes, ceilings));
        Self { name: name.into(), calls: calls.len(), flops, bytes, measured: measured.unwrap_or_default() }
    }

    fn cells(&self) -> Vec<String> {
        let Measured { ms, share, gflops, gbytes_per_s, of_peak, bound } = &self.measured;
        let cell = |value: &Option<f64>, show: fn(f64) -> String| value.map_or_else(|| "-".into(), show);
        vec![
            self.name.clone(),
            self.calls.to_string(),
            ms.map_or_else(not_measured, |ms| format!("{ms:.3}")),
            cell(share, |share| format!("{:.1} %", share * 100.0)),
            cell(gflops, |rate| format!("{rate:.2}")),
            cell(gbytes_per_s, |rate| format!("{rate:.2}")),
            cell(of_peak, |share| format!("{:.0} %", share * 100.0)),
            bound.unwrap_or("-").into(),
        ]
    }
}

impl Measured {
    fn new(seconds: f64, total: f64, flops: u64, bytes: u64, ceilings: Ceilings) -> Self {
        let (gflops, gbytes_per_s) = (flops as f64 / seconds * 1e-9, bytes as f64 / seconds * 1e-9);
        let (arithmetic, memory) = (gflops / ceilings.gflops, gbytes_per_s / ceilings.gbytes_per_s);
        Self {
            ms: Some(seconds * 1e3),
            share: Some(seconds / total),
            gflops: Some(gflops),
            gbytes_per_s: Some(gbytes_per_s),
            of_peak: Some(arithmetic.max(memory)),
            bound: Some(if arithmetic >= memory { "arithmetic" } else { "memory" }),
        }
    }
}

fn not_measured() -> String {
    "not measured".into()
}

fn table(title: &str, rows: &[Row]) -> Table {
    let headings = [title, "calls", "ms", "share", "GFLOP/s", "GB/s", "of peak", "bound by"];
    let aligned = headings.iter().enumerate();
    let mut table =
        Table::new(aligned.map(|(at, heading)| {
            (*heading, if at == 0 || at == headings.len() - 1 { Align::Left } else { Align::Right })
        }));
    rows.iter().for_each(|row| table.row(row.cells()));
    table
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ceilings { gflops, gbytes_per_s } = self.ceilings;
        writeln!(f, "peaks: {gflops:.1} GFLOP/s (matrix product 512), {gbytes_per_s:.1} GB/s (sum of vectors)")?;
        writeln!(f, "method: {}\n", self.method)?;
        writeln!(f, "{}", table("kernel", &self.kernels))?;
        writeln!(f, "{}", table("layer", &self.layers))?;
        let (batch, step, calls) = (self.batch, self.step_ms, self.calls_ms);
        writeln!(f, "step at batch {batch}: {step:.2} ms; sum of its calls: {calls:.2} ms")?;
        let submit = self.submit_ms.map_or_else(not_measured, |ms| format!("{ms:.3} ms of the host's time"));
        let gaps =
            self.gaps_ms.map(|ms| format!("; gaps between calls: {ms:.2} ms, {:.0} % of the step", ms / step * 100.0));
        writeln!(f, "submission: {submit}{}", gaps.unwrap_or_default())?;
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))
    }
}

/// Device memory by purpose, and what sharing saves.
pub fn memory(memory: &MemoryUse) -> String {
    let purposes = memory.by_purpose.iter();
    let parts: Vec<String> =
        purposes.map(|(purpose, bytes)| format!("{purpose:?} {}", format::bytes(*bytes)).to_lowercase()).collect();
    let saved = memory.transient_unshared.saturating_sub(memory.transient);
    let share = saved as f64 / memory.transient_unshared.max(1) as f64 * 100.0;
    format!(
        "memory if nothing were shared: {}\nactivations and scratch take {} instead of {}: sharing saves {share:.0} %",
        parts.join(", "),
        format::bytes(memory.transient),
        format::bytes(memory.transient_unshared)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilegrad_kernels::Cost;

    fn call(kernel: &'static str, seconds: Option<f64>) -> TimedCall {
        TimedCall { kernel, scope: "layer".into(), seconds, cost: Cost { flops: 2_000_000, bytes: 1_000_000 } }
    }

    #[test]
    fn a_call_without_a_time_leaves_its_rows_without() {
        let calls = vec![call("a", Some(1e-3)), call("b", None), call("b", Some(1e-3))];
        let profile = Profile { step: 4e-3, submit: None, calls, method: String::new() };
        let ceilings = Ceilings { gflops: 4.0, gbytes_per_s: 4.0 };
        let rows = rows(&profile, |call| call.kernel, 2e-3, ceilings);
        assert_eq!((rows[0].measured.share, rows[0].measured.gflops), (Some(0.5), Some(2.0)));
        assert_eq!(rows[0].measured.bound, Some("arithmetic"));
        assert_eq!(rows[1].cells()[2..], ["not measured", "-", "-", "-", "-", "-"]);
    }
}
