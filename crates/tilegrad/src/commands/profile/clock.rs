//! Whether the adapter's own clock can be trusted: a self-test before anything is timed with it.

use super::{ceilings, measure};
use crate::commands::bench::median;
use anyhow::Result;
use tilegrad_runtime::Device;

/// Samples of each call of the self-test.
const SAMPLES: u32 = 5;
/// The clock may be so many times off the wall clock, which has the submission in it.
const FACTOR: f64 = 2.0;
/// A call of one element takes at most this share of a matrix product; launching it takes time too.
const LIGHT: f64 = 0.5;

/// What the clocks said about a heavy call and a light one, in seconds.
struct Readings {
    heavy: f64,
    light: f64,
    /// The heavy call by the host's clock.
    wall: f64,
}

/// What speaks for the adapter's timestamps, or why they cannot be used.
pub fn check(device: &Device) -> Result<Result<String, String>> {
    Ok(match readings(device)? {
        Ok(readings) => readings.judge(),
        Err(problem) => Err(problem),
    })
}

fn readings(device: &Device) -> Result<Result<Readings, String>> {
    let (product, sum) = (ceilings::product(device)?, ceilings::sum(device, 1)?);
    let (mut heavy, mut light) = (Vec::new(), Vec::new());
    for _ in 0..=SAMPLES {
        for (probe, times) in [(&product, &mut heavy), (&sum, &mut light)] {
            let Some(taken) = probe.plan.time_calls()? else {
                return Ok(Err("the adapter has no timestamps".into()));
            };
            let [Some(seconds)] = taken[..] else {
                return Ok(Err("the timer self-test failed: a timestamp reads nothing".into()));
            };
            times.push(seconds);
        }
    }
    let wall = measure::repeated(SAMPLES, |times| product.run(device, times))?;
    // The first sample only warms up.
    Ok(Ok(Readings { heavy: median(heavy.split_off(1)), light: median(light.split_off(1)), wall }))
}

impl Readings {
    fn judge(&self) -> Result<String, String> {
        let [heavy, light, wall] =
            [self.heavy, self.light, self.wall].map(|seconds| format!("{:.4} ms", seconds * 1e3));
        if self.light > LIGHT * self.heavy {
            return Err(format!("the timer self-test failed: one element takes {light}, a matrix product {heavy}"));
        }
        let off = self.heavy / self.wall;
        if !(1.0 / FACTOR..=FACTOR).contains(&off) {
            return Err(format!(
                "the timer self-test failed: a matrix product takes {heavy}, by the wall clock {wall}"
            ));
        }
        Ok(format!("self-test: a matrix product takes {heavy}, by the wall clock {wall}; one element {light}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_cannot_be_right_is_refused() {
        let judge = |heavy, light, wall| Readings { heavy, light, wall }.judge();
        assert!(judge(1e-2, 1e-5, 1.2e-2).is_ok());
        assert!(judge(1e-2, 9e-3, 1e-2).is_err_and(|reason| reason.contains("one element takes 9.0000 ms")));
        assert!(judge(1e-2, 1e-5, 3e-2).is_err_and(|reason| reason.contains("by the wall clock 30.0000 ms")));
        assert!(judge(1e-2, 1e-5, 4e-3).is_err());
    }
}
