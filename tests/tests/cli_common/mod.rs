//! The release binary as a user runs it, and small data to run it on.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Rows and columns of the small images.
pub const SIDE: u32 = 8;

/// The binary beside the test programs.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test.ancestors().nth(2).expect("target/PROFILE/deps");
    let binary = folder.join(format!("tilegrad{}", std::env::consts::EXE_SUFFIX));
    assert!(binary.is_file(), "{} is missing; run `cargo xtask test`, which builds it first", binary.display());
    binary
}

/// `tilegrad ARGS` in `folder`.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.current_dir(folder).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a finished command said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    /// Standard error without the lines that only ask for patience on a slow machine.
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
        let err = text(&output.stderr)
            .lines()
            .filter(|line| !line.ends_with(" ..."))
            .map(|line| format!("{line}\n"))
            .collect();
        Self { code: output.status.code(), out: text(&output.stdout), err }
    }
}

/// Runs `tilegrad ARGS` in `folder`, whatever comes of it.
pub fn run(folder: &Path, args: &[&str]) -> Said {
    command(folder, args).output().expect("the binary starts").into()
}

/// As [`run`], and it must succeed without a complaint.
pub fn succeed(folder: &Path, args: &[&str]) -> Said {
    let said = run(folder, args);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "tilegrad {}\n{}", args.join(" "), said.out);
    said
}

/// As [`run`], and it must fail with one line that holds every one of `words`.
pub fn fail(folder: &Path, args: &[&str], words: &[&str]) -> Said {
    let said = run(folder, args);
    let shown = format!("tilegrad {}: exit {:?}, said\n{}", args.join(" "), said.code, said.err);
    assert!(matches!(said.code, Some(1 | 2)), "{shown}");
    assert_eq!(said.err.lines().count(), 1, "one line: {shown}");
    assert!(said.err.starts_with("error: ") && !said.err.contains("panicked"), "{shown}");
    for word in words {
        assert!(said.err.contains(word), "`{word}` is missing: {shown}");
    }
    said
}

/// A folder with small data in `data` and a small network in `small.toml`.
pub fn workplace() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write_data(&dir.path().join("data"), 200, 80);
    fs::write(dir.path().join("small.toml"), config(&format!("[{SIDE}, {SIDE}, 1]"), LAYERS)).expect("a file");
    dir
}

/// The layers of the small network.
pub const LAYERS: &str = "\
[[network.layers]]
type = \"conv2d\"
filters = 4
kernel = 3
activation = \"relu\"

[[network.layers]]
type = \"max_pool\"
size = 2

[[network.layers]]
type = \"flatten\"

[[network.layers]]
type = \"dense\"
units = 10
";

/// A configuration of a few quick epochs.
pub fn config(input: &str, layers: &str) -> String {
    format!(
        "[data]\nvalidation_split = 0.2\n\n[train]\nepochs = 4\nbatch = 16\nseed = 7\n\n[network]\ninput = {input}\n\n{layers}"
    )
}

/// Images whose class is the brightest place, as IDX files.
pub fn write_data(folder: &Path, train: u32, test: u32) {
    fs::create_dir_all(folder).expect("a folder");
    for (name, count) in [("train", train), ("t10k", test)] {
        fs::write(folder.join(format!("{name}-images-idx3-ubyte")), images(count)).expect("a file");
        fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), labels(count)).expect("a file");
    }
}

/// An IDX file of images.
pub fn images(count: u32) -> Vec<u8> {
    let mut bytes = header(0x0803, &[count, SIDE, SIDE]);
    for number in 0..count {
        bytes.extend((0..SIDE * SIDE).map(|at| pixel(number, at)));
    }
    bytes
}

/// An IDX file of labels 0 to 9.
pub fn labels(count: u32) -> Vec<u8> {
    let mut bytes = header(0x0801, &[count]);
    bytes.extend((0..count).map(|number| (number % 10) as u8));
    bytes
}

fn header(magic: u32, dims: &[u32]) -> Vec<u8> {
    [magic].iter().chain(dims).flat_map(|word| word.to_be_bytes()).collect()
}

/// A pixel of image `number`: bright in a row and a column that tell its class, and some noise.
fn pixel(number: u32, at: u32) -> u8 {
    let class = number % 10;
    let noise = (number.wrapping_mul(2_654_435_761).wrapping_add(at.wrapping_mul(40_503)) >> 7) % 60;
    let bright = at / SIDE == class % 5 + 1 || (class >= 5 && at % SIDE == 4);
    (noise + if bright { 190 } else { 0 }) as u8
}

/// The bytes of a file of a run.
pub fn bytes(run: &Path, name: &str) -> Vec<u8> {
    fs::read(run.join(name)).unwrap_or_else(|error| panic!("{}/{name}: {error}", run.display()))
}

/// Both checkpoints must be the same in both runs, byte for byte.
pub fn assert_same_run(a: &Path, b: &Path, what: &str) {
    for name in ["last.safetensors", "best.safetensors"] {
        assert!(bytes(a, name) == bytes(b, name), "{name} differs: {what}");
    }
}

/// The lines of metrics.jsonl.
pub fn metrics(run: &Path) -> Vec<serde_json::Value> {
    let text = String::from_utf8(bytes(run, "metrics.jsonl")).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// metrics.jsonl must have a line for each of `epochs` epochs, and the test figures of the best and of the last one.
pub fn assert_whole_metrics(run: &Path, epochs: u64) {
    let lines = metrics(run);
    let (of_epochs, tests) = lines.split_at(lines.len() - 2);
    let found: Vec<Option<u64>> = of_epochs.iter().map(|line| line["epoch"].as_u64()).collect();
    assert_eq!(found, (1..=epochs).map(Some).collect::<Vec<_>>());
    // The best of the validation: the largest accuracy, then the smallest loss, then the first.
    let figure = |line: &serde_json::Value, key: &str| line[key].as_f64().expect("a figure");
    let better = |a: &serde_json::Value, b: &serde_json::Value| {
        let by_loss = figure(a, "val_loss").total_cmp(&figure(b, "val_loss"));
        figure(b, "val_accuracy").total_cmp(&figure(a, "val_accuracy")).then(by_loss)
    };
    let best = of_epochs.iter().min_by(|a, b| better(a, b)).expect("an epoch")["epoch"].as_u64();
    for (line, (name, epoch)) in tests.iter().zip([("best", best), ("last", Some(epochs))]) {
        assert_eq!((line["checkpoint"].as_str(), line["epoch"].as_u64()), (Some(name), epoch));
        assert!(line["test_loss"].is_f64() && line["test_accuracy"].is_f64());
    }
}

/// Copies the files of a folder.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}
