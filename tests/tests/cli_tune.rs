//! The tuner: it takes what is faster and has the same bits, nothing else, and a training does not depend on it.

#![allow(clippy::print_stdout, reason = "what was chosen is part of the result")]

mod cli_common;

use cli_common::*;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tilegrad_kernels::{Kernel, Slice, Tolerance, Variant, relu};
use tilegrad_runtime::{
    Device, DeviceChoice, DeviceOptions, Graph, Memory, Outcome, Purpose, TuneOptions, UseTuning, Verdict, candidates,
};
use tilegrad_tests::devices;

/// The rectifier with needless rounds, and, by its mode, with other bits (1) or another result (2).
static SLOW: Kernel = relu::KERNEL
    .variation(
        "relu_slow",
        "const ROUNDS: u32 = 1u;
const MODE: u32 = 0u;
override count: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * (groups.x * 64u) + id.x;
    if i >= count {
        return;
    }
    var worst = 0.0;
    for (var round = 0u; round < ROUNDS; round += 1u) {
        worst = max(worst, x[(i + round * 61u) % count]);
    }
    var value = max(x[i], 0.0);
    if MODE == 1u {
        value *= 1.0000002;
    }
    if MODE == 2u {
        value += 1.0;
    }
    y[i] = select(value, 0.5, worst > 2.0);
}
",
    )
    .with_variants(&[
        variant("slow", &[("ROUNDS", 2000), ("MODE", 0)]),
        variant("fast", &[("ROUNDS", 1), ("MODE", 0)]),
        variant("other bits", &[("ROUNDS", 1), ("MODE", 1)]),
        variant("wrong", &[("ROUNDS", 1), ("MODE", 2)]),
        Variant { subgroup: Some(3), ..variant("of 3", &[("ROUNDS", 1), ("MODE", 0)]) },
    ])
    .with_tolerance(Tolerance::ROUNDED);

const fn variant(name: &'static str, constants: &'static [(&'static str, u32)]) -> Variant {
    Variant { name, constants, ..Variant::LINE[0] }
}

const COUNT: usize = 20_000;

fn graph() -> (Graph, Vec<Slice>) {
    let mut graph = Graph::new();
    let mut slice = |name| graph.external(name, COUNT, tilegrad_kernels::Element::F32, Purpose::Scratch);
    let buffers = vec![slice("x"), slice("y")];
    let io = relu::Io { x: buffers[0].clone(), y: buffers[1].clone() };
    let call = relu::call(io, COUNT as u32).and_then(|call| call.with_kernel(&SLOW)).unwrap();
    graph.push("layer", call);
    (graph, buffers)
}

fn open(tuning: UseTuning) -> Device {
    let name = std::env::var("TILEGRAD_TEST_DEVICE").unwrap_or_else(|_| "software".into());
    let Ok(choice) = name.parse::<DeviceChoice>();
    Device::open(&choice, DeviceOptions { tuning, ..DeviceOptions::default() }).expect("tests need an adapter")
}

/// The folder is chosen per process, so this test runs itself again with one of its own.
#[test]
fn the_fastest_with_the_same_bits_is_taken_from_then_on() {
    let name = "the_fastest_with_the_same_bits_is_taken_from_then_on";
    if std::env::var_os("TILEGRAD_TUNE_CHILD").is_some() {
        return tune_in_this_process();
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("TILEGRAD_TUNE_CHILD", "1")
        .env("TILEGRAD_CACHE_DIR", folder.path())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|part| String::from_utf8_lossy(&part).into_owned()).concat();
    assert!(output.status.success() && text.contains("relu_slow fast"), "{text}");
}

fn tune_in_this_process() {
    let (graph, buffers) = graph();
    let call = graph.nodes()[0].call.clone();
    let chosen = |device: &Device| device.chosen(&call).unwrap().unwrap().1.name;
    assert_eq!(chosen(&open(UseTuning::Auto)), "slow", "nothing was tuned yet");
    let options = TuneOptions { budget: Duration::from_secs(60), fresh: false };
    let graphs = [graph.clone()];
    let tune = || open(UseTuning::Off).tune(&graphs, options, &mut |_, _, _| ()).unwrap().unwrap();
    let tuning = tune();
    let [row] = tuning.rows.as_slice() else { panic!("{:?}", tuning.rows) };
    let Outcome::Measured(all) = &row.outcome else { panic!("{row:?}") };
    let names: Vec<&str> = all.iter().map(|((_, variant), _)| variant.name).collect();
    assert_eq!(names, ["slow", "fast", "other bits", "wrong"], "never one for other subgroups");
    let reason = |at: usize| match &all[at].1 {
        Verdict::Rejected(reason) => reason.clone(),
        other => panic!("{other:?}"),
    };
    assert!(reason(2).contains("other bits than the default's"), "{}", reason(2));
    assert!(reason(3).starts_with("differs from the CPU: `y`["), "{}", reason(3));
    let (default, best) = row.seconds().unwrap();
    assert!(best < default * 0.95, "{best} {default}");
    assert!(tuning.steps[0].is_some_and(|step| step.kept), "{:?}", tuning.steps);
    assert!(matches!(tune().rows[0].outcome, Outcome::Known(..)), "known from the file");
    println!("{} {}: {best:e} s instead of {default:e} s", row.chosen.0.name, row.chosen.1.name);

    let bits = |tuning: UseTuning, wanted: &str| {
        let device = open(tuning);
        assert_eq!(chosen(&device), wanted);
        result(&device, &graph, &buffers)
    };
    assert_eq!(bits(UseTuning::Auto, "fast"), bits(UseTuning::Off, "slow"));
}

fn result(device: &Device, graph: &Graph, buffers: &[Slice]) -> Vec<u32> {
    let x: Vec<u32> = (0..COUNT).map(|at| (at as f32 / COUNT as f32 - 0.5).to_bits()).collect();
    let memories: Vec<Memory> = vec![device.upload("x", &x).unwrap(), device.alloc("y", COUNT).unwrap()];
    let external: Vec<_> = buffers.iter().zip(&memories).collect();
    device.prepare(graph, &external).unwrap().run(1).unwrap();
    device.read(&memories[1]).unwrap()
}

const TRAIN: [&str; 9] = ["train", "--config", "small.toml", "--data", "data", "--device", "software", "--epochs", "1"];

/// `tilegrad ARGS` with a cache of its own.
fn cached(dir: &Path, args: &[&str]) -> Said {
    let output = command(dir, args).env("TILEGRAD_CACHE_DIR", dir.join("cache")).output();
    output.expect("the binary starts").into()
}

fn trained(dir: &Path, out: &str, more: &[&str]) -> (Said, Vec<u8>) {
    let said = cached(dir, &TRAIN.iter().chain(&["--out", out]).chain(more).copied().collect::<Vec<_>>());
    assert_eq!(said.code, Some(0), "{said:?}");
    (said, fs::read(dir.join(out).join("last.safetensors")).expect("a checkpoint"))
}

fn tuned_file(dir: &Path) -> PathBuf {
    let mut files = fs::read_dir(dir.join("cache/tune")).expect("a folder").map(|file| file.expect("a file").path());
    let file = files.next().expect("a file for the adapter");
    assert!(files.next().is_none(), "one file for one adapter, and nothing unfinished");
    file
}

#[test]
fn a_tuning_never_changes_what_is_trained() {
    let dir = workplace();
    let (_, plain) = trained(dir.path(), "plain", &["--tune", "off"]);
    let tune = ["tune", "--device", "software", "--config", "small.toml", "--budget", "30"];
    let said = cached(dir.path(), &tune);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    for part in ["kernel", "default ms", "training step: ", "evaluation step: ", "kept in "] {
        assert!(said.out.contains(part), "`{part}` is missing: {}", said.out);
    }
    assert!(cached(dir.path(), &tune).out.contains("known"), "{}", said.out);
    let (said, tuned) = trained(dir.path(), "tuned", &[]);
    assert!(said.err.is_empty() && tuned == plain, "{}", said.err);
    assert!(cached(dir.path(), &["doctor"]).out.contains("tuning    "));

    // Whatever a tuning may say.
    let file = tuned_file(dir.path());
    let forced = force_others(&file);
    assert!(forced > 0, "no call has a choice");
    println!("{forced} calls with another variant than the default");
    let (said, other) = trained(dir.path(), "forced", &[]);
    assert!(said.err.is_empty() && other == plain, "{}", said.err);

    // A damaged file costs a warning.
    fs::write(&file, "{\"format\": 1, \"adap").expect("a file");
    let (said, after) = trained(dir.path(), "damaged", &[]);
    assert!(said.err.contains("is ignored, the defaults are taken") && said.err.lines().count() == 1, "{}", said.err);
    assert!(after == plain);
    let (said, _) = trained(dir.path(), "off", &["--tune", "off"]);
    assert!(said.err.is_empty(), "{}", said.err);
}

/// Writes another variant than the default into every entry that has one; returns how many had.
fn force_others(file: &Path) -> usize {
    let mut tuned: Value = serde_json::from_str(&fs::read_to_string(file).expect("text")).expect("JSON");
    let device = devices::adapter().expect("an adapter");
    let mut forced = 0;
    for entry in tuned["entries"].as_array_mut().expect("a list") {
        let kernel = tilegrad_kernels::find(entry["kernel"].as_str().expect("a name")).expect("a kernel");
        let params: Vec<u32> = serde_json::from_value(entry["params"].clone()).expect("words");
        let default = (entry["default"]["kernel"].clone(), entry["default"]["variant"].clone());
        let other = candidates(kernel).filter(|(kernel, variant)| {
            let able = (variant.fits)(&params) && device.refuses(variant).is_none();
            able && (json!(kernel.name), json!(variant.name)) != default
        });
        let Some((kernel, variant)) = other.last() else { continue };
        let source = format!("{:016x}", fnv(kernel.source(variant, tilegrad_kernels::Halves::NONE).as_bytes()));
        entry["chosen"] = json!({ "kernel": kernel.name, "variant": variant.name, "source": source });
        forced += 1;
    }
    fs::write(file, tuned.to_string()).expect("a file");
    forced
}

/// FNV-1a in 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn what_has_no_time_left_keeps_its_default() {
    let dir = tempfile::tempdir().expect("a folder");
    let said = cached(dir.path(), &["tune", "--device", "software", "--budget", "1"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert!(said.out.contains("no time left") && said.out.contains("more with --budget"), "{}", said.out);
}

#[test]
fn the_cpu_has_nothing_to_tune() {
    let dir = tempfile::tempdir().expect("a folder");
    let said = cached(dir.path(), &["tune", "--device", "cpu"]);
    assert!(said.code == Some(0) && said.out.contains("the CPU device has no variants"), "{said:?}");
    fail(dir.path(), &["tune", "--device", "cpu", "--checked"], &["--checked"]);
}

/// A folder that cannot be written costs a warning, and an empty variable nothing at all.
#[test]
fn without_a_place_to_keep_anything_it_trains_all_the_same() {
    let dir = workplace();
    fs::write(dir.path().join("file"), "not a folder").expect("a file");
    for (cache, out, complaints) in [("file/cache", "a", 1), ("", "b", 0)] {
        let args: Vec<&str> = TRAIN.iter().chain(&["--out", out]).copied().collect();
        let output = command(dir.path(), &args).env("TILEGRAD_CACHE_DIR", cache).output();
        let said = Said::from(output.expect("the binary starts"));
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.err.lines().count() <= complaints, "{}", said.err);
        assert_eq!(said.err.contains("compiled kernels are not kept"), complaints == 1, "{}", said.err);
    }
    let tune = ["tune", "--device", "software", "--config", "small.toml", "--budget", "5"];
    let output = command(dir.path(), &tune).env("TILEGRAD_CACHE_DIR", "").output();
    let said = Said::from(output.expect("the binary starts"));
    assert!(said.code == Some(0) && said.out.contains("not kept, because"), "{said:?}");
}
