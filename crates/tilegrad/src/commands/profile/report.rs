//! The tables of a profile, and its JSON.

use super::ceilings::Ceilings;
use super::measure::{Profile, TimedCall};
use crate::format;
use crate::table::{Align, Table};
use serde::Serialize;
use std::fmt;
use tilegrad_runtime::{Device, MemoryUse};

/// A profile, ready to print.
#[derive(Debug, Serialize)]
pub struct Report {
    device: String,
    batch: u32,
    method: &'static str,
    step_ms: f64,
    submit_ms: f64,
    calls_ms: f64,
    ceilings: Ceilings,
    kernels: Vec<Row>,
    layers: Vec<Row>,
}

/// Calls of one kernel, or of one layer in one direction.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    calls: usize,
    ms: f64,
    share: f64,
    gflops: f64,
    gbytes_per_s: f64,
    /// Share of what the device can do, by the bound that is nearer.
    of_peak: f64,
    /// `arithmetic` or `memory`.
    bound: &'static str,
}

impl Report {
    /// Sums up `profile`.
    pub fn new(device: &Device, batch: u32, profile: &Profile, ceilings: Ceilings) -> Self {
        let total: f64 = profile.calls.iter().map(|call| call.seconds).sum();
        let rows = |key: fn(&TimedCall) -> &str| {
            let mut names: Vec<&str> = Vec::new();
            for call in &profile.calls {
                if !names.contains(&key(call)) {
                    names.push(key(call));
                }
            }
            let of = |name: &&str| profile.calls.iter().filter(|call| key(call) == *name).collect::<Vec<_>>();
            names.iter().map(|name| Row::new(name, &of(name), total, ceilings)).collect::<Vec<Row>>()
        };
        let mut kernels = rows(|call| call.kernel);
        kernels.sort_by(|a, b| b.ms.total_cmp(&a.ms));
        Self {
            device: device.info().name.clone(),
            batch,
            method: profile.method,
            step_ms: profile.step * 1e3,
            submit_ms: profile.submit * 1e3,
            calls_ms: total * 1e3,
            ceilings,
            kernels,
            layers: rows(|call| &call.scope),
        }
    }
}

impl Row {
    fn new(name: &str, calls: &[&TimedCall], total: f64, ceilings: Ceilings) -> Self {
        let seconds: f64 = calls.iter().map(|call| call.seconds).sum();
        let per_second = |amount: u64| amount as f64 / seconds.max(1e-12) * 1e-9;
        let gflops = per_second(calls.iter().map(|call| call.cost.flops).sum());
        let gbytes_per_s = per_second(calls.iter().map(|call| call.cost.bytes).sum());
        let (arithmetic, memory) = (gflops / ceilings.gflops, gbytes_per_s / ceilings.gbytes_per_s);
        Self {
            name: name.into(),
            calls: calls.len(),
            ms: seconds * 1e3,
            share: seconds / total,
            gflops,
            gbytes_per_s,
            of_peak: arithmetic.max(memory),
            bound: if arithmetic >= memory { "arithmetic" } else { "memory" },
        }
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.calls.to_string(),
            format!("{:.3}", self.ms),
            format!("{:.1} %", self.share * 100.0),
            format!("{:.2}", self.gflops),
            format!("{:.2}", self.gbytes_per_s),
            format!("{:.0} %", self.of_peak * 100.0),
            self.bound.into(),
        ]
    }
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
        let (step, calls, submit) = (self.step_ms, self.calls_ms, self.submit_ms);
        writeln!(
            f,
            "step at batch {}: {step:.2} ms; sum of its calls: {calls:.2} ms; submission: {submit:.3} ms",
            self.batch
        )?;
        let off = (calls - step) / step * 100.0;
        if off.abs() > 10.0 {
            writeln!(
                f,
                "the sum is {off:+.0} % off the step: calls by themselves find other cache contents and waits"
            )?;
        }
        Ok(())
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
