//! One axis: sizes that differ in one number, measured, and whether cost grows no faster than arithmetic.

use super::super::rounded;
use super::point::{Measured, Outcome, Size};
use crate::format;
use crate::table::{Align, Table};
use anyhow::Result;
use indicatif::ProgressBar;
use serde::Serialize;
use std::time::{Duration, Instant};
use tilegrad_runtime::Device;

/// Steps below this are not judged: what they take whatever their size is a part of them.
pub const LEAST_MS: f64 = 1.0;
/// Longest time for a point; what is left goes to the slow ones.
const LONGEST: Duration = Duration::from_secs(2);

/// Times that neighbours are measured again before cost is said to grow too fast.
const DOUBTS: usize = 3;

/// The size that every axis passes through.
const BASE: Size = Size { batch: 16, side: 28, channels: 64 };

/// What is varied.
pub struct Plan {
    name: &'static str,
    fixed: &'static str,
    values: &'static [u32],
    quick: &'static [u32],
    size: fn(u32) -> Size,
}

/// The three axes.
pub const PLANS: [Plan; 3] = [
    Plan {
        name: "batch",
        fixed: "side 28, channels 64",
        values: &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
        quick: &[1, 4, 16, 64],
        size: |batch| Size { batch, ..BASE },
    },
    Plan {
        name: "side",
        fixed: "batch 16, channels 64",
        values: &[28, 40, 56, 80, 112, 160, 224],
        quick: &[28, 56],
        size: |side| Size { side, ..BASE },
    },
    Plan {
        name: "channels",
        fixed: "batch 16, side 28",
        values: &[8, 16, 32, 64, 128, 256, 512],
        quick: &[8, 32, 64],
        size: |channels| Size { channels, ..BASE },
    },
];

/// A measured axis.
#[derive(Serialize)]
pub struct Axis {
    #[serde(rename = "axis")]
    pub name: &'static str,
    pub fixed: &'static str,
    pub points: Vec<Point>,
    /// The steepest growth of those judged; none if none was.
    pub steepest: Option<Growth>,
    /// Whether cost grows no faster than arithmetic, within the tolerance.
    pub held: bool,
}

/// A value of the axis.
#[derive(Serialize)]
pub struct Point {
    pub value: u32,
    #[serde(flatten)]
    pub measured: Option<Measured>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

/// How much faster than the arithmetic the time grows between two neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Growth {
    pub from: u32,
    pub to: u32,
    /// Ratio of the times over ratio of the operations.
    pub growth: f64,
}

impl Plan {
    pub fn values(&self, quick: bool) -> &'static [u32] {
        if quick { self.quick } else { self.values }
    }

    /// Measures within about `budget`. Neighbours that look as if cost grew too fast are measured again, since another
    /// program may have been at work.
    pub fn measure(
        &self,
        device: &Device,
        quick: bool,
        budget: Duration,
        tolerance: f64,
        bar: &ProgressBar,
    ) -> Result<Axis> {
        let (values, begun) = (self.values(quick), Instant::now());
        let share = (budget / values.len() as u32).min(LONGEST);
        let left = || budget.saturating_sub(begun.elapsed()).as_secs_f64();
        let mut points: Vec<Point> = Vec::new();
        let mut preparation = 0.0;
        for &value in values {
            bar.set_message(format!("{} {value}", self.name));
            // The first one is measured whatever it takes.
            let last = points.iter().rev().find_map(|point| point.measured);
            let forecast = last.map(|last| last.forecast(preparation, left()));
            let started = Instant::now();
            let point = Point::new(value, (self.size)(value).measure(device, share, forecast)?);
            if let Some(measured) = point.measured {
                preparation = started.elapsed().as_secs_f64() - measured.seconds();
            }
            points.push(point);
            bar.inc(1);
        }
        for _ in 0..DOUBTS {
            let doubted = doubted(&points, tolerance);
            for point in points.iter_mut().filter(|point| doubted.contains(&point.value)) {
                bar.set_message(format!("{} {} again", self.name, point.value));
                let forecast = point.measured.map(|measured| measured.forecast(preparation, left()));
                point.improve((self.size)(point.value).measure(device, share, forecast)?);
            }
        }
        Ok(Axis::new(self, points, tolerance))
    }
}

impl Axis {
    fn new(plan: &Plan, points: Vec<Point>, tolerance: f64) -> Self {
        let steepest = growths(&points).into_iter().max_by(|a, b| a.growth.total_cmp(&b.growth));
        let held = steepest.is_none_or(|steepest| steepest.growth <= tolerance);
        Self { name: plan.name, fixed: plan.fixed, points, steepest, held }
    }

    /// The figures, and a line for each value that has none.
    pub fn table(&self) -> String {
        let titles = ["ms", "GFLOP", "GFLOP/s", "ps/flop", "growth", "plan"].map(|title| (title, Align::Right));
        let mut table = Table::new([(self.name, Align::Left)].into_iter().chain(titles));
        let growths = growths(&self.points);
        let mut notes = String::new();
        for point in &self.points {
            let value = point.value.to_string();
            if let Some(problem) = &point.skipped {
                notes.push_str(&format!("{} {value} was not measured: {problem}\n", self.name));
            }
            let Some(measured) = point.measured else { continue };
            let growth = growths.iter().find(|growth| growth.to == point.value);
            table.row([
                value,
                measured.ms.to_string(),
                rounded(measured.flops as f64 * 1e-9).to_string(),
                measured.gflops_per_s.to_string(),
                measured.ps_per_flop.to_string(),
                growth.map_or("-".into(), |growth| format!("{:.2}", growth.growth)),
                format::bytes((measured.plan_mib * 1024.0 * 1024.0) as u64),
            ]);
        }
        format!("{table}{notes}")
    }

    /// What the figures say.
    pub fn verdict(&self, tolerance: f64) -> String {
        let Self { name, .. } = self;
        let Some(Growth { from, to, growth }) = self.steepest else {
            return format!("{name}: nothing to judge, no two neighbours with steps of {LEAST_MS} ms or more");
        };
        let held = if self.held { "held" } else { "VIOLATED" };
        let place = format!("{name} {from} to {to}");
        format!(
            "{name}: {held}: time over arithmetic grows at most {growth:.2} times ({place}), {tolerance} are allowed"
        )
    }
}

impl Point {
    fn new(value: u32, outcome: Outcome) -> Self {
        match outcome {
            Outcome::Measured(measured) => Self { value, measured: Some(measured), skipped: None },
            Outcome::Skipped(problem) => Self { value, measured: None, skipped: Some(problem) },
        }
    }

    /// Takes the better of two measurements.
    fn improve(&mut self, outcome: Outcome) {
        if let Outcome::Measured(again) = outcome {
            self.measured = self.measured.filter(|before| before.ms <= again.ms).or(Some(again));
        }
    }
}

/// The growth between measured neighbours whose steps are long enough.
fn growths(points: &[Point]) -> Vec<Growth> {
    let counted = points.iter().filter_map(|point| Some((point.value, point.measured?)));
    let counted: Vec<(u32, Measured)> = counted.filter(|(_, measured)| measured.ms >= LEAST_MS).collect();
    let between = |pair: &[(u32, Measured)]| {
        let [(from, a), (to, b)] = [pair[0], pair[1]];
        Growth { from, to, growth: rounded(b.ms / a.ms / (b.flops as f64 / a.flops as f64)) }
    };
    counted.windows(2).map(between).collect()
}

/// The values between which cost seems to grow too fast.
fn doubted(points: &[Point], tolerance: f64) -> Vec<u32> {
    let steep = growths(points).into_iter().filter(|growth| growth.growth > tolerance);
    steep.flat_map(|growth| [growth.from, growth.to]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(figures: &[(u32, f64, u64)]) -> Vec<Point> {
        let measured = |&(value, ms, flops): &(u32, f64, u64)| {
            Point::new(value, Outcome::Measured(Measured::new(ms * 1e-3, flops, 1 << 20, 9)))
        };
        figures.iter().map(measured).collect()
    }

    #[test]
    fn cost_may_grow_as_fast_as_arithmetic() {
        let axis = Axis::new(&PLANS[0], points(&[(1, 0.5, 10), (2, 1.0, 20), (4, 2.2, 40), (8, 4.0, 80)]), 1.5);
        assert_eq!(axis.steepest, Some(Growth { from: 2, to: 4, growth: 1.1 }));
        assert!(axis.held && axis.verdict(1.5).contains("held: time over arithmetic grows at most 1.10 times"));
        assert!(axis.table().contains("1 MiB"), "{}", axis.table());
    }

    #[test]
    fn a_jump_is_found_across_a_gap_but_not_below_a_millisecond() {
        let mut jump = points(&[(1, 0.1, 10), (2, 0.9, 20), (4, 2.0, 40), (8, 1.0, 80), (16, 16.0, 160)]);
        jump[3] = Point::new(8, Outcome::Skipped("no room".into()));
        let axis = Axis::new(&PLANS[0], jump, 1.5);
        assert_eq!(axis.steepest, Some(Growth { from: 4, to: 16, growth: 2.0 }));
        assert_eq!(doubted(&axis.points, 1.5), [4, 16]);
        assert!(!axis.held && axis.verdict(1.5).contains("VIOLATED"));
        assert!(axis.table().contains("batch 8 was not measured: no room"));
    }

    #[test]
    fn a_second_measurement_can_only_help() {
        let mut point = points(&[(1, 2.0, 10)]).remove(0);
        for (ms, best) in [(3.0, 2.0), (1.5, 1.5)] {
            point.improve(Outcome::Measured(Measured::new(ms * 1e-3, 10, 0, 1)));
            assert_eq!(point.measured.unwrap().ms, best);
        }
        point.improve(Outcome::Skipped(String::new()));
        assert_eq!(point.measured.unwrap().ms, 1.5);
    }

    #[test]
    fn nothing_judged_is_said() {
        let axis = Axis::new(&PLANS[1], points(&[(28, 0.1, 10)]), 1.5);
        assert!(axis.held && axis.steepest.is_none() && axis.verdict(1.5).contains("nothing to judge"));
    }
}
