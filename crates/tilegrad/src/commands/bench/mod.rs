//! `tilegrad bench`: how fast a training step or a matrix product is on a device.

mod matmul;
mod step;

use anyhow::Result;
use clap::{Args, Subcommand};
use std::time::Instant;

/// Options of `tilegrad bench`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tilegrad bench step --device cpu --batch 64 --steps 50 --json\n  \
                        tilegrad bench matmul --m 512 --n 512 --k 512")]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Step(step::StepArgs),
    Matmul(matmul::MatmulArgs),
}

/// Measures; `started` is when the process did.
pub fn run(args: &BenchArgs, started: Instant) -> Result<()> {
    match &args.what {
        What::Step(args) => step::run(args, started),
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
}
