//! `tilegrad bench`: how fast a device trains, predicts and multiplies, and how that grows with the work.

mod infer;
mod matmul;
mod ratios;
mod scaling;
mod step;

use anyhow::Result;
use clap::{Args, Subcommand};
use std::time::Instant;

/// Options of `tilegrad bench`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tilegrad bench step --device cpu --batch 64 --steps 50 --json\n  \
                        tilegrad bench infer --batch 256\n  \
                        tilegrad bench scaling --plot scaling.png")]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Step(step::StepArgs),
    Infer(infer::InferArgs),
    Scaling(scaling::ScalingArgs),
    Ratios(ratios::RatiosArgs),
    Matmul(matmul::MatmulArgs),
}

/// Measures; `started` is when the process did.
pub fn run(args: &BenchArgs, started: Instant) -> Result<()> {
    match &args.what {
        What::Step(args) => step::run(args, started),
        What::Infer(args) => infer::run(args),
        What::Scaling(args) => scaling::run(args),
        What::Ratios(args) => ratios::run(args),
        What::Matmul(args) => matmul::run(args),
    }
}

/// The middle one; of an even number, the mean of the two in the middle. 0 if there are none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

/// Four significant digits: more would be noise.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// Most memory that this process had at a time, in MiB, where the system tells.
fn peak_rss_mb() -> Option<f64> {
    peak_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_in(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some((kib / 1024.0 * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(vec![]), 0.0);
        assert_eq!([rounded(1234.56), rounded(0.000123456), rounded(0.0)], [1235.0, 0.0001235, 0.0]);
    }

    #[test]
    fn the_peak_is_read_from_the_status() {
        assert_eq!(peak_in("Name:\tx\nVmHWM:\t  204851 kB\nVmRSS:\t 1 kB\n"), Some(200.0));
        assert_eq!(peak_in("Name:\tx\n"), None);
    }
}
