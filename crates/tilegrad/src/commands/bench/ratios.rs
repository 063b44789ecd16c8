//! `tilegrad bench ratios`: two ways to do the same work, measured in turn. Times differ from machine to machine and from hour
//! to hour; their ratio within one run does not, so these can be checked anywhere.

use super::{median, rounded};
use crate::commands::train::reference;
use crate::device::{self, DeviceArgs, Tune};
use crate::output::{json, say, tell};
use crate::progress::Waiting;
use crate::table::{Align, Table};
use anyhow::{Result, bail, ensure};
use clap::Args;
use serde::Serialize;
use std::time::Instant;
use tilegrad_kernels::{Call, hash};
use tilegrad_model::data::Dataset;
use tilegrad_model::{Config, Lowering, Stepper, Trainer};
use tilegrad_runtime::{Device, DeviceKind};

/// Compare two ways to do the same work, in turn in one run, so that the speed of the machine cancels out.
///
/// The steps are those of the reference network with batch 64 over random images. On the CPU device, convolution and step are
/// compared with the `gemm` crate's matrix product too; on an adapter, what `tune` found with the defaults. A ratio is the
/// median over the rounds; each round times both sides, one directly after the other.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tilegrad bench ratios --device cpu --check")]
pub struct RatiosArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Fail if a ratio is larger than it may be
    #[arg(long)]
    check: bool,
    /// One line of JSON instead of a table
    #[arg(long)]
    json: bool,
}

const BATCH: u32 = 64;
/// Rounds of a comparison.
const ROUNDS: usize = 15;
/// Shorter samples measure the clock.
const SAMPLE: f64 = 20e-3;
/// Most repetitions in one sample.
const MOST: u32 = 256;

/// How the time of one thing compares with that of another.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Ratio {
    what: &'static str,
    against: &'static str,
    /// Milliseconds of both, for the work that `ratio` compares.
    ms: f64,
    against_ms: f64,
    ratio: f64,
    /// What the ratio may be at most.
    most: f64,
    held: bool,
}

/// What is compared, and the largest ratio of the times that is right.
#[derive(Clone, Copy)]
struct Claim {
    what: &'static str,
    against: &'static str,
    most: f64,
}

#[derive(Serialize)]
struct Report {
    device: String,
    batch: u32,
    ratios: Vec<Ratio>,
    held: bool,
    /// What there was nothing to compare for, and why.
    not_covered: Option<&'static str>,
}

/// What is said where a tuned step is an untuned one.
const NOTHING_TUNED: &str =
    "a tuned step, because no call of it has another variant than the default; see `tilegrad tune`";

/// Measures.
pub fn run(args: &RatiosArgs) -> Result<()> {
    let device = args.device.open()?;
    let waiting = Waiting::begin("measuring");
    let (mut ratios, mut not_covered) = (steps(&device)?, None);
    match device.info().kind {
        DeviceKind::Cpu => ratios.extend(products(&device)?),
        DeviceKind::Hardware | DeviceKind::Software => match tuned(&device, &args.device)? {
            Some(ratio) => ratios.push(ratio),
            None => not_covered = Some(NOTHING_TUNED),
        },
    }
    drop(waiting);
    let held = ratios.iter().all(|ratio| ratio.held);
    let broken: Vec<String> = ratios.iter().filter(|ratio| !ratio.held).map(Ratio::complaint).collect();
    if args.json {
        json(&Report { device: device.info().name.clone(), batch: BATCH, ratios, held, not_covered })?;
    } else {
        tell!("device: {}\n", device::line(&device));
        say!("{}", table(&ratios));
        not_covered.into_iter().for_each(|what| say!("not covered: {what}"));
    }
    if args.check && !held {
        bail!("{}", broken.join("; "));
    }
    Ok(())
}

/// Steps of one configuration against steps of another.
///
/// A comparison of two settings of the engine is a line here: what it changes in the configuration of either side.
fn steps(device: &Device) -> Result<Vec<Ratio>> {
    let twice = Claim { what: "a step of batch 64", against: "two steps of batch 32", most: 1.4 };
    let fused = Claim { what: "a fused step", against: "one with --no-fuse", most: 1.0 };
    let implicit = Claim { what: "a step", against: "one with --lowering im2col", most: 0.8 };
    Ok(vec![
        compare_steps(device, twice, (&|_| {}, 1), (&|config| config.train.batch = BATCH / 2, 2))?,
        compare_steps(device, fused, (&|_| {}, 1), (&|config| config.engine.fuse = false, 1))?,
        compare_steps(device, implicit, (&|_| {}, 1), (&|config| config.engine.lowering = Lowering::Im2col, 1))?,
    ])
}

/// Steps with what `tune` found against steps without, if it found anything else than the defaults.
fn tuned(device: &Device, args: &DeviceArgs) -> Result<Option<Ratio>> {
    let claim = Claim { what: "a step as tuned", against: "one with --tune off", most: 1.1 };
    let plain = DeviceArgs { tune: Tune::Off, ..args.clone() }.open()?;
    let (mut with, mut without) = (trainer(device, &|_| {})?, trainer(&plain, &|_| {})?);
    let data = random_images(&reference()?)?;
    let graph = with.stepper(&data)?.graph().clone();
    let name = |device: &Device, call: &Call| -> Result<_> {
        Ok(device.chosen(call)?.map(|(kernel, variant)| (kernel.name, variant.name)))
    };
    for node in graph.nodes() {
        if name(device, &node.call)? != name(&plain, &node.call)? {
            return Ok(Some(compare_trainers(claim, (&mut with, 1), (&mut without, 1))?));
        }
    }
    Ok(None)
}

/// A change to the reference configuration, and how many of its steps make up the work.
type Side<'a> = (&'a dyn Fn(&mut Config), u32);

fn compare_steps(device: &Device, claim: Claim, a: Side<'_>, b: Side<'_>) -> Result<Ratio> {
    compare_trainers(claim, (&mut trainer(device, a.0)?, a.1), (&mut trainer(device, b.0)?, b.1))
}

/// Steps of either side, as many as make up the work.
fn compare_trainers(claim: Claim, a: (&mut Trainer, u32), b: (&mut Trainer, u32)) -> Result<Ratio> {
    let data = random_images(&reference()?)?;
    let (mut first, mut second) = (a.0.stepper(&data)?, b.0.stepper(&data)?);
    let run = |stepper: &mut Stepper<'_>, steps: u32| -> Result<()> {
        stepper.run(steps)?;
        Ok(stepper.wait()?)
    };
    compare(claim, &mut |times| run(&mut first, a.1 * times), &mut |times| run(&mut second, b.1 * times))
}

fn trainer(device: &Device, change: &dyn Fn(&mut Config)) -> Result<Trainer> {
    let mut config = reference()?;
    config.data.validation_split = 0.0;
    config.train.batch = BATCH;
    change(&mut config);
    Ok(Trainer::new(device.clone(), config)?)
}

fn random_images(config: &Config) -> Result<Dataset> {
    let (shape, examples) = (config.network.input(), 8 * BATCH);
    let bytes = examples * shape.height * shape.width * shape.channels;
    let images = (0..bytes).map(|i| hash::bits(1, 0, i) as u8).collect();
    let labels = (0..examples).map(|i| hash::bits(2, 0, i) % config.network.outputs()).collect();
    let classes = (0..config.network.outputs()).map(|class| class.to_string()).collect();
    Ok(Dataset::new("random images", shape, images, labels, classes)?)
}

/// What the CPU device runs against plain matrix products of the `gemm` crate.
fn products(device: &Device) -> Result<Vec<Ratio>> {
    let data = random_images(&reference()?)?;
    let mut trainer = trainer(device, &|_| {})?;
    let mut stepper = trainer.stepper(&data)?;
    let calls = |part: &str| -> Vec<usize> {
        let nodes = stepper.graph().nodes().iter().enumerate();
        nodes.filter(|(_, node)| node.scope.starts_with(part)).map(|(call, _)| call).collect()
    };
    let (forward, dense) = (calls("conv2 forward"), calls("dense1 forward"));
    ensure!(!forward.is_empty() && !dense.is_empty(), "the reference network has no conv2 or no dense1");
    let flops: u64 = stepper.graph().nodes().iter().map(|node| node.call.cost().flops).sum();
    // conv2: 11 x 11 positions of each image, 3 x 3 x 32 inputs, 64 filters. dense1: 576 inputs, 64 units.
    let mut conv2 = Product::new(BATCH as usize * 121, 64, 288);
    let mut dense1 = Product::new(BATCH as usize, 64, 576);
    let mut cube = Product::new(512, 512, 512);
    // The same arithmetic as a step's, in products of 512 x 512 x 512.
    let cubes = flops as f64 / cube.flops();
    let mut run_calls = |calls: &[usize], times: u32| -> Result<()> {
        (0..times).try_for_each(|_| calls.iter().try_for_each(|&call| Ok(stepper.run_call(call, 1)?)))
    };
    let convolution = Claim { what: "conv2 forward, all of it", against: "its product in gemm", most: 1.5 };
    let layer = Claim { what: "dense1 forward, all of it", against: "its product in gemm", most: 2.0 };
    let mut ratios = vec![
        compare(convolution, &mut |times| run_calls(&forward, times), &mut |times| conv2.run(times))?,
        compare(layer, &mut |times| run_calls(&dense, times), &mut |times| dense1.run(times))?,
    ];
    stepper.restart();
    let step = Claim { what: "a step of batch 64", against: "as many flops in gemm, 512 x 512 x 512", most: 2.0 };
    ratios.push(compare_scaled(step, &mut |times| Ok(stepper.run(times)?), &mut |times| cube.run(times), cubes)?);
    Ok(ratios)
}

/// Runs something so many times.
type Run<'a> = &'a mut dyn FnMut(u32) -> Result<()>;

fn compare(claim: Claim, a: Run<'_>, b: Run<'_>) -> Result<Ratio> {
    compare_scaled(claim, a, b, 1.0)
}

/// Compares one `a` with `scale` of `b`. A ratio that is too large is measured once more, since another program may have been
/// at work.
fn compare_scaled(claim: Claim, a: Run<'_>, b: Run<'_>, scale: f64) -> Result<Ratio> {
    let repetitions = [calibrate(a)?, calibrate(b)?];
    let mut measure = || -> Result<Ratio> {
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            // Each goes first every other time.
            let (one, other);
            if round % 2 == 0 {
                one = sample(a, repetitions[0])?;
                other = scale * sample(b, repetitions[1])?;
            } else {
                other = scale * sample(b, repetitions[1])?;
                one = sample(a, repetitions[0])?;
            }
            rounds.push((one, other));
        }
        Ok(Ratio::new(claim, &rounds))
    };
    let first = measure()?;
    if first.held {
        return Ok(first);
    }
    let second = measure()?;
    Ok(if second.ratio < first.ratio { second } else { first })
}

/// Repetitions that take [`SAMPLE`].
fn calibrate(run: Run<'_>) -> Result<u32> {
    sample(run, 1)?;
    let mut times = 1;
    while sample(run, times)? * f64::from(times) < SAMPLE && times < MOST {
        times *= 2;
    }
    Ok(times)
}

/// Seconds of one repetition.
fn sample(run: Run<'_>, times: u32) -> Result<f64> {
    let begun = Instant::now();
    run(times)?;
    Ok(begun.elapsed().as_secs_f64() / f64::from(times))
}

impl Ratio {
    fn new(claim: Claim, rounds: &[(f64, f64)]) -> Self {
        let of = |part: fn(&(f64, f64)) -> f64| rounded(median(rounds.iter().map(part).collect()));
        let ratio = of(|(one, other)| one / other);
        Self {
            what: claim.what,
            against: claim.against,
            ms: of(|(one, _)| one * 1e3),
            against_ms: of(|(_, other)| other * 1e3),
            ratio,
            most: claim.most,
            held: ratio <= claim.most,
        }
    }

    fn complaint(&self) -> String {
        let Self { what, against, ratio, most, .. } = self;
        format!("{what} takes {ratio} times as long as {against}, at most {most} times is right")
    }
}

fn table(ratios: &[Ratio]) -> Table {
    let left = ["time of", "against"].map(|title| (title, Align::Left));
    let right = ["ms", "ms", "ratio", "at most", ""].map(|title| (title, Align::Right));
    let mut table = Table::new(left.into_iter().chain(right));
    for ratio in ratios {
        let numbers = [ratio.ms, ratio.against_ms, ratio.ratio, ratio.most].map(|number| number.to_string());
        let held = if ratio.held { "held" } else { "VIOLATED" };
        table.row([ratio.what.into(), ratio.against.into()].into_iter().chain(numbers).chain([held.to_owned()]));
    }
    table
}

/// A product of two matrices by the `gemm` crate, rows first, on all threads.
struct Product {
    dims: [usize; 3],
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
}

impl Product {
    fn new(m: usize, n: usize, k: usize) -> Self {
        let filled = |len: usize| (0..len as u32).map(|i| (i % 97) as f32 / 97.0 - 0.5).collect();
        Self { dims: [m, n, k], a: filled(m * k), b: filled(k * n), c: vec![0.0; m * n] }
    }

    fn flops(&self) -> f64 {
        2.0 * self.dims.iter().map(|&dim| dim as f64).product::<f64>()
    }

    fn run(&mut self, times: u32) -> Result<()> {
        let [m, n, k] = self.dims;
        let (rows_n, rows_k) = (n as isize, k as isize);
        for _ in 0..times {
            // SAFETY: `new` made a, b and c of m*k, k*n and m*n elements, which is what these dimensions and strides
            // reach; c is borrowed mutably, so it overlaps neither factor.
            unsafe {
                gemm::gemm(
                    m,
                    n,
                    k,
                    self.c.as_mut_ptr(),
                    1,
                    rows_n,
                    false,
                    self.a.as_ptr(),
                    1,
                    rows_k,
                    self.b.as_ptr(),
                    1,
                    rows_n,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::Rayon(0),
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIM: Claim = Claim { what: "a", against: "b", most: 1.1 };

    #[test]
    fn a_ratio_is_the_median_of_the_rounds() {
        let ratio = Ratio::new(CLAIM, &[(2.0, 1.0), (1.0, 1.0), (9.0, 9.0)]);
        assert_eq!((ratio.ratio, ratio.ms, ratio.held), (1.0, 2000.0, true));
        let broken = Ratio::new(CLAIM, &[(3.0, 2.0)]);
        assert!(!broken.held && broken.complaint() == "a takes 1.5 times as long as b, at most 1.1 times is right");
        assert!(table(&[ratio, broken]).to_string().contains("VIOLATED"));
    }

    #[test]
    fn the_product_is_one() {
        let mut product = Product::new(1, 2, 3);
        (product.a, product.b) = (vec![1.0, 2.0, 3.0], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        product.run(2).unwrap();
        assert_eq!((product.c, Product::new(1, 2, 3).flops()), (vec![22.0, 28.0], 12.0));
    }
}
