//! A training step at one size: its time, its arithmetic and its memory.

use super::super::rounded;
use anyhow::Result;
use serde::Serialize;
use std::fmt;
use std::time::{Duration, Instant};
use tilegrad_kernels::hash;
use tilegrad_model::data::{Dataset, ImageShape};
use tilegrad_model::{
    Config, DataSize, Mode, ModelError, Network, Program, Stepper, Trainer, conv2d, dense, flatten, max_pool,
};
use tilegrad_runtime::{Device, DeviceKind, Graph, MemoryUse, RuntimeError};

/// Shorter samples measure the clock.
const SAMPLE: f64 = 5e-3;
/// Most steps of one sample.
const MOST: u32 = 32;
/// Samples of a point: at least, unless a step is very slow, and at most.
const SAMPLES: (usize, usize) = (3, 15);
/// Batches on the device, so that a pass over the data is not begun with every step.
const BATCHES: u32 = 4;
const CLASSES: u32 = 10;

/// The size of a training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub batch: u32,
    /// Rows and columns of the images.
    pub side: u32,
    /// Filters of the second and third convolution; the first has half of them.
    pub channels: u32,
}

/// What a step takes at a size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measured {
    /// Fastest of the samples: whatever else the machine does can only slow a step down.
    pub ms: f64,
    /// Operations of a step.
    pub flops: u64,
    pub gflops_per_s: f64,
    /// Time over arithmetic.
    pub ps_per_flop: f64,
    /// Memory that the plan's buffers take, the data included.
    pub plan_mib: f64,
    pub steps: u32,
}

/// What came of a size.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Measured(Measured),
    /// It does not fit, or there is no time for it: the reason.
    Skipped(String),
}

/// What the sizes before tell about the next one.
#[derive(Debug, Clone, Copy)]
pub struct Forecast {
    /// Seconds that are left for an axis.
    pub left: f64,
    /// Seconds to prepare a step.
    pub preparation: f64,
    /// Operations per second.
    pub speed: f64,
}

impl Forecast {
    /// Why a few steps of `size` do not fit into the time that is left.
    fn no_time(self, size: Size) -> Result<Option<String>, ModelError> {
        let (preparation, step) = (self.preparation, size.flops()? as f64 / self.speed);
        // A step to warm up, and two to measure.
        if preparation + 3.0 * step <= self.left {
            return Ok(None);
        }
        let [preparation, step, left] = [preparation, step, self.left].map(|seconds| format!("{seconds:.2}"));
        let needed = format!("about {preparation} s to prepare and {step} s for each of three steps");
        Ok(Some(format!("no time, it takes {needed}, {left} s are left; see --budget")))
    }
}

impl Size {
    /// The reference network with other images and other convolutions.
    fn config(self) -> Result<Config, ModelError> {
        let Self { side, channels, .. } = self;
        let network = Network::builder(ImageShape { height: side, width: side, channels: 1 })
            .layer(conv2d(channels / 2, 3).relu())
            .layer(max_pool(2))
            .layer(conv2d(channels, 3).relu())
            .layer(max_pool(2))
            .layer(conv2d(channels, 3).relu())
            .layer(flatten())
            .layer(dense(64).relu())
            .layer(dense(CLASSES))
            .build()?;
        let mut config = Config::new(network);
        config.train.batch = self.batch;
        config.data.validation_split = 0.0;
        Ok(config)
    }

    fn examples(self) -> u32 {
        self.batch * BATCHES
    }

    /// Operations of a step, from its graph alone.
    fn flops(self) -> Result<u64, ModelError> {
        let size = DataSize::whole(self.examples(), self.examples());
        Ok(flops(&Program::record(&self.config()?, Mode::Train, self.batch, size)?.graph))
    }

    /// Random images with random labels.
    fn data(self) -> Result<Dataset, ModelError> {
        let (side, examples) = (self.side, self.examples());
        let images = (0..examples * side * side).map(|i| hash::bits(1, 0, i) as u8).collect();
        let labels = (0..examples).map(|i| hash::bits(2, 0, i) % CLASSES).collect();
        let classes = (0..CLASSES).map(|class| class.to_string()).collect();
        Ok(Dataset::new(
            "random images",
            ImageShape { height: side, width: side, channels: 1 },
            images,
            labels,
            classes,
        )?)
    }

    /// Measures for about `share`, unless `forecast` says that there is no time for it.
    pub fn measure(self, device: &Device, share: Duration, forecast: Option<Forecast>) -> Result<Outcome> {
        match self.try_measure(device, share, forecast) {
            Ok(outcome) => Ok(outcome),
            Err(error) if too_large(&error) => Ok(Outcome::Skipped(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    fn try_measure(self, device: &Device, share: Duration, forecast: Option<Forecast>) -> Result<Outcome, ModelError> {
        if let Some(problem) = forecast.map(|forecast| forecast.no_time(self)).transpose()?.flatten() {
            return Ok(Outcome::Skipped(problem));
        }
        let mut trainer = Trainer::new(device.clone(), self.config()?)?;
        let mut stepper = trainer.stepper(&self.data()?)?;
        let bytes = plan_bytes(stepper.memory());
        if let Some(problem) = no_room(device, bytes) {
            return Ok(Outcome::Skipped(problem));
        }
        let flops = flops(stepper.graph());
        let (seconds, steps) = time(&mut stepper, share)?;
        Ok(Outcome::Measured(Measured::new(seconds, flops, bytes, steps)))
    }
}

impl Measured {
    pub fn new(seconds: f64, flops: u64, bytes: u64, steps: u32) -> Self {
        Self {
            ms: rounded(seconds * 1e3),
            flops,
            gflops_per_s: rounded(flops as f64 / seconds * 1e-9),
            ps_per_flop: rounded(seconds / flops as f64 * 1e12),
            plan_mib: rounded(bytes as f64 / 1024.0 / 1024.0),
            steps,
        }
    }

    /// Seconds of the timed steps, at this speed.
    pub fn seconds(&self) -> f64 {
        self.ms * 1e-3 * f64::from(self.steps)
    }

    /// What this tells about the next size.
    pub fn forecast(&self, preparation: f64, left: f64) -> Forecast {
        Forecast { left, preparation, speed: self.gflops_per_s * 1e9 }
    }
}

/// Seconds of a step in the fastest sample, and the steps that were timed.
fn time(stepper: &mut Stepper<'_>, share: Duration) -> Result<(f64, u32), ModelError> {
    let mut sample = |steps: u32| -> Result<f64, ModelError> {
        let begun = Instant::now();
        stepper.run(steps)?;
        stepper.wait()?;
        Ok(begun.elapsed().as_secs_f64() / f64::from(steps))
    };
    sample(1)?;
    let group = (SAMPLE / sample(1)?).ceil().clamp(1.0, f64::from(MOST)) as u32;
    let begun = Instant::now();
    let mut seconds = Vec::new();
    while seconds.len() < SAMPLES.1 {
        // Of steps that are very slow, two will do.
        let late = begun.elapsed() > if seconds.len() < SAMPLES.0 { 2 * share } else { share };
        if late && seconds.len() >= 2 {
            break;
        }
        seconds.push(sample(group)?);
    }
    let steps = group * seconds.len() as u32;
    Ok((seconds.into_iter().fold(f64::INFINITY, f64::min), steps))
}

fn flops(graph: &Graph) -> u64 {
    graph.nodes().iter().map(|node| node.call.cost().flops).sum()
}

/// All buffers of a plan, those that share memory counted once.
fn plan_bytes(memory: &MemoryUse) -> u64 {
    memory.by_purpose.values().sum::<u64>() - memory.transient_unshared + memory.transient
}

/// Whether it is the size that the device or the kernels cannot take.
fn too_large(error: &ModelError) -> bool {
    let runtime = |error: &RuntimeError| matches!(error, RuntimeError::Limit { .. } | RuntimeError::OutOfMemory { .. });
    match error {
        ModelError::Shape(_) | ModelError::NoRoom { .. } => true,
        ModelError::Runtime(error) => runtime(error),
        _ => false,
    }
}

/// Why a plan of so many bytes should not run. A CPU gives memory out before it has it, and ends the process later.
fn no_room(device: &Device, bytes: u64) -> Option<String> {
    if device.info().kind == DeviceKind::Hardware {
        return None;
    }
    let available = available(&std::fs::read_to_string("/proc/meminfo").ok()?)?;
    let text = crate::format::bytes;
    (bytes > available).then(|| format!("it needs {} of memory, the machine has {} left", text(bytes), text(available)))
}

/// Bytes that are free for programs, from Linux's `/proc/meminfo`.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch {}, side {}, channels {}", self.batch, self.side, self.channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_network_lies_on_every_axis() {
        let reference = crate::commands::train::reference().unwrap().network;
        let ours = Size { batch: 16, side: 28, channels: 64 }.config().unwrap().network;
        assert_eq!(ours.parameters().len(), reference.parameters().len());
        let flops = |network: &Network| network.nodes().iter().map(|node| network.flops_of(node)).sum::<u64>();
        assert_eq!(flops(&ours), flops(&reference));
    }

    #[test]
    fn what_does_not_fit_is_told_from_what_is_broken() {
        let full = RuntimeError::OutOfMemory { device: "d".into(), buffer: "b".into(), bytes: 1 };
        assert!(too_large(&full.into()));
        assert!(!too_large(&RuntimeError::Graph("wrong".into()).into()));
        assert!(!too_large(&ModelError::Mismatch("wrong".into())));
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:   2 kB\n"), Some(2048));
    }

    #[test]
    fn a_point_without_time_is_skipped_with_a_reason() {
        let device = Device::open(&tilegrad_runtime::DeviceChoice::Cpu, Default::default()).unwrap();
        let size = Size { batch: 2, side: 28, channels: 8 };
        let slow = Forecast { left: 1.0, preparation: 0.0, speed: 1.0 };
        let outcome = size.measure(&device, Duration::ZERO, Some(slow)).unwrap();
        assert!(
            matches!(outcome, Outcome::Skipped(problem) if problem.contains("no time") && problem.contains("--budget"))
        );
        for forecast in [None, Some(Forecast { speed: 1e12, ..slow })] {
            let outcome = size.measure(&device, Duration::ZERO, forecast).unwrap();
            assert!(matches!(outcome, Outcome::Measured(measured) if measured.steps >= 2 && measured.plan_mib > 0.0));
        }
    }
}
