//! `tilegrad evaluate`: which part of the data, and what it writes.

mod cli_common;

use cli_common::*;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A short training, which leaves some mistakes.
fn trained(folder: &Path, more: &[&str]) {
    let args = ["train", "--config", "small.toml", "--device", "cpu", "--out", "run"];
    succeed(folder, &[&args[..], more].concat());
}

fn evaluate(folder: &Path, more: &[&str]) -> Value {
    let args = ["evaluate", "--device", "cpu", "--model", "run/last.safetensors", "--json"];
    let said = succeed(folder, &[&args[..], more].concat()).out;
    assert_eq!(said.lines().count(), 1, "{said}");
    serde_json::from_str(&said).expect("one JSON object")
}

fn figures(found: &Value) -> (&str, u64) {
    (found["part"].as_str().expect("a part"), found["examples"].as_u64().expect("a number"))
}

/// Accuracy of the last epoch on what the training says it is of.
fn recorded(folder: &Path, key: &str) -> Value {
    metrics(&folder.join("run"))
        .into_iter()
        .rev()
        .find(|line| line.get(key).is_some_and(Value::is_f64))
        .expect("a line")[key]
        .clone()
}

#[test]
fn each_part_of_a_run_is_what_the_run_made_of_it() {
    let dir = workplace();
    trained(dir.path(), &["--data", "data", "--limit", "150"]);
    let test = evaluate(dir.path(), &[]);
    assert_eq!(figures(&test), ("test", 80));
    assert_eq!(test["accuracy"], recorded(dir.path(), "test_accuracy"));
    let validation = evaluate(dir.path(), &["--part", "validation"]);
    assert_eq!(figures(&validation), ("validation", 30));
    assert_eq!(validation["accuracy"], recorded(dir.path(), "val_accuracy"));
    let (told, kept) = (recorded(dir.path(), "val_loss"), &validation["loss"]);
    let (told, kept) = (told.as_f64().expect("a loss"), kept.as_f64().expect("a loss"));
    assert!((told - kept).abs() < 1e-5 * told.max(1.0), "{told} {kept}");
    assert_eq!(figures(&evaluate(dir.path(), &["--part", "train"])), ("train", 120));
    assert_eq!(evaluate(dir.path(), &["--part", "validation", "--data", "data"]), validation);
    for name in ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] {
        fs::remove_file(dir.path().join("data").join(name)).expect("it is there");
    }
    for more in [&[][..], &["--data", "data"]] {
        let found = evaluate(dir.path(), more);
        assert_eq!((figures(&found), &found["accuracy"]), (("validation", 30), &validation["accuracy"]), "{more:?}");
        assert!(Path::new(found["data"].as_str().expect("a folder")).is_dir());
    }
    let args = ["evaluate", "--device", "cpu", "--model", "run"];
    let said = succeed(dir.path(), &args).out;
    assert!(said.contains("30 images, its validation part (it has no test part)"), "{said}");
    fail(dir.path(), &[&args[..], &["--part", "test"]].concat(), &["data: no test part", "--part"]);
}

#[test]
fn foreign_data_is_taken_whole_unless_it_has_parts() {
    let dir = workplace();
    trained(dir.path(), &["--data", "data"]);
    write_data(&dir.path().join("other"), 50, 20);
    assert_eq!(figures(&evaluate(dir.path(), &["--data", "other"])), ("test", 20));
    assert_eq!(figures(&evaluate(dir.path(), &["--data", "other", "--part", "train"])), ("train", 50));
    for name in ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] {
        fs::remove_file(dir.path().join("other").join(name)).expect("it is there");
    }
    assert_eq!(figures(&evaluate(dir.path(), &["--data", "other"])), ("all", 50));
    let args = ["evaluate", "--device", "cpu", "--model", "run", "--data"];
    let said = succeed(dir.path(), &[&args[..], &["other"]].concat()).out;
    assert!(said.contains("50 images, all of it (it has neither a test nor a validation part)"), "{said}");
    let words = ["other: no validation part", "no run to say what it held out"];
    fail(dir.path(), &[&args[..], &["other", "--part", "validation"]].concat(), &words);
    // Pictures in parts.
    for part in ["train", "val"] {
        for class in 0..10 {
            let folder = dir.path().join("parts").join(part).join(class.to_string());
            fs::create_dir_all(&folder).expect("a folder");
            image::GrayImage::new(8, 8).save(folder.join("0.png")).expect("a picture");
        }
    }
    assert_eq!(figures(&evaluate(dir.path(), &["--data", "parts"])), ("validation", 10));
    let said = succeed(dir.path(), &[&args[..], &["parts"]].concat()).out;
    assert!(said.contains("10 images, its validation part (it has no test part)"), "{said}");
}

#[test]
fn the_matrix_is_written_as_it_is_told() {
    let dir = workplace();
    trained(dir.path(), &["--data", "data", "--epochs", "1"]);
    let found = evaluate(dir.path(), &["--confusion", "matrix.csv"]);
    let told: Vec<Vec<u64>> = serde_json::from_value(found["confusion"].clone()).expect("a matrix");
    let text = fs::read_to_string(dir.path().join("matrix.csv")).expect("a file");
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0][1..], ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    let numbers = |line: &Vec<&str>| line[1..].iter().map(|cell| cell.parse().expect("a count")).collect::<Vec<u64>>();
    assert_eq!(lines[1..].iter().map(numbers).collect::<Vec<_>>(), told);
    let off = |label: usize, prediction: usize| if label == prediction { 0 } else { told[label][prediction] };
    let largest = (0..100).map(|at| off(at / 10, at % 10)).max();
    assert_eq!(found["most_confused"][0]["images"].as_u64(), largest);
    assert!(found["most_confused"].as_array().is_some_and(|pairs| pairs.len() <= 10), "{found}");
    let model = ["evaluate", "--device", "cpu", "--model", "run"];
    let said = succeed(dir.path(), &[&model[..], &["--confusion", "matrix.png"]].concat()).out;
    assert!(said.contains("most confused") && said.ends_with("confusion matrix: matrix.png\n"), "{said}");
    assert!(image::open(dir.path().join("matrix.png")).is_ok());
    for (target, word) in [("matrix.txt", ".csv or .png"), ("none/matrix.csv", "no folder none")] {
        fail(dir.path(), &[&model[..], &["--confusion", target]].concat(), &[target, word]);
    }
}

#[test]
fn many_classes_are_summed_up() {
    let dir = workplace();
    let wide = config("[8, 8, 1]", &LAYERS.replace("units = 10", "units = 120"));
    fs::write(dir.path().join("small.toml"), wide).expect("a file");
    trained(dir.path(), &["--data", "data", "--epochs", "1"]);
    let found = evaluate(dir.path(), &["--confusion", "matrix.csv"]);
    assert!(found.get("confusion").is_none(), "{found}");
    assert!(found["confusion_left_out"].as_str().is_some_and(|why| why.contains("--confusion FILE")), "{found}");
    let text = fs::read_to_string(dir.path().join("matrix.csv")).expect("a file");
    assert_eq!((text.lines().count(), text.lines().last().map(|line| line.split(',').count())), (121, Some(121)));
    let said = succeed(dir.path(), &["evaluate", "--device", "cpu", "--model", "run"]).out;
    assert!(said.contains("120 classes are too many to show") && said.lines().count() < 160, "{said}");
}

/// `label/prediction/row` of every picture below `folder`.
fn pictures(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for label in fs::read_dir(folder).expect("a folder").flatten().filter(|entry| entry.path().is_dir()) {
        for prediction in fs::read_dir(label.path()).expect("a folder").flatten() {
            for picture in fs::read_dir(prediction.path()).expect("a folder").flatten() {
                let row = picture.path().file_stem().expect("a name").to_string_lossy().into_owned();
                let names = [label.file_name(), prediction.file_name()].map(|name| name.to_string_lossy().into_owned());
                found.push(format!("{row},{}", names.join(",")));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_was_wrong_is_listed_and_shown() {
    let dir = workplace();
    trained(dir.path(), &["--data", "data", "--epochs", "1"]);
    let found = evaluate(dir.path(), &["--errors", "wrong.csv"]);
    let text = fs::read_to_string(dir.path().join("wrong.csv")).expect("a file");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "row,label,prediction,probability");
    let hits = (found["accuracy"].as_f64().expect("a share") * 80.0).round() as usize;
    assert!(hits < 80 && lines.len() - 1 == 80 - hits, "{} lines, {hits} hits", lines.len());
    let scores: Vec<f64> = lines[1..].iter().filter_map(|line| line.rsplit(',').next()?.parse().ok()).collect();
    assert!(scores.len() == lines.len() - 1 && scores.is_sorted_by(|a, b| a >= b), "the surest first: {scores:?}");
    for line in &lines[1..] {
        let cells: Vec<&str> = line.split(',').collect();
        let row: u32 = cells[0].parse().expect("a row");
        assert_eq!(cells[1], (row % 10).to_string(), "the label of the row in the file");
    }
    evaluate(dir.path(), &["--errors", "wrong.jsonl"]);
    let text = fs::read_to_string(dir.path().join("wrong.jsonl")).expect("a file");
    for (line, other) in text.lines().zip(&lines[1..]) {
        let found: Value = serde_json::from_str(line).expect("an object");
        let word = |key: &str| found[key].as_str().expect("a name").to_owned();
        let told = format!("{},{},{},{}", found["row"], word("label"), word("prediction"), found["probability"]);
        assert_eq!(&told, other);
    }
    evaluate(dir.path(), &["--errors", "wrong"]);
    let mut listed: Vec<String> =
        lines[1..].iter().map(|line| line[..line.rfind(',').expect("cells")].into()).collect();
    listed.sort();
    assert_eq!(pictures(&dir.path().join("wrong")), listed);
    assert_eq!(bytes(&dir.path().join("wrong"), "errors.csv"), bytes(dir.path(), "wrong.csv"));
    let cells: Vec<&str> = listed[0].split(',').collect();
    let picture = dir.path().join(format!("wrong/{}/{}/{}.png", cells[1], cells[2], cells[0]));
    let row: usize = cells[0].parse().expect("a row");
    let pixels = image::open(picture).expect("a picture").into_luma8().into_raw();
    assert_eq!(pixels, images(80)[16 + row * 64..][..64]);
    let model = ["evaluate", "--device", "cpu", "--model", "run", "--errors"];
    fail(dir.path(), &[&model[..], &["wrong"]].concat(), &["wrong: the folder holds files already"]);
    fail(dir.path(), &[&model[..], &["wrong.txt"]].concat(), &["wrong.txt", ".csv or .jsonl"]);
}
