//! `tilegrad bench infer`: forward passes over the test images, and the latency of a single one.

use super::{median, peak_rss_mb, rounded};
use crate::commands::train::reference;
use crate::data;
use crate::device::{self, DeviceArgs};
use crate::engine::EngineArgs;
use crate::format;
use crate::output::{json, say, tell};
use crate::progress::Waiting;
use anyhow::{Context, Result};
use clap::{Args, value_parser};
use serde::Serialize;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tilegrad_model::data::{ClassRule, Dataset};
use tilegrad_model::{Checkpoint, Predictor, Trainer};
use tilegrad_runtime::{Device, DeviceKind};

/// Measure prediction: images per second over the test images, and the latency of a single image.
///
/// Timed is everything between the bytes of the images in the host's memory and the classes in the host's memory: the bytes go
/// to the device, are scaled there, pass through the network, the outputs come back, and the host takes the largest. A batch
/// begins when the one before it is done, as in a loop that uses each answer. The images per second are the median of five
/// passes over all test images, of three if they take long, the short last batch included; the latency is that of 300 single images after 30 others.
/// On an adapter, a second figure is for two batches on their way at a time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tilegrad bench infer --device cpu --batch 256 --json\n  \
                        tilegrad bench infer --model runs/mnist_cnn-1/best.safetensors")]
pub struct InferArgs {
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    engine: EngineArgs,
    /// Images of one batch
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = value_parser!(u32).range(1..))]
    batch: u32,
    /// Checkpoint of a training; without one, the reference network with initial weights
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Folder of the data; its test part is taken, or all of it if there is none [default: the MNIST that comes with the
    /// project]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// One line of JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Timed passes over all images; no more than three if they take long.
const PASSES: usize = 5;
const LONG: Duration = Duration::from_secs(15);
/// Single images that are timed, after so many others.
const SINGLES: (usize, usize) = (300, 30);
/// Batches on their way for the second figure.
const IN_FLIGHT: usize = 2;

/// Figures that the programs of other frameworks give too have the names that those use.
#[derive(Serialize)]
struct Measured {
    device: String,
    batch: u32,
    images: usize,
    infer_images_per_s: f64,
    /// With several batches on their way; none on the CPU, which does one at a time.
    in_flight_images_per_s: Option<f64>,
    latency_p50_ms: f64,
    latency_p99_ms: f64,
    accuracy: f64,
    peak_rss_mb: Option<f64>,
}

/// Measures.
pub fn run(args: &InferArgs) -> Result<()> {
    let waiting = Waiting::begin("preparing");
    let checkpoint = args.model.as_deref().map(Checkpoint::load).transpose()?;
    let mut config = checkpoint.as_ref().map_or_else(reference, |checkpoint| Ok(checkpoint.config.clone()))?;
    args.engine.apply(&mut config);
    let folder = args.data.clone().map_or_else(data::mnist, Ok)?;
    let splits = match &checkpoint {
        Some(checkpoint) => data::load_for(&folder, checkpoint, &ClassRule::default(), false)?,
        None => data::load(&folder, &config, None)?,
    };
    let images = splits.test.unwrap_or(splits.train);
    let device = args.device.open()?;
    let trainer = match checkpoint {
        Some(checkpoint) => Trainer::resume(device.clone(), Checkpoint { config, ..checkpoint })?,
        None => Trainer::new(device.clone(), config)?,
    };
    let mut passes = Passes::new(&trainer, &images, args.batch)?;
    drop(waiting);
    let waiting = Waiting::begin("measuring");
    let measured = measure(&device, &trainer, &mut passes, args.batch)?;
    drop(waiting);
    if args.json {
        return json(&measured);
    }
    tell!("device: {}", device::line(&device));
    print(&measured);
    Ok(())
}

fn measure(device: &Device, trainer: &Trainer, passes: &mut Passes<'_>, batch: u32) -> Result<Measured> {
    let images = passes.data.len();
    let (seconds, hits) = passes.time(1)?;
    let in_flight =
        if device.info().kind == DeviceKind::Cpu { None } else { Some(images as f64 / passes.time(IN_FLIGHT)?.0) };
    let latencies = latencies(&mut trainer.predictor(1)?, passes.data)?;
    let at = |share: f64| latencies[((latencies.len() as f64 * share) as usize).min(latencies.len() - 1)];
    Ok(Measured {
        device: device.info().name.clone(),
        batch,
        images,
        infer_images_per_s: rounded(images as f64 / seconds),
        in_flight_images_per_s: in_flight.map(rounded),
        latency_p50_ms: rounded(at(0.5) * 1e3),
        latency_p99_ms: rounded(at(0.99) * 1e3),
        accuracy: hits as f64 / images as f64,
        peak_rss_mb: peak_rss_mb(),
    })
}

/// Passes over all images.
struct Passes<'a> {
    data: &'a Dataset,
    full: Predictor,
    /// For the short last batch, if there is one: a batch of its own size costs no padding.
    rest: Option<Predictor>,
}

impl<'a> Passes<'a> {
    fn new(trainer: &Trainer, data: &'a Dataset, batch: u32) -> Result<Self> {
        let len = u32::try_from(data.len()).context("there are more than 2^32 images")?;
        let batch = batch.min(len);
        let rest = (len % batch > 0).then(|| trainer.predictor(len % batch)).transpose()?;
        Ok(Self { data, full: trainer.predictor(batch)?, rest })
    }

    /// Median of the seconds of a pass, and its hits.
    fn time(&mut self, in_flight: usize) -> Result<(f64, usize)> {
        self.warm_up()?;
        let (mut hits, mut seconds, started) = (0, Vec::new(), Instant::now());
        while seconds.len() < 3 || (seconds.len() < PASSES && started.elapsed() < LONG) {
            let begun = Instant::now();
            hits = self.run(in_flight)?;
            seconds.push(begun.elapsed().as_secs_f64());
        }
        Ok((median(seconds), hits))
    }

    /// The first batch, and the short last one.
    fn warm_up(&mut self) -> Result<()> {
        let (images, len) = (self.data.images(), self.data.image_len());
        self.full.run(&images[..self.full.batch() * len])?;
        if let Some(rest) = &mut self.rest {
            rest.run(&images[..rest.batch() * len])?;
        }
        Ok(())
    }

    /// Classifies every image with up to `in_flight` batches on their way; gives how many were right.
    fn run(&mut self, in_flight: usize) -> Result<usize> {
        let batch = self.full.batch();
        let images = self.data.images().chunks(batch * self.data.image_len());
        let mut pending = VecDeque::new();
        let mut hits = 0;
        for (images, labels) in images.zip(self.data.labels().chunks(batch)) {
            let short = self.rest.as_mut().filter(|_| labels.len() < batch);
            pending.push_back((short.unwrap_or(&mut self.full).submit(images)?, labels));
            if pending.len() >= in_flight
                && let Some((outputs, labels)) = pending.pop_front()
            {
                hits += right(&outputs.wait()?, labels);
            }
        }
        for (outputs, labels) in pending {
            hits += right(&outputs.wait()?, labels);
        }
        Ok(hits)
    }
}

/// Rows whose largest output is the label's.
fn right(outputs: &[f32], labels: &[u32]) -> usize {
    let classes = outputs.len() / labels.len();
    outputs.chunks_exact(classes).zip(labels).filter(|(row, label)| largest(row) == **label as usize).count()
}

fn largest(row: &[f32]) -> usize {
    row.iter().enumerate().fold(0, |best, (at, value)| if *value > row[best] { at } else { best })
}

/// Seconds of single images, in rising order.
fn latencies(predictor: &mut Predictor, data: &Dataset) -> Result<Vec<f64>> {
    let (timed, others) = SINGLES;
    let mut seconds = Vec::new();
    for number in 0..timed + others {
        let begun = Instant::now();
        let outputs = predictor.run(data.image(number % data.len()))?;
        std::hint::black_box(largest(&outputs));
        seconds.push(begun.elapsed().as_secs_f64());
    }
    let mut seconds = seconds.split_off(others);
    seconds.sort_by(f64::total_cmp);
    Ok(seconds)
}

fn print(measured: &Measured) {
    let speed = |images_per_s: f64| format::count(images_per_s.round() as u64);
    let Measured { batch, images, latency_p50_ms, latency_p99_ms, accuracy, .. } = measured;
    let images = format::plural(*images, "image");
    say!("batch {batch}: {} images/s over {images} (median of the passes)", speed(measured.infer_images_per_s));
    if let Some(images_per_s) = measured.in_flight_images_per_s {
        say!("{} images/s with {IN_FLIGHT} batches on their way", speed(images_per_s));
    }
    say!("a single image: {latency_p50_ms} ms (99 of 100: at most {latency_p99_ms} ms)");
    say!("accuracy {accuracy:.4}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_largest_counts() {
        assert_eq!([largest(&[1.0, 3.0, 2.0]), largest(&[2.0, 2.0]), largest(&[f32::NAN])], [1, 0, 0]);
        assert_eq!(right(&[0.0, 1.0, 1.0, 0.0], &[1, 1]), 1);
    }
}
