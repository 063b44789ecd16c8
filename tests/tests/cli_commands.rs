//! The commands other than `train`, and the manners of all of them.

mod cli_common;

use cli_common::*;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;

fn trained() -> tempfile::TempDir {
    let dir = workplace();
    let drawings = config("[8, 8, 1]", LAYERS).replacen("[data]", "[data]\nprepare = \"mnist\"", 1);
    fs::write(dir.path().join("small.toml"), drawings).expect("a file");
    let args = [
        "train",
        "--config",
        "small.toml",
        "--data",
        "data",
        "--device",
        "cpu",
        "--epochs",
        "20",
        "--lr",
        "0.01",
        "--out",
        "run",
    ];
    succeed(dir.path(), &args);
    dir
}

const MODEL: [&str; 4] = ["--device", "cpu", "--model", "run/last.safetensors"];

/// Output that is one JSON object and nothing else.
fn json(folder: &Path, args: &[&str]) -> Value {
    let said = succeed(folder, args);
    assert_eq!(said.out.lines().count(), 1, "{}", said.out);
    serde_json::from_str(&said.out).expect("one JSON object")
}

#[test]
fn evaluate_tells_how_each_class_fares() {
    let dir = trained();
    let found = json(dir.path(), &["evaluate", "--json"].into_iter().chain(MODEL).collect::<Vec<_>>());
    assert_eq!((found["examples"].as_u64(), found["part"].as_str()), (Some(80), Some("test")));
    assert!(Path::new(found["data"].as_str().expect("a folder")).is_dir(), "{found}");
    assert_eq!(found["classes"].as_array().map(Vec::len), Some(10));
    let matrix: Vec<Vec<u64>> = serde_json::from_value(found["confusion"].clone()).expect("a matrix");
    assert_eq!(matrix.iter().flatten().sum::<u64>(), 80);
    let hits: u64 = (0..10).map(|class| matrix[class][class]).sum();
    assert_eq!(found["accuracy"].as_f64(), Some(hits as f64 / 80.0));
    let last = metrics(&dir.path().join("run")).pop().expect("the test's line");
    assert_eq!(last["test_accuracy"], found["accuracy"]);
    let (a, b) = (last["test_loss"].as_f64().expect("f64"), found["loss"].as_f64().expect("f64"));
    assert!((a - b).abs() < 1e-5 * a.abs().max(1.0), "{a} {b}");
    let text = succeed(dir.path(), &["evaluate"].into_iter().chain(MODEL).collect::<Vec<_>>()).out;
    for part in ["its test part", "precision", "macro average", "confusion matrix"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn predict_names_the_class_whatever_the_ground() {
    let dir = trained();
    // The data's own image of class 2, and its negative.
    let first = 16 + 2 * 64;
    let pixels = images(3)[first..first + 64].to_vec();
    let negative = pixels.iter().map(|pixel| 255 - pixel).collect();
    for (name, pixels) in [("light.png", pixels), ("dark.png", negative)] {
        image::GrayImage::from_raw(8, 8, pixels).expect("64 pixels").save(dir.path().join(name)).expect("a picture");
    }
    let args =
        |more: &[&'static str]| ["predict"].into_iter().chain(MODEL).chain(more.iter().copied()).collect::<Vec<_>>();
    let found = json(dir.path(), &args(&["light.png", "dark.png", "--json"]));
    assert_eq!(found["images"].as_array().map(Vec::len), Some(2));
    let light = &found["images"][0];
    assert_eq!((light["file"].as_str(), light["class"].as_str()), (Some("light.png"), Some("2")));
    assert_eq!((light["inverted"].as_bool(), found["images"][1]["inverted"].as_bool()), (Some(false), Some(true)));
    let sum: f64 = light["probabilities"]
        .as_array()
        .expect("scores")
        .iter()
        .filter_map(|score| score["probability"].as_f64())
        .sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    assert_eq!(found["prepare"].as_str(), Some("mnist"));
    let plain = succeed(dir.path(), &args(&["dark.png", "--prepare", "plain"])).out;
    assert!(plain.starts_with("note: prepared as asked, plain; the network was trained with mnist\n"), "{plain}");
    let never = json(dir.path(), &args(&["light.png", "--json", "--invert", "never", "--top", "2"]));
    assert_eq!(never["images"][0]["probabilities"].as_array().map(Vec::len), Some(2));
    let text = succeed(dir.path(), &args(&["light.png", "dark.png", "--top", "1"])).out;
    assert!(text.starts_with("light.png: 2  probability ") && text.lines().count() == 2, "{text}");
    assert!(text.trim_end().ends_with("(inverted, rescaled)"), "{text}");
}

#[test]
fn bench_prints_one_line_of_json() {
    let dir = tempfile::tempdir().expect("a folder");
    let step = succeed(dir.path(), &["bench", "step", "--device", "cpu", "--batch", "8", "--steps", "3", "--json"]).out;
    let order = ["device", "batch", "steps", "ms_per_step", "images_per_s", "first_step_s", "peak_rss_mb"];
    assert_keys(&step, &order);
    let found: Value = serde_json::from_str(&step).expect("JSON");
    assert_eq!(
        (found["device"].as_str(), found["batch"].as_u64(), found["steps"].as_u64()),
        (Some("cpu"), Some(8), Some(3))
    );
    assert!(found["ms_per_step"].as_f64() > Some(0.0) && found["first_step_s"].as_f64() > Some(0.0));
    let product = ["bench", "matmul", "--device", "cpu", "--m", "33", "--n", "17", "--k", "900", "--json"];
    assert_keys(&succeed(dir.path(), &product).out, &["device", "m", "n", "k", "ms", "gflops"]);
    let text = succeed(dir.path(), &product[..product.len() - 1]).out;
    assert!(text.contains("33 x 900 times 900 x 17") && text.contains("GFLOP/s"), "{text}");
}

/// One line that is an object with these keys in this order.
fn assert_keys(text: &str, keys: &[&str]) {
    assert_eq!(text.lines().count(), 1, "{text}");
    let object: serde_json::Map<String, Value> = serde_json::from_str(text).expect("an object");
    assert_eq!(object.len(), keys.len(), "{text}");
    let places: Vec<Option<usize>> = keys.iter().map(|key| text.find(&format!("\"{key}\":"))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
}

#[test]
fn doctor_always_succeeds() {
    let dir = tempfile::tempdir().expect("a folder");
    let found = json(dir.path(), &["doctor", "--json"]);
    assert!(found["adapters"].is_array() && found["version"].is_string() && found["wgpu"].is_string());
    assert!(found["auto"]["device"].is_string() && found["auto"]["reason"].is_string());
    for adapter in found["adapters"].as_array().expect("a list") {
        assert!(adapter["name"].is_string() && adapter["features"].is_array() && adapter["limits"].is_object());
    }
    // A machine without any driver.
    let bare = command(dir.path(), &["doctor"]).env("VK_ICD_FILENAMES", "none").env("VK_DRIVER_FILES", "none").output();
    let said = Said::from(bare.expect("the binary starts"));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("--device auto takes"), "{}", said.out);
    if cfg!(target_os = "linux") {
        assert!(said.out.contains("no adapter") && said.out.contains("apt-get install"), "{}", said.out);
    }
}

#[test]
fn help_and_version_are_there() {
    let dir = tempfile::tempdir().expect("a folder");
    assert!(succeed(dir.path(), &["--version"]).out.starts_with("tilegrad "));
    for command in
        [&["train"][..], &["evaluate"], &["predict"], &["bench"], &["bench", "step"], &["bench", "matmul"], &["doctor"]]
    {
        let args: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        assert!(succeed(dir.path(), &args).out.contains("Example"), "{command:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_error() {
    let dir = trained();
    let evaluate: Vec<&str> = ["evaluate"].into_iter().chain(MODEL).collect();
    for args in [&["doctor"][..], &["--help"], &evaluate] {
        let mut child = command(dir.path(), args).stdout(Stdio::piped()).spawn().expect("the binary starts");
        drop(child.stdout.take());
        let said = Said::from(child.wait_with_output().expect("the child ends"));
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{args:?}");
    }
}
