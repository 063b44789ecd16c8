//! Seconds of something that is repeated, by samples long enough to be true.

use crate::RuntimeError;
use std::time::Instant;

/// A sample takes at least so many seconds.
pub const LEAST: f64 = 2e-3;
/// Samples that a median is taken of.
pub const SAMPLES: usize = 5;
/// Repetitions in a sample, at the most. Work that is still too short for a sample is not measured at all.
const MOST: u32 = 1 << 16;

/// Something that can be timed: runs it so many times, and comes back when all of it is done.
pub type Repeat<'a> = dyn FnMut(u32) -> Result<(), RuntimeError> + 'a;

/// Repetitions that a sample needs, found by doubling; none if even the most take too little time to be measured. The shorter
/// of two samples counts: one may have waited for something else.
pub fn repetitions(repeat: &mut Repeat<'_>) -> Result<Option<u32>, RuntimeError> {
    let mut times = 1;
    while sample(repeat, times)?.min(sample(repeat, times)?) < LEAST {
        if times >= MOST {
            return Ok(None);
        }
        times *= 2;
    }
    Ok(Some(times))
}

/// Seconds of all `times` repetitions together.
fn sample(repeat: &mut Repeat<'_>, times: u32) -> Result<f64, RuntimeError> {
    let begun = Instant::now();
    repeat(times)?;
    Ok(begun.elapsed().as_secs_f64())
}

/// The samples of one contender.
#[derive(Debug, Default, Clone)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Takes a sample of `times` repetitions.
    pub fn take(&mut self, repeat: &mut Repeat<'_>, times: u32) -> Result<(), RuntimeError> {
        let seconds = sample(repeat, times)?;
        self.add(seconds, times);
        Ok(())
    }

    /// A sample much shorter than it was when the repetitions were counted has measured something else: it is left out.
    fn add(&mut self, seconds: f64, times: u32) {
        if seconds >= LEAST / 4.0 {
            self.0.push(seconds / f64::from(times));
        }
    }

    /// The median of the seconds of one repetition; none without enough samples that count.
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        (sorted.len() > SAMPLES / 2).then(|| sorted[sorted.len() / 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_takes_no_time_is_not_measured() {
        assert_eq!(repetitions(&mut |_| Ok(())), Ok(None));
        let mut samples = Samples::default();
        for _ in 0..SAMPLES {
            samples.take(&mut |_| Ok(()), 1).unwrap();
        }
        assert_eq!(samples.median(), None);
    }

    #[test]
    fn repetitions_fill_a_sample() {
        let mut nap = |times: u32| {
            std::thread::sleep(Duration::from_micros(400) * times);
            Ok(())
        };
        let times = repetitions(&mut nap).unwrap().unwrap();
        assert!((1..=8).contains(&times), "{times}");
    }

    #[test]
    fn one_late_sample_does_not_end_the_doubling() {
        let mut runs = 0;
        let mut late_once = |times: u32| {
            runs += 1;
            std::thread::sleep(Duration::from_micros(if runs == 1 { 5000 } else { 20 * u64::from(times) }));
            Ok(())
        };
        let times = repetitions(&mut late_once).unwrap().unwrap();
        assert!(times > 1, "{times}");
    }

    #[test]
    fn the_median_ignores_a_sample_that_measured_nothing() {
        let mut samples = Samples::default();
        [8e-3, 0.0, 4e-3, 1e-9, 6e-3].into_iter().for_each(|seconds| samples.add(seconds, 2));
        assert_eq!(samples.median(), Some(3e-3));
        assert_eq!(Samples(vec![1.0; SAMPLES / 2]).median(), None);
    }
}
