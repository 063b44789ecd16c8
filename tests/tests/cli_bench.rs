//! `bench infer`, `bench scaling` and `bench ratios`: what they print holds together, and their files can be read.

mod cli_common;

use cli_common::*;
use serde_json::Value;
use std::path::Path;

/// The one object that a command prints.
fn json(folder: &Path, args: &[&str]) -> Value {
    let said = succeed(folder, args);
    assert_eq!(said.out.lines().count(), 1, "{}", said.out);
    serde_json::from_str(&said.out).expect("one JSON object")
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} is no number: {value}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("{key} is no list: {value}"))
}

/// The figures of a model on 80 images in batches of 32, the last one of 16.
fn infer(folder: &Path, device: &str) -> Value {
    let model = ["--model", "run/last.safetensors", "--data", "data", "--batch", "32", "--json"];
    let found = json(folder, &[&["bench", "infer", "--device", device][..], &model].concat());
    assert_eq!((found["batch"].as_u64(), found["images"].as_u64()), (Some(32), Some(80)));
    assert!(number(&found, "infer_images_per_s") > 0.0, "{found}");
    assert!(number(&found, "latency_p50_ms") > 0.0, "{found}");
    assert!(number(&found, "latency_p99_ms") >= number(&found, "latency_p50_ms"), "{found}");
    found
}

#[test]
fn infer_is_as_right_as_evaluate_on_every_device() {
    let dir = workplace();
    let train = ["train", "--config", "small.toml", "--data", "data", "--device", "cpu", "--out", "run"];
    succeed(dir.path(), &train);
    let model = ["evaluate", "--model", "run/last.safetensors", "--data", "data", "--device", "cpu", "--json"];
    let accuracy = number(&json(dir.path(), &model), "accuracy");
    let cpu = infer(dir.path(), "cpu");
    assert_eq!((number(&cpu, "accuracy"), cpu["device"].as_str()), (accuracy, Some("cpu")));
    assert!(cpu["in_flight_images_per_s"].is_null(), "{cpu}");
    let device = std::env::var("TILEGRAD_TEST_DEVICE").unwrap_or_else(|_| "software".into());
    let adapter = infer(dir.path(), &device);
    // Rounding may turn one of 80 images.
    assert!((number(&adapter, "accuracy") - accuracy).abs() < 0.02, "{adapter}: {accuracy}");
    assert!(number(&adapter, "in_flight_images_per_s") > 0.0, "{adapter}");
    let text = succeed(
        dir.path(),
        &["bench", "infer", "--device", "cpu", "--batch", "500", "--data", "data", "--model", "run/last.safetensors"],
    )
    .out;
    assert!(text.contains("images/s over 80 images") && text.contains("a single image: "), "{text}");
}

#[test]
fn infer_refuses_data_of_another_shape() {
    let dir = workplace();
    fail(dir.path(), &["bench", "infer", "--device", "cpu", "--data", "data"], &["8x8", "28x28"]);
}

#[test]
fn scaling_has_three_axes_and_a_picture() {
    let dir = tempfile::tempdir().expect("a folder");
    let plot = ["--plot", "scaling.png", "--json"];
    let found = json(dir.path(), &[&["bench", "scaling", "--device", "cpu", "--quick"][..], &plot].concat());
    assert_eq!((found["device"].as_str(), found["quick"].as_bool()), (Some("cpu"), Some(true)));
    let axes = list(&found, "axes");
    assert_eq!(
        axes.iter().map(|axis| axis["axis"].as_str()).collect::<Vec<_>>(),
        ["batch", "side", "channels"].map(Some)
    );
    for axis in axes {
        let points = list(axis, "points");
        assert!(points.len() > 1 && axis["held"].is_boolean(), "{axis}");
        let measured: Vec<&Value> = points.iter().filter(|point| point["skipped"].is_null()).collect();
        assert!(!measured.is_empty(), "{axis}");
        for point in measured {
            let flops_per_ms = number(point, "flops") / number(point, "ms");
            assert!((flops_per_ms * 1e-6 / number(point, "gflops_per_s") - 1.0).abs() < 1e-2, "{point}");
            assert!((1e9 / flops_per_ms / number(point, "ps_per_flop") - 1.0).abs() < 1e-2, "{point}");
            assert!(number(point, "plan_mib") > 0.0 && number(point, "steps") >= 2.0, "{point}");
        }
    }
    let picture = image::load_from_memory(&bytes(dir.path(), "scaling.png")).expect("a PNG").into_rgb8();
    assert_eq!(picture.dimensions(), (1500, 560));
    let white = picture.pixels().filter(|pixel| pixel.0 == [255; 3]).count();
    assert!((500_000..835_000).contains(&white), "{white} white pixels");
}

#[test]
fn scaling_says_what_it_has_no_time_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = succeed(dir.path(), &["bench", "scaling", "--device", "cpu", "--budget", "1"]).out;
    assert!(text.contains("was not measured: no time, it takes about"), "{text}");
    fail(dir.path(), &["bench", "scaling", "--tolerance", "0.5"], &["0.5", "from 1 to 100"]);
}

#[test]
fn ratios_compare_both_sides() {
    let dir = tempfile::tempdir().expect("a folder");
    let found = json(dir.path(), &["bench", "ratios", "--device", "cpu", "--json"]);
    let ratios = list(&found, "ratios");
    assert!(ratios.len() >= 4, "{found}");
    for ratio in ratios {
        assert!(number(ratio, "ms") > 0.0 && number(ratio, "against_ms") > 0.0, "{ratio}");
        assert_eq!(ratio["held"].as_bool(), Some(number(ratio, "ratio") <= number(ratio, "most")), "{ratio}");
    }
    let all = ratios.iter().all(|ratio| ratio["held"] == true);
    assert_eq!(found["held"].as_bool(), Some(all), "{found}");
}
