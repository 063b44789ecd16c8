//! Times of the calls of a step.

use super::clock;
use crate::commands::bench::median;
use anyhow::Result;
use std::time::Instant;
use tilegrad_kernels::Cost;
use tilegrad_model::Stepper;
use tilegrad_runtime::{Device, DeviceKind};

/// Repetitions of a call on an adapter take at least so many seconds together.
const LEAST: f64 = 5e-3;
/// Steps that are timed together take about so many seconds.
const GROUP: f64 = 0.2;
/// Repetitions of a call, at the most.
const MOST: u32 = 4096;

/// A step, measured.
pub struct Profile {
    /// Seconds of a whole step, waits left out as far as several steps go into one submission.
    pub step: f64,
    /// Seconds that the host takes to encode and submit a step; none on the CPU, where that is the step itself.
    pub submit: Option<f64>,
    pub calls: Vec<TimedCall>,
    /// How the calls were timed, and why so.
    pub method: String,
}

/// A call of a step.
pub struct TimedCall {
    pub kernel: &'static str,
    pub scope: String,
    /// None if it could not be measured.
    pub seconds: Option<f64>,
    pub cost: Cost,
}

/// Seconds of each call, and how they were found.
struct Times {
    seconds: Vec<Option<f64>>,
    method: String,
}

/// Times whole steps and each call.
pub fn measure(device: &Device, stepper: &mut Stepper<'_>, samples: u32) -> Result<Profile> {
    stepper.run(2)?;
    stepper.wait()?;
    let (step, submit, times) = if device.info().kind == DeviceKind::Cpu {
        let (step, times) = time_in_order(stepper, samples)?;
        (step, None, times)
    } else {
        let (step, submit, times) = time_on_adapter(device, stepper, samples)?;
        (step, Some(submit), times)
    };
    stepper.restart();
    let nodes = stepper.graph().nodes().iter();
    let calls = nodes.zip(times.seconds).map(|(node, seconds)| TimedCall {
        kernel: node.call.kernel().name,
        scope: node.scope.clone(),
        seconds,
        cost: node.call.cost(),
    });
    Ok(Profile { step, submit, calls: calls.collect(), method: times.method })
}

/// Seconds of a step, `group` of them at a time.
fn time_step(stepper: &mut Stepper<'_>, group: u32) -> Result<f64> {
    let begun = Instant::now();
    stepper.run(group)?;
    stepper.wait()?;
    Ok(begun.elapsed().as_secs_f64() / f64::from(group))
}

/// The host's seconds to encode and submit one step to an adapter that has nothing else to do.
fn time_submission(stepper: &mut Stepper<'_>) -> Result<f64> {
    let begun = Instant::now();
    stepper.run(1)?;
    let taken = begun.elapsed().as_secs_f64();
    stepper.wait()?;
    Ok(taken)
}

/// A step as a whole and call by call, in turns, so that whatever else the processor does slows down both.
fn time_in_order(stepper: &mut Stepper<'_>, samples: u32) -> Result<(f64, Times)> {
    let calls = stepper.graph().nodes().len();
    let (mut whole, mut times) = (Vec::new(), vec![Vec::new(); calls]);
    for _ in 0..samples {
        for (call, times) in times.iter_mut().enumerate() {
            let begun = Instant::now();
            stepper.run_call(call, 1)?;
            times.push(Some(begun.elapsed().as_secs_f64()));
        }
        // The first step begins a pass, which shuffles.
        stepper.restart();
        stepper.run(1)?;
        whole.push(time_step(stepper, 1)?);
    }
    Ok((median(whole), Times { seconds: medians(times), method: "each call as it runs within a step".into() }))
}

/// Seconds of a step, of its submission, and of each call: by the adapter's clock if it has one that can be trusted.
fn time_on_adapter(device: &Device, stepper: &mut Stepper<'_>, samples: u32) -> Result<(f64, f64, Times)> {
    let verdict = clock::check(device)?;
    let calls = stepper.graph().nodes().len();
    // As many steps at a time as hide the wait for the last one.
    let group = (GROUP / time_step(stepper, 1)?).clamp(1.0, 8.0) as u32;
    let (mut whole, mut submitted, mut stamped) = (Vec::new(), Vec::new(), vec![Vec::new(); calls]);
    for _ in 0..samples {
        whole.push(time_step(stepper, group)?);
        submitted.push(time_submission(stepper)?);
        if verdict.is_ok() {
            let taken = stepper.time_calls()?.unwrap_or_else(|| vec![None; calls]);
            stamped.iter_mut().zip(taken).for_each(|(times, taken)| times.push(taken));
        }
    }
    let times = match verdict {
        Ok(proof) => {
            let method = format!("timestamps around each call of a step ({proof})");
            Times { seconds: medians(stamped), method }
        }
        Err(reason) => {
            let seconds = (0..calls).map(|call| time_call(stepper, call, samples.min(3))).collect::<Result<_>>()?;
            Times { seconds, method: format!("each call repeated for at least 5 ms ({reason})") }
        }
    };
    Ok((median(whole), median(submitted), times))
}

/// The median of each call; a call that one sample could not measure has none.
fn medians(samples: Vec<Vec<Option<f64>>>) -> Vec<Option<f64>> {
    let whole = samples.into_iter().map(|samples| samples.into_iter().collect::<Option<Vec<f64>>>());
    whole.map(|samples| samples.map(median).filter(|seconds| *seconds > 0.0)).collect()
}

fn time_call(stepper: &mut Stepper<'_>, call: usize, samples: u32) -> Result<Option<f64>> {
    let repeat = |times: u32| -> Result<()> {
        stepper.run_call(call, times)?;
        Ok(stepper.wait()?)
    };
    let taken = repeated(samples, repeat)?;
    Ok((taken > 0.0).then_some(taken))
}

/// Median of the seconds of one repetition, with so many at a time that they take [`LEAST`] together.
pub fn repeated(samples: u32, repeat: impl FnMut(u32) -> Result<()>) -> Result<f64> {
    Ok(median(repetitions(samples, repeat)?))
}

/// Seconds of one repetition, by several samples of so many at a time that they take [`LEAST`] together.
pub fn repetitions(samples: u32, mut repeat: impl FnMut(u32) -> Result<()>) -> Result<Vec<f64>> {
    let mut time = |times: u32| -> Result<f64> {
        let begun = Instant::now();
        repeat(times)?;
        Ok(begun.elapsed().as_secs_f64())
    };
    time(1)?;
    let mut times = 1;
    while time(times)? < LEAST && times < MOST {
        times *= 2;
    }
    (0..samples.max(1)).map(|_| Ok(time(times)? / f64::from(times))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_sample_is_not_a_zero() {
        let samples = vec![vec![Some(3.0), Some(1.0), Some(2.0)], vec![Some(1.0), None], vec![Some(0.0)]];
        assert_eq!(medians(samples), [Some(2.0), None, None]);
    }
}
