//! `tilegrad tune`: finds the fastest variant of each kernel on an adapter, and keeps it for later runs.

mod object;

use crate::commands::train::reference;
use crate::device::{self, DeviceArgs};
use crate::engine::EngineArgs;
use crate::format::plural;
use crate::output::{say, tell, width};
use crate::progress::{Waiting, bar_over};
use crate::table::{Align, Table};
use anyhow::{Result, ensure};
use clap::{Args, value_parser};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tilegrad_model::{Config, DataSize, Mode, Program};
use tilegrad_runtime::{
    CACHE_VARIABLE, Candidate, Confirmed, Device, Graph, Outcome, Row, TuneOptions, Tuning, Verdict,
};

/// Find the fastest variant of each kernel on an adapter, and keep it for later runs
///
/// For each kernel and shape of the training step and of the evaluation, every variant that the adapter can run is checked
/// first: all of its output must be within the kernel's tolerance of the CPU's and have the very bits of the default's, so
/// that a tuning never changes what is trained. Integers that a kernel reads, such as the winners of a pool, are zeros in
/// these checks; `validate` has the others. Then it is timed, and taken if it saves more than 5 %. In the end the whole
/// step must be faster too, or the defaults stay. What was found is kept in TILEGRAD_CACHE_DIR (default: the user's cache
/// folder) for this adapter, driver, shape and WGSL; `--tune off` does without it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tilegrad tune\n  tilegrad tune --device software --config my.toml --batch 32 --budget 300"
)]
pub struct TuneArgs {
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    engine: EngineArgs,
    /// Configuration; without one, the reference network for MNIST
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Examples of one step [default: what the configuration says]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// After this time, kernels that are left keep their defaults; the last check of the whole step comes on top
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = value_parser!(u32).range(1..))]
    budget: u32,
    /// Measure again what was tuned before
    #[arg(long)]
    fresh: bool,
    /// One object of JSON instead of text
    #[arg(long)]
    json: bool,
}

/// The graphs that are tuned, in this order.
const STEPS: [(Mode, &str); 2] = [(Mode::Train, "training step"), (Mode::Evaluate, "evaluation step")];

/// Tunes.
pub fn run(args: &TuneArgs) -> Result<()> {
    ensure!(!args.device.checked, "--checked slows down every shader, so nothing it measures helps; leave it out");
    let mut config = args.config.as_deref().map_or_else(reference, |path| Ok(Config::load(path)?))?;
    args.engine.apply(&mut config);
    let batch = args.batch.unwrap_or(config.train.batch);
    let data = DataSize::whole(batch, batch);
    let record = |(mode, _)| Ok(Program::record(&config, mode, batch, data)?.graph);
    let graphs = STEPS.into_iter().map(record).collect::<Result<Vec<Graph>>>()?;
    let device = args.device.open()?;
    if !args.json {
        tell!("device: {}", device::line(&device));
    }
    let begun = Instant::now();
    match tune(args, &device, &graphs)? {
        found if args.json => object::print(&device, found.as_ref(), begun.elapsed())?,
        Some(tuning) => print(&tuning, begun.elapsed()),
        None => say!("nothing to tune: the CPU device has no variants; try --device gpu or --device software"),
    }
    Ok(())
}

fn tune(args: &TuneArgs, device: &Device, graphs: &[Graph]) -> Result<Option<Tuning>> {
    let options = TuneOptions { budget: Duration::from_secs(args.budget.into()), fresh: args.fresh };
    let bar = bar_over(0);
    let waiting = bar.is_hidden().then(|| Waiting::begin("tuning"));
    let tuning = device.tune(graphs, options, &mut |done, all, next| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        bar.set_message(next);
    });
    drop(waiting);
    bar.finish_and_clear();
    Ok(tuning?)
}

fn print(tuning: &Tuning, taken: Duration) {
    say!("\n{}", table(&tuning.rows).fit(width()));
    for line in tuning.rows.iter().flat_map(rejected) {
        say!("{line}");
    }
    let late = tuning.rows.iter().filter(|row| matches!(row.outcome, Outcome::OutOfTime)).count();
    if late > 0 {
        say!("out of time: {} with their defaults; give more with --budget", plural(late, "call"));
    }
    for ((_, name), confirmed) in STEPS.iter().zip(&tuning.steps) {
        say!("{name}: {}", verdict(*confirmed));
    }
    let with = plural(tuning.rows.len(), "call");
    say!("{with} had a choice, {} had none; {:.1} s", tuning.without_choice, taken.as_secs_f64());
    match &tuning.file {
        Some(file) => say!("kept in {}", file.display()),
        None => say!("not kept, because {CACHE_VARIABLE} is empty or this user has no cache folder"),
    }
}

fn verdict(confirmed: Option<Confirmed>) -> String {
    let Some(Confirmed { times, kept }) = confirmed else { return "nothing new to change".into() };
    let Some(times) = times else { return "could not be measured, so the defaults stay".into() };
    let times = format!("{} ms with the defaults, {} ms with the chosen", ms(times.default_s), ms(times.tuned_s));
    if kept { format!("{times}: kept") } else { format!("{times}: no faster, so the defaults stay") }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        ("kernel", Align::Left),
        ("default", Align::Left),
        ("chosen", Align::Left),
        ("default ms", Align::Right),
        ("chosen ms", Align::Right),
        ("gain", Align::Right),
        ("compared", Align::Right),
        ("shape", Align::Left),
    ]);
    for row in rows {
        let chosen = if same(row.default, row.chosen) { "the default".into() } else { name(row.chosen) };
        let (default_ms, chosen_ms, gain) = match row.seconds() {
            Some((default, chosen)) => (ms(default), ms(chosen), format!("{:.0} %", 100.0 * (1.0 - chosen / default))),
            None => Default::default(),
        };
        let how = match &row.outcome {
            Outcome::Measured(all) => all.len().to_string(),
            Outcome::Known(..) => "known".into(),
            Outcome::OutOfTime => "no time left".into(),
        };
        let shape = shape(row);
        table.row([row.kernel.name.into(), name(row.default), chosen, default_ms, chosen_ms, gain, how, shape]);
    }
    table
}

/// A line for each variant that may not be taken, whatever its speed.
fn rejected(row: &Row) -> Vec<String> {
    let Outcome::Measured(all) = &row.outcome else { return Vec::new() };
    let refused = all.iter().filter_map(|(candidate, verdict)| match verdict {
        Verdict::Rejected(reason) => Some(format!("rejected: {} for {}: {reason}", name(*candidate), shape(row))),
        Verdict::Seconds(_) | Verdict::Hopeless(_) => None,
    });
    refused.collect()
}

fn same(a: Candidate, b: Candidate) -> bool {
    a.0 == b.0 && a.1.name == b.1.name
}

fn name((kernel, variant): Candidate) -> String {
    format!("{} {}", kernel.name, variant.name)
}

/// The params by name, and what is stored in 16 bits.
fn shape(row: &Row) -> String {
    let fields = row.kernel.params.iter().zip(&row.params);
    let halves = row.halves.names(row.kernel).map(|name| format!("{name}:f16"));
    let all = fields.map(|(field, word)| format!("{}={}", field.name, field.value(*word))).chain(halves);
    all.collect::<Vec<_>>().join(" ")
}

fn ms(seconds: f64) -> String {
    format!("{:.3}", seconds * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilegrad_kernels::{Halves, relu};
    use tilegrad_runtime::{GAIN, StepTimes};

    #[test]
    fn a_row_says_what_was_found() {
        let default = (&relu::KERNEL as &'static _, &relu::KERNEL.variants[0]);
        let row = |outcome| Row {
            kernel: default.0,
            params: vec![7],
            halves: Halves::all(&relu::KERNEL),
            default,
            chosen: default,
            outcome,
        };
        let text = table(&[row(Outcome::Known(2e-3, 1e-3)), row(Outcome::OutOfTime)]).to_string();
        for part in ["relu line64", "the default", "2.000", " 0 %", "known", "no time left", "count=7 x:f16 y:f16"] {
            assert!(text.contains(part), "`{part}`: {text}");
        }
        let lines = rejected(&row(Outcome::Measured(vec![(default, Verdict::Rejected("other bits".into()))])));
        assert_eq!(lines, ["rejected: relu line64 for count=7 x:f16 y:f16: other bits"]);
    }

    #[test]
    fn a_step_that_is_no_faster_says_so() {
        let times = Some(StepTimes { default_s: 1e-3, tuned_s: 2e-3 });
        assert!(verdict(Some(Confirmed { times, kept: false })).ends_with("the defaults stay"));
        assert!(verdict(Some(Confirmed { times: None, kept: false })).contains("could not be measured"));
        assert!(verdict(None).contains("nothing new"));
        assert_eq!(GAIN, 0.05, "the help says 5 %");
    }
}
