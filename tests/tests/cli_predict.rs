//! `tilegrad predict`: files, folders, standard input, and which model.

mod cli_common;

use cli_common::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// Pictures as files, and a run on them with `loss`.
fn trained(loss: &str) -> tempfile::TempDir {
    let dir = workplace();
    let pixels = images(100);
    for number in 0..100usize {
        let folder = dir.path().join(format!("pictures/{}", number % 10));
        fs::create_dir_all(&folder).expect("a folder");
        let image = image::GrayImage::from_raw(8, 8, pixels[16 + number * 64..][..64].to_vec()).expect("64 pixels");
        image.save(folder.join(format!("{number}.png"))).expect("a picture");
    }
    let told = config("[8, 8, 1]", LAYERS).replace("seed = 7", &format!("seed = 7\nloss = \"{loss}\""));
    fs::write(dir.path().join("small.toml"), told).expect("a file");
    succeed(dir.path(), &["train", "--config", "small.toml", "--data", "pictures", "--device", "cpu"]);
    dir
}

fn predict(folder: &Path, more: &[&str]) -> Value {
    let said = succeed(folder, &[&["predict", "--device", "cpu", "--json"], more].concat());
    serde_json::from_str(&said.out).expect("one JSON object")
}

fn images_of(found: &Value) -> Vec<Value> {
    found["images"].as_array().expect("a list").clone()
}

#[test]
fn a_folder_is_predicted_as_it_is_evaluated_file_by_file() {
    let dir = trained("softmax_cross_entropy");
    let found = images_of(&predict(dir.path(), &["--model", "runs/small-1", "pictures"]));
    assert_eq!(found.len(), 100);
    let args = ["evaluate", "--device", "cpu", "--model", "runs/small-1", "--data", "."];
    // A model away from its run takes all of the data.
    fs::copy(dir.path().join("runs/small-1/best.safetensors"), dir.path().join("model.safetensors")).expect("a copy");
    let args = [&args[..3], &["--model", "model.safetensors", "--data", "pictures", "--errors", "wrong.csv"]].concat();
    succeed(dir.path(), &args);
    let text = fs::read_to_string(dir.path().join("wrong.csv")).expect("a file");
    let wrong: BTreeMap<String, (String, f64)> = text
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[0].to_owned(), (cells[2].to_owned(), cells[3].parse().expect("a score")))
        })
        .collect();
    let mut mistakes = 0;
    for image in &found {
        let file = image["file"].as_str().expect("a name");
        let label = Path::new(file).parent().and_then(Path::file_name).expect("a class").to_string_lossy().into_owned();
        let (class, score) =
            (image["class"].as_str().expect("a class"), image["probability"].as_f64().expect("a score"));
        match wrong.get(file) {
            None => assert_eq!(class, label, "{file}"),
            Some((told, sure)) => {
                mistakes += 1;
                assert_eq!(told, class, "{file}");
                assert!((sure - score).abs() < 1e-6, "{file}: {sure} {score}");
            }
        }
    }
    assert_eq!(mistakes, wrong.len());
    assert!(mistakes > 0, "a short training leaves some mistakes");
    // Many files one by one, in their order.
    let names: Vec<&str> = found.iter().rev().filter_map(|image| image["file"].as_str()).collect();
    let again = images_of(&predict(dir.path(), &[&["--model", "runs/small-1"], &names[..]].concat()));
    for (one, other) in found.iter().rev().zip(&again) {
        assert_eq!(one["file"], other["file"]);
        assert_eq!(one["class"], other["class"]);
        let [one, other] = [one, other].map(|image| image["probability"].as_f64().expect("a score"));
        assert!((one - other).abs() < 1e-6, "{one} {other}");
    }
    fs::create_dir(dir.path().join("empty")).expect("a folder");
    fail(dir.path(), &["predict", "--device", "cpu", "empty"], &["empty: no images"]);
}

#[test]
fn bad_files_do_not_lose_the_others() {
    let dir = trained("softmax_cross_entropy");
    fs::write(dir.path().join("pictures/3/bad.png"), "dear diary").expect("a file");
    let said =
        run(dir.path(), &["predict", "--device", "cpu", "--top", "1", "pictures", "none.png", "pictures/1/1.png"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let images = said.out.lines().filter(|line| line.contains("  probability ")).count();
    assert_eq!(images, 101, "{}", said.out);
    let lines: Vec<&str> = said.err.lines().collect();
    assert!(lines.iter().all(|line| line.starts_with("error: ")) && lines.len() == 3, "{lines:?}");
    assert!(lines[0].contains("pictures/3/bad.png: can't be decoded") && lines[1].contains("none.png"), "{lines:?}");
    assert!(lines[2].contains("2 of 103 files can't be read"), "{lines:?}");
    fail(dir.path(), &["predict", "--device", "cpu", "pictures"], &["pictures/3/bad.png: can't be decoded"]);
    let said = run(dir.path(), &["predict", "--device", "cpu", "--json", "pictures"]);
    let found: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((said.code, images_of(&found).len()), (Some(1), 100));
    assert_eq!(found["failed"][0]["file"].as_str(), Some("pictures/3/bad.png"));
    let said = succeed(dir.path(), &["predict", "--device", "cpu", "--skip-bad", "pictures"]).out;
    assert!(said.ends_with("note: left out 1 file that can't be read\n"), "{said}");
    let words = ["none of the files"];
    fail(dir.path(), &["predict", "--device", "cpu", "--skip-bad", "pictures/3/bad.png"], &words);
}

fn from_standard_input(folder: &Path, args: &[&str], bytes: &[u8]) -> Said {
    let mut child = command(folder, args).stdin(Stdio::piped()).spawn().expect("the binary starts");
    // A program that stops early need not read it all.
    let _ = child.stdin.take().expect("a pipe").write_all(bytes);
    child.wait_with_output().expect("the child ends").into()
}

#[test]
fn an_image_comes_from_standard_input() {
    let dir = trained("softmax_cross_entropy");
    let bytes = fs::read(dir.path().join("pictures/7/7.png")).expect("a file");
    let args = ["predict", "--device", "cpu", "--json", "-"];
    let said = from_standard_input(dir.path(), &args, &bytes);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let found: Value = serde_json::from_str(&said.out).expect("JSON");
    let mut wanted = images_of(&predict(dir.path(), &["pictures/7/7.png"]));
    wanted[0]["file"] = "-".into();
    assert_eq!(images_of(&found), wanted);
    for (bytes, word) in [(&b""[..], "standard input is empty"), (b"dear diary", "standard input: can't be decoded")] {
        let said = from_standard_input(dir.path(), &args, bytes);
        assert!(said.code == Some(1) && said.err.contains(word) && said.err.lines().count() == 1, "{said:?}");
    }
    let said = from_standard_input(dir.path(), &["predict", "--device", "cpu", "-", "-"], &bytes);
    assert!(said.code == Some(1) && said.err.contains("named twice"), "{said:?}");
}

#[test]
fn a_run_stands_for_its_best_and_the_newest_for_all() {
    let dir = trained("softmax_cross_entropy");
    let file = "pictures/7/7.png";
    let best = predict(dir.path(), &["--model", "runs/small-1/best.safetensors", file]);
    assert_eq!(predict(dir.path(), &["--model", "runs/small-1", file]), best);
    assert_eq!(predict(dir.path(), &[file]), best);
    let train = ["train", "--config", "small.toml", "--data", "pictures", "--device", "cpu", "--epochs", "1"];
    succeed(dir.path(), &train);
    let newest = predict(dir.path(), &[file]);
    assert_eq!(newest["model"].as_str(), Some("runs/small-2/best.safetensors"));
    assert_ne!(newest["images"], best["images"]);
    let said = succeed(dir.path(), &["predict", "--device", "cpu", file]).out;
    assert!(said.starts_with("note: the model is runs/small-2/best.safetensors\n"), "{said}");
    let said = succeed(dir.path(), &["evaluate", "--device", "cpu"]).out;
    assert!(said.contains("model: runs/small-2/best.safetensors (the newest run's best), after"), "{said}");
    // A run that has only just begun is passed over, and named as what it is.
    fs::remove_file(dir.path().join("runs/small-2/best.safetensors")).expect("a file");
    assert_eq!(predict(dir.path(), &[file]), best);
    for command in ["predict", "evaluate"] {
        let args = |model: &'static str| [command, "--device", "cpu", "--model", model];
        let more: &[&str] = if command == "predict" { &[file] } else { &[] };
        fail(dir.path(), &[&args("runs/small-2")[..], more].concat(), &["runs/small-2", "no best.safetensors yet"]);
        fail(dir.path(), &[&args("pictures")[..], more].concat(), &["pictures: no run", "a checkpoint"]);
        let none = tempfile::tempdir().expect("a folder");
        fail(none.path(), &[&[command, "--device", "cpu"], more].concat(), &["no trained network under `runs`"]);
    }
}

#[test]
fn outputs_that_are_no_probabilities_are_not_called_so() {
    let dir = trained("mean_squared_error");
    let found = images_of(&predict(dir.path(), &["pictures"]));
    for image in &found {
        assert!(image.get("probability").is_none() && image.get("probabilities").is_none(), "{image}");
        let outputs = image["outputs"].as_array().expect("a list");
        assert!(outputs.len() == 10 && outputs.iter().all(|one| one["output"].is_f64()), "{image}");
        assert_eq!(image["output"], outputs[0]["output"]);
    }
    let sums = found.iter().map(|image| image["outputs"].as_array().expect("a list").iter());
    let sums = sums.map(|outputs| outputs.filter_map(|one| one["output"].as_f64()).sum::<f64>());
    assert!(sums.into_iter().any(|sum| (sum - 1.0).abs() > 1e-3), "these are the outputs as they are");
    let said = succeed(dir.path(), &["predict", "--device", "cpu", "pictures/7/7.png"]).out;
    assert!(said.contains("  output ") && !said.contains("probability"), "{said}");
    succeed(dir.path(), &["evaluate", "--device", "cpu", "--part", "train", "--errors", "wrong.csv"]);
    let text = fs::read_to_string(dir.path().join("wrong.csv")).expect("a file");
    assert!(text.starts_with("file,label,prediction,output\n") && text.lines().count() > 1, "{text}");
    let file = text.lines().nth(1).and_then(|line| line.split(',').next()).expect("a file");
    assert!(Path::new(file).is_file(), "{file}");
}
