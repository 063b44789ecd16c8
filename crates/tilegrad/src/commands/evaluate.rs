//! `tilegrad evaluate`: how good a trained network is.

use crate::classes::ClassArgs;
use crate::data;
use crate::device::{self, DeviceArgs};
use crate::engine::EngineArgs;
use crate::format;
use crate::output::{json, say};
use crate::progress::Waiting;
use crate::run_folder;
use crate::table::{Align, Table};
use anyhow::Result;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use tilegrad_model::data::{Dataset, Splits};
use tilegrad_model::{Checkpoint, Report, Trainer};

/// Options of `tilegrad evaluate`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tilegrad evaluate --model runs/mnist_cnn-1/best.safetensors --json")]
pub struct EvaluateArgs {
    /// Checkpoint of a training
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Folder of labelled data; its test part is taken, or all of it if there is none [default: what the model was
    /// trained on, if its run folder tells, else the MNIST that comes with the project]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    classes: ClassArgs,
    /// Leave out images that can't be read, and count them
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    engine: EngineArgs,
    /// One object of JSON instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Evaluated<'a> {
    model: String,
    data: &'a str,
    examples: usize,
    #[serde(flatten)]
    report: &'a Report,
}

/// Evaluates.
pub fn run(args: &EvaluateArgs) -> Result<()> {
    let mut checkpoint = Checkpoint::load(&args.model)?;
    args.engine.apply(&mut checkpoint.config);
    let folder = data_folder(args)?;
    let waiting = Waiting::begin("loading the data");
    let splits = data::load_for(&folder, &checkpoint, &args.classes.rule(), args.skip_bad)?;
    drop(waiting);
    let (examples, part) = tested(&splits);
    let device = args.device.open()?;
    if !args.json {
        say!("device: {}", device::line(&device));
        say!("model: {}, after {}", args.model.display(), format::plural(checkpoint.epoch as usize, "epoch"));
        say!("data: {}: {}, {part}", folder.display(), format::plural(examples.len(), "image"));
        data::say_notes(&splits);
        say!("");
    }
    let waiting = Waiting::begin("evaluating");
    let report = Trainer::resume(device, checkpoint)?.report(examples)?;
    drop(waiting);
    if args.json {
        let model = args.model.display().to_string();
        return json(&Evaluated { model, data: examples.name(), examples: examples.len(), report: &report });
    }
    print(&report);
    Ok(())
}

/// Where the labelled examples lie: as told, as the run beside the model tells, or the project's own.
fn data_folder(args: &EvaluateArgs) -> Result<PathBuf> {
    if let Some(folder) = &args.data {
        return Ok(folder.clone());
    }
    let beside = args.model.parent().unwrap_or(Path::new(".")).join("run.json");
    match run_folder::Settings::read(&beside) {
        Ok(settings) if settings.data.is_dir() => Ok(settings.data),
        Ok(settings) => {
            let gone = settings.data.display();
            anyhow::bail!("{gone}: the data that the model was trained on is no longer there; give it with --data DIR")
        }
        // The model lies somewhere else than in its run folder.
        Err(_) => data::mnist(),
    }
}

/// The part to evaluate on, and what it is.
fn tested(splits: &Splits) -> (&Dataset, &'static str) {
    match &splits.test {
        Some(test) => (test, "its test part"),
        None => (&splits.train, "all of it (it has no test part)"),
    }
}

fn print(report: &Report) {
    say!("loss {:.4}, accuracy {:.4}\n", report.loss, report.accuracy);
    say!("{}", per_class(report));
    say!("confusion matrix: a row per label, a column per prediction\n\n{}", confusion(report));
}

fn per_class(report: &Report) -> Table {
    let titles = [("class", Align::Left), ("precision", Align::Right), ("recall", Align::Right)];
    let mut table = Table::new(titles.into_iter().chain([("F1", Align::Right), ("support", Align::Right)]));
    let four = |value: f64| format!("{value:.4}");
    for class in &report.classes {
        let figures = [class.precision, class.recall, class.f1].map(four);
        let support = format::count(class.support);
        table.row([class.class.clone()].into_iter().chain(figures).chain([support]));
    }
    let figures = [report.macro_precision, report.macro_recall, report.macro_f1].map(four);
    let support = format::count(report.classes.iter().map(|class| class.support).sum());
    table.total(["macro average".to_owned()].into_iter().chain(figures).chain([support]));
    table
}

fn confusion(report: &Report) -> Table {
    let names = || report.classes.iter().map(|class| class.class.clone());
    let columns = names().map(|name| (name, Align::Right));
    let mut table = Table::new([(String::new(), Align::Left)].into_iter().chain(columns));
    for (name, row) in names().zip(&report.confusion) {
        table.row([name].into_iter().chain(row.iter().map(u64::to_string)));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_hold_every_figure() {
        let report = Report::new(&["a".into(), "long name".into()], &[0, 0, 1], &[0, 1, 1], 0.5);
        let classes = per_class(&report).to_string();
        let lines: Vec<Vec<&str>> = classes.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[2], ["a", "1.0000", "0.5000", "0.6667", "2"]);
        assert_eq!(lines.last().unwrap()[..3], ["macro", "average", "0.7500"]);
        let matrix = confusion(&report).to_string();
        assert!(matrix.ends_with("a          1          1\nlong name  0          1\n"), "{matrix}");
    }
}
