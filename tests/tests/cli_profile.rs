//! `profile`: its figures add up, and its files can be read.

mod cli_common;

use cli_common::*;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The one object that a profile of the small network prints.
fn profile(folder: &Path, args: &[&str]) -> Value {
    let mut all = vec!["profile", "--config", "small.toml", "--data", "data", "--json"];
    all.extend(args);
    serde_json::from_str(&succeed(folder, &all).out).expect("one JSON object")
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} is no number: {value}"))
}

/// Every row must have a time, and the shares must add up.
fn assert_adds_up(found: &Value) {
    assert_eq!(found["calls_not_measured"], 0, "{found}");
    for rows in [&found["kernels"], &found["layers"]] {
        let rows = rows.as_array().expect("rows");
        assert!(rows.iter().all(|row| number(row, "ms") > 0.0 && number(row, "of_peak") >= 0.0), "{rows:?}");
        let shares: f64 = rows.iter().map(|row| number(row, "share")).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{shares}: {rows:?}");
        let sum: f64 = rows.iter().map(|row| number(row, "ms")).sum();
        assert!((sum - number(found, "calls_ms")).abs() < 1e-6 * sum, "{sum}: {found}");
    }
    assert!(number(found, "step_ms") > 0.0 && number(&found["ceilings"], "gflops") > 0.0, "{found}");
    let off = (number(found, "calls_ms") / number(found, "step_ms") - 1.0).abs();
    let notes = found["notes"].as_array().expect("notes");
    assert_eq!(!notes.is_empty(), off > 0.1, "a difference of more than a tenth is said: {found}");
}

fn calls(found: &Value) -> u64 {
    found["kernels"].as_array().expect("rows").iter().map(|row| row["calls"].as_u64().expect("a count")).sum()
}

#[test]
fn shares_on_the_cpu_add_up() {
    let dir = workplace();
    let found = profile(dir.path(), &["--device", "cpu", "--steps", "2", "--batch", "16"]);
    assert_adds_up(&found);
    let names: Vec<&str> =
        found["kernels"].as_array().expect("rows").iter().filter_map(|row| row["name"].as_str()).collect();
    assert!(["conv2d_grad_weight", "softmax_cross_entropy"].iter().all(|name| names.contains(name)), "{names:?}");
    assert!(found["submit_ms"].is_null(), "the CPU has no submission: {found}");
}

#[test]
fn an_adapter_has_a_method_and_a_submission() {
    let dir = workplace();
    let device = std::env::var("TILEGRAD_TEST_DEVICE").unwrap_or_else(|_| "software".into());
    let found = profile(dir.path(), &["--device", &device, "--steps", "2", "--batch", "8"]);
    assert_adds_up(&found);
    assert!(number(&found, "submit_ms") > 0.0, "{found}");
    let method = found["method"].as_str().expect("a method");
    let known = ["timestamps around each call of a step (self-test: ", "each call repeated for at least 5 ms (the "];
    assert!(known.iter().any(|known| method.starts_with(known)), "{method}");
}

#[test]
fn the_trace_has_an_event_per_call() {
    let dir = workplace();
    let found = profile(dir.path(), &["--device", "cpu", "--steps", "2", "--trace", "step.json"]);
    let text = fs::read_to_string(dir.path().join("step.json")).expect("the trace");
    let trace: Value = serde_json::from_str(&text).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events");
    let complete: Vec<&Value> = events.iter().filter(|event| event["ph"] == "X").collect();
    assert_eq!(complete.len() as u64, calls(&found));
    let mut end = 0.0;
    for event in complete {
        assert!((number(event, "ts") - end).abs() < 1e-6 * (1.0 + end), "end to end: {event}");
        end = number(event, "ts") + number(event, "dur");
        let args = &event["args"];
        assert!(args["layer"].is_string() && args["params"].is_object() && args["bytes"].is_u64(), "{event}");
    }
    assert!((end * 1e-3 - number(&found, "calls_ms")).abs() < 1e-6 * end, "{end}: {found}");
}

#[test]
fn the_picture_can_be_decoded_and_shows_something() {
    let dir = workplace();
    let args = ["--device", "cpu", "--steps", "2", "--plot", "roofline.png"];
    profile(dir.path(), &args);
    let picture = image::load_from_memory(&bytes(dir.path(), "roofline.png")).expect("a PNG").into_rgb8();
    assert_eq!(picture.dimensions(), (1000, 700));
    let white = picture.pixels().filter(|pixel| pixel.0 == [255; 3]).count();
    assert!((300_000..690_000).contains(&white), "{white} white pixels");
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let dir = workplace();
    let args = ["profile", "--config", "small.toml", "--data", "data", "--device", "cpu", "--steps", "1"];
    fail(dir.path(), &[&args[..], &["--trace", "no/such/step.json"]].concat(), &["no/such/step.json"]);
}
