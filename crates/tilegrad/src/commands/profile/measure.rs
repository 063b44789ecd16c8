//! Times of the calls of a step.

use crate::commands::bench::median;
use anyhow::Result;
use std::time::Instant;
use tilegrad_kernels::Cost;
use tilegrad_model::Stepper;
use tilegrad_runtime::{Device, DeviceKind};

/// Repetitions of a call on an adapter take at least so many seconds together.
const LEAST: f64 = 5e-3;

/// A step, measured.
pub struct Profile {
    /// Seconds of a whole step, waits left out as far as several steps go into one submission.
    pub step: f64,
    /// Seconds that the host takes to encode and submit a step.
    pub submit: f64,
    pub calls: Vec<TimedCall>,
    /// How the calls were timed.
    pub method: &'static str,
}

/// A call of a step.
pub struct TimedCall {
    pub kernel: &'static str,
    pub scope: String,
    pub seconds: f64,
    pub cost: Cost,
}

/// Times whole steps, then each call.
pub fn measure(device: &Device, stepper: &mut Stepper<'_>, samples: u32) -> Result<Profile> {
    let on_cpu = device.info().kind == DeviceKind::Cpu;
    stepper.run(2)?;
    stepper.wait()?;
    let (step, submit) = time_steps(stepper, samples, if on_cpu { 1 } else { 8 })?;
    stepper.restart();
    let times = if on_cpu { time_in_order(stepper, samples)? } else { time_repeated(stepper, samples)? };
    stepper.restart();
    let nodes = stepper.graph().nodes().iter();
    let calls = nodes.zip(times).map(|(node, seconds)| TimedCall {
        kernel: node.call.kernel.name,
        scope: node.scope.clone(),
        seconds,
        cost: node.call.cost(),
    });
    let method = if on_cpu { "each call as it runs within a step" } else { "each call repeated for at least 5 ms" };
    Ok(Profile { step, submit, calls: calls.collect(), method })
}

/// Medians of the seconds of a step, and of its submission, in groups of `group`.
fn time_steps(stepper: &mut Stepper<'_>, samples: u32, group: u32) -> Result<(f64, f64)> {
    let (mut whole, mut submitted) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        let begun = Instant::now();
        stepper.run(group)?;
        submitted.push(begun.elapsed().as_secs_f64() / f64::from(group));
        stepper.wait()?;
        whole.push(begun.elapsed().as_secs_f64() / f64::from(group));
    }
    Ok((median(whole), median(submitted)))
}

fn time_in_order(stepper: &mut Stepper<'_>, samples: u32) -> Result<Vec<f64>> {
    let calls = stepper.graph().nodes().len();
    let mut times = vec![Vec::new(); calls];
    for _ in 0..samples {
        for (call, times) in times.iter_mut().enumerate() {
            let begun = Instant::now();
            stepper.run_call(call, 1)?;
            times.push(begun.elapsed().as_secs_f64());
        }
    }
    Ok(times.into_iter().map(median).collect())
}

fn time_repeated(stepper: &mut Stepper<'_>, samples: u32) -> Result<Vec<f64>> {
    let calls = stepper.graph().nodes().len();
    (0..calls).map(|call| time_call(stepper, call, samples.min(3))).collect()
}

fn time_call(stepper: &mut Stepper<'_>, call: usize, samples: u32) -> Result<f64> {
    let mut repeat = |times: u32| -> Result<f64> {
        let begun = Instant::now();
        stepper.run_call(call, times)?;
        stepper.wait()?;
        Ok(begun.elapsed().as_secs_f64())
    };
    repeat(1)?;
    let mut times = 1;
    while repeat(times)? < LEAST && times < 4096 {
        times *= 2;
    }
    let taken = (0..samples.max(1)).map(|_| Ok(repeat(times)? / f64::from(times)));
    Ok(median(taken.collect::<Result<Vec<f64>>>()?))
}
