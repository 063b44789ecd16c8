//! How the program speaks: how much, how wide, in which colours, to which program, and what it does when asked to stop.

mod cli_common;

use cli_common::*;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

const TRAIN: [&str; 7] = ["train", "--config", "small.toml", "--data", "data", "--device", "cpu"];

/// What `args` say on a terminal of so many columns.
fn in_columns(folder: &Path, columns: &str, args: &[&str]) -> String {
    let output = command(folder, args).env("COLUMNS", columns).output().expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn epochs_and_graphs_fit_80_columns() {
    let dir = workplace();
    let args = [&TRAIN[..], &["--out", "run"]].concat();
    let said = in_columns(dir.path(), "80", &args);
    let epochs: Vec<&str> = said.lines().filter(|line| line.starts_with("epoch")).collect();
    assert_eq!(epochs.len(), 4, "{said}");
    assert!(epochs.iter().all(|line| line.chars().count() <= 80), "{said}");
    let graph = in_columns(dir.path(), "80", &["graph"]);
    assert!(graph.lines().all(|line| line.chars().count() <= 80), "{graph}");
    let calls = |text: &str| text.lines().filter(|line| line.trim_start().starts_with(char::is_numeric)).count();
    // Narrow or wide, every call has its line.
    assert_eq!(calls(&graph), calls(&succeed(dir.path(), &["graph"]).out));
}

#[test]
fn a_device_is_named_in_a_short_line_and_explained_when_asked() {
    let dir = workplace();
    let line = |more: &[&str]| {
        let said = succeed(dir.path(), &[&TRAIN[..5], &["--epochs", "1"], more].concat()).out;
        said.lines().next().expect("a line").to_owned()
    };
    let (short, long) = (line(&["--out", "a"]), line(&["-v", "--out", "b"]));
    assert!(short.starts_with("device: ") && short.chars().count() <= 80, "{short}");
    assert!(long.starts_with("device: ") && long.len() >= short.len(), "{long}");
}

#[test]
fn a_quiet_training_says_only_what_came_of_it() {
    let dir = workplace();
    let said = succeed(dir.path(), &[&TRAIN[..], &["-q", "--out", "run"]].concat()).out;
    let starts = ["best (epoch", "last (epoch", "tested on", "saved in"];
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    assert!(
        lines.len() == starts.len() && lines.iter().zip(starts).all(|(line, start)| line.starts_with(start)),
        "{said}"
    );
    let step = ["bench", "step", "--device", "cpu", "--batch", "8", "--steps", "2"];
    let loud = succeed(dir.path(), &step).out;
    let quiet = succeed(dir.path(), &[&step[..], &["-q"]].concat()).out;
    assert!(loud.starts_with("device: ") && !quiet.contains("device: "), "{quiet}");
    assert_eq!(quiet.lines().count() + 1, loud.lines().count());
}

#[test]
fn colour_is_for_terminals_unless_told_otherwise() {
    let dir = workplace();
    let complaint = |args: &[&str], no_color: bool| {
        let mut command = command(dir.path(), args);
        command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
        if no_color {
            command.env("NO_COLOR", "1");
        }
        String::from_utf8(command.output().expect("the binary starts").stderr).expect("UTF-8")
    };
    let wrong = ["evaluate", "--model", "nothing", "--device", "cpu"];
    assert!(complaint(&wrong, false).starts_with("error: "));
    assert!(complaint(&wrong, true).starts_with("error: "));
    let always = [&wrong[..], &["--color", "always"]].concat();
    assert!(complaint(&always, false).starts_with("\u{1b}["), "{}", complaint(&always, false));
    assert!(complaint(&[&wrong[..], &["--color", "never"]].concat(), false).starts_with("error: "));
}

#[test]
fn shells_and_man_find_every_command() {
    let dir = workplace();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = succeed(dir.path(), &["completions", shell]).out;
        for command in ["train", "evaluate", "predict", "validate", "completions"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    fs::write(dir.path().join("c.sh"), succeed(dir.path(), &["completions", "bash"]).out).expect("a file");
    // bash's own parser reads it.
    assert!(Command::new("bash").arg("-n").arg(dir.path().join("c.sh")).status().expect("bash").success());
    succeed(dir.path(), &["man", "pages"]);
    for page in ["tilegrad.1", "tilegrad-train.1", "tilegrad-bench-step.1"] {
        let text = fs::read_to_string(dir.path().join("pages").join(page)).expect(page);
        assert!(text.contains(".TH"), "{page}");
    }
}

#[test]
fn programs_get_json() {
    let dir = workplace();
    let json = |args: &[&str]| -> Value {
        let said = succeed(dir.path(), args).out;
        assert_eq!(said.lines().count(), 1, "{said}");
        serde_json::from_str(&said).expect("one JSON object")
    };
    let graph = json(&["graph", "--json"]);
    let lines = succeed(dir.path(), &["graph"]).out;
    let last = graph["calls"].as_array().expect("calls").len();
    assert!(last > 10 && lines.contains(&format!("\n{last:>4}  ")), "{last} calls\n{lines}");
    let kernel = json(&["kernel", "conv2d", "--json"]);
    assert_eq!(kernel["kernel"], "conv2d");
    let compared = command(dir.path(), &["compare", "--batch", "8", "--json"]).output().expect("the binary starts");
    let compared: Value = serde_json::from_slice(&compared.stdout).expect("one JSON object");
    assert_eq!(compared["agrees"], true);
}

#[test]
fn without_a_gpu_a_step_is_compared_on_the_software_adapter() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let output = command(dir.path(), &["compare", "--batch", "8"]).output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("every call of the step agrees"), "{said}");
}

/// What `kill` and a batch queue's time limit send.
#[cfg(unix)]
#[test]
fn sigterm_stops_a_training_that_can_be_resumed() {
    let dir = workplace();
    let args = [&TRAIN[..], &["--epochs", "100000", "--out", "run"]].concat();
    let mut child = command(dir.path(), &args).spawn().expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let epoch = lines.by_ref().map(|line| line.expect("text")).find(|line| line.starts_with("epoch"));
    assert!(epoch.is_some());
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    // To the end, so that the program never waits for its reader.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(child.wait().expect("it ends").code(), Some(143), "{rest:?}");
    let done = metrics(&dir.path().join("run")).len();
    let epochs = (done + 1).to_string();
    succeed(dir.path(), &["train", "--resume", "--out", "run", "--epochs", &epochs]);
    assert!(metrics(&dir.path().join("run")).len() > done);
}
