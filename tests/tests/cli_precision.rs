//! `--precision f16` on the command line: what a run keeps of it, and what is said where it cannot be.

#![allow(clippy::print_stdout, reason = "what was not covered is part of the result")]

mod cli_common;

use cli_common::*;
use tilegrad_tests::devices;

const TRAIN: [&str; 6] = ["train", "--config", "small.toml", "--data", "data", "--device"];

fn train<'a>(device: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    TRAIN.into_iter().chain([device, "--out", out]).chain(more.iter().copied()).collect()
}

#[test]
fn a_run_keeps_its_precision() {
    let dir = workplace();
    for device in ["cpu", "software"] {
        let [whole, part, wide] = ["whole", "part", "wide"].map(|name| format!("{device}-{name}"));
        let half = ["--precision", "f16"];
        succeed(dir.path(), &train(device, &whole, &half));
        let config =
            tilegrad_model::Config::load(&dir.path().join(&whole).join("config.toml")).expect("a configuration");
        assert_eq!(config.engine.precision, tilegrad_model::Precision::F16);
        // Interrupted and resumed: the same bytes, without saying it again.
        succeed(dir.path(), &train(device, &part, &["--precision", "f16", "--epochs", "2"]));
        succeed(dir.path(), &["train", "--resume", "--out", &part, "--epochs", "4"]);
        assert_same_run(&dir.path().join(&whole), &dir.path().join(&part), device);
        succeed(dir.path(), &train(device, &wide, &[]));
        assert!(
            bytes(&dir.path().join(&whole), "last.safetensors") != bytes(&dir.path().join(&wide), "last.safetensors")
        );

        let refused = ["train", "--resume", "--out", &whole, "--epochs", "5", "--precision", "f32"];
        fail(dir.path(), &refused, &["--precision f32", "started with f16", "start a new run"]);
        let model = format!("{whole}/best.safetensors");
        let evaluate = ["evaluate", "--model", &model, "--data", "data", "--device", device, "--json"];
        let accuracy = |more: &[&str]| {
            let said = succeed(dir.path(), &[&evaluate[..], more].concat()).out;
            let found: serde_json::Value = serde_json::from_str(&said).expect("JSON");
            found["accuracy"].as_f64().expect("a number")
        };
        // A model is the same in either precision: its weights are f32.
        assert!((accuracy(&[]) - accuracy(&["--precision", "f32"])).abs() <= 0.05);
    }
}

#[test]
fn the_word_must_be_one_of_two() {
    let dir = workplace();
    fail(dir.path(), &train("cpu", "run", &["--precision", "f8"]), &["f8", "f32", "f16"]);
    let path = dir.path().join("small.toml");
    let text = std::fs::read_to_string(&path).expect("it is there");
    std::fs::write(&path, format!("{text}\n[engine]\nprecision = \"f64\"\n")).expect("a file");
    fail(dir.path(), &train("cpu", "run", &[]), &["f64", "precision", "f16"]);
    std::fs::write(&path, format!("{text}\n[engine]\nprecision = \"f16\"\n")).expect("a file");
    let graph = succeed(dir.path(), &["graph", "--config", "small.toml"]).out;
    assert!(graph.contains(":f16"), "{graph}");
    let graph = succeed(dir.path(), &["graph", "--config", "small.toml", "--precision", "f32"]).out;
    assert!(!graph.contains(":f16"), "{graph}");
}

/// SwiftShader has no 16-bit floats.
#[test]
fn an_adapter_without_16_bit_floats_is_refused() {
    let Some(path) = devices::swiftshader() else {
        return println!("NOT COVERED: an adapter without 16-bit floats: SwiftShader is missing");
    };
    let dir = workplace();
    let args = train("software", "run", &["--precision", "f16"]);
    let output = devices::under_driver(&mut command(dir.path(), &args), &path).output();
    let said = Said::from(output.expect("the binary starts"));
    assert_eq!(said.code, Some(1), "{said:?}");
    for part in ["SwiftShader", "shader-f16", "--precision f32"] {
        assert!(said.err.contains(part), "`{part}` is missing: {}", said.err);
    }
    assert!(!dir.path().join("run").exists(), "a run that never began left a folder");
}

#[test]
fn a_kernel_can_be_shown_in_either_precision() {
    let dir = tempfile::tempdir().expect("a folder");
    let card = succeed(dir.path(), &["kernel", "conv2d", "--precision", "f16"]).out;
    for part in ["f32 or f16", "enable f16;", "alias StoredX = f16;"] {
        assert!(card.contains(part), "`{part}` is missing: {card}");
    }
    let output = command(dir.path(), &["kernel", "relu", "--precision", "f16", "--emit", "msl"]).output();
    let said = Said::from(output.expect("the binary starts"));
    assert!(said.code == Some(0) && said.out.contains("half"), "{said:?}");
}
