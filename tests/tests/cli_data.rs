//! Data as strangers bring it: whose classes they are, how images are prepared and split, and what lies beside them.

mod cli_common;

use cli_common::*;
use image::{GrayImage, Luma, Rgb, RgbImage};
use std::fs;
use std::path::Path;

/// A flat network of `outputs` classes.
fn network(input: &str, outputs: u32, data: &str) -> String {
    format!(
        "[data]\n{data}\n[train]\nepochs = 30\nbatch = 8\n[optimiser]\ntype = \"adam\"\nlearning_rate = 0.01\n\
         [network]\ninput = {input}\n[[network.layers]]\ntype = \"flatten\"\n\
         [[network.layers]]\ntype = \"dense\"\nunits = {outputs}\n"
    )
}

/// A picture of class `class`: one bright column, and noise by `number`.
fn picture(class: u32, number: u32) -> GrayImage {
    GrayImage::from_fn(12, 4, |x, y| {
        let noise = (number * 31 + x * 7 + y * 13) % 40;
        Luma([noise as u8 + if x == class { 200 } else { 0 }])
    })
}

fn idx(magic: u32, dims: &[u32], body: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let header = [magic].iter().chain(dims).flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    header.into_iter().chain(body).collect()
}

/// `per_class` pictures of each class as an IDX set, sorted by label.
fn write_idx(folder: &Path, classes: u32, per_class: u32) {
    fs::create_dir_all(folder).expect("a folder");
    let all = || (0..classes).flat_map(move |class| (0..per_class).map(move |number| (class, number)));
    let pixels = all().flat_map(|(class, number)| picture(class, number).into_raw());
    let images = idx(0x803, &[classes * per_class, 4, 12], pixels);
    fs::write(folder.join("train-images-idx3-ubyte"), images).expect("a file");
    let labels = idx(0x801, &[classes * per_class], all().map(|(class, _)| class as u8));
    fs::write(folder.join("train-labels-idx1-ubyte"), labels).expect("a file");
}

/// The same pictures in folders, called by `name`.
fn write_folders(folder: &Path, classes: impl IntoIterator<Item = u32>, per_class: u32, name: impl Fn(u32) -> String) {
    for class in classes {
        let folder = folder.join(name(class));
        fs::create_dir_all(&folder).expect("a folder");
        for number in 0..per_class {
            picture(class, number).save(folder.join(format!("{number}.png"))).expect("a picture");
        }
    }
}

fn train(folder: &Path, config: &str, more: &[&str]) -> Said {
    fs::write(folder.join("net.toml"), config).expect("a file");
    let args = ["train", "--config", "net.toml", "--device", "cpu", "--out", "run"];
    succeed(folder, &args.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
}

/// Of a model away from its run folder: all of the data counts, whatever the run held out.
const EVALUATE: [&str; 6] = ["evaluate", "--device", "cpu", "--model", "model.safetensors", "--json"];

fn evaluate(folder: &Path, more: &[&str]) -> serde_json::Value {
    fs::copy(folder.join("run/last.safetensors"), folder.join("model.safetensors")).expect("a copy");
    let said = succeed(folder, &EVALUATE.into_iter().chain(more.iter().copied()).collect::<Vec<_>>());
    serde_json::from_str(&said.out).expect("one JSON object")
}

fn fail_to_evaluate(folder: &Path, more: &[&str], words: &[&str]) {
    fs::copy(folder.join("run/last.safetensors"), folder.join("model.safetensors")).expect("a copy");
    fail(folder, &EVALUATE.into_iter().chain(more.iter().copied()).collect::<Vec<_>>(), words);
}

#[test]
fn classes_are_matched_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name);
    write_idx(&path("idx"), 12, 8);
    write_folders(&path("folders"), 0..12, 8, |class| class.to_string());
    write_folders(&path("subset"), [2, 10], 8, |class| class.to_string());
    write_folders(&path("padded"), 0..12, 8, |class| format!("{class:02}"));
    write_folders(&path("extra"), 0..12, 8, |class| (class + 1).to_string());
    train(dir.path(), &network("[4, 12, 1]", 12, ""), &["--data", "idx"]);
    let whole = evaluate(dir.path(), &["--data", "idx"]);
    assert_eq!(whole["accuracy"].as_f64(), Some(1.0));
    let folders = evaluate(dir.path(), &["--data", "folders"]);
    assert_eq!((&folders["accuracy"], &folders["confusion"]), (&whole["accuracy"], &whole["confusion"]));
    let subset = evaluate(dir.path(), &["--data", "subset"]);
    assert_eq!((subset["accuracy"].as_f64(), subset["classes"].as_array().map(Vec::len)), (Some(1.0), Some(12)));
    assert_eq!(subset["macro_f1"].as_f64(), Some(1.0), "classes that do not occur do not count");
    for class in 0..12 {
        let row = &subset["classes"][class];
        assert_eq!(row["class"].as_str(), Some(class.to_string().as_str()));
        assert_eq!(row["support"].as_u64(), Some(if [2, 10].contains(&class) { 8 } else { 0 }));
    }
    fail_to_evaluate(dir.path(), &["--data", "padded"], &["new are 00, 01, ", "missing are 0, 1, ", "--classes 00=0"]);
    fail_to_evaluate(dir.path(), &["--data", "extra"], &["new are 12, missing are 0;"]);
    let renames: Vec<String> = (0..12).map(|class| format!("{class:02}={class}")).collect();
    let renamed = evaluate(dir.path(), &["--data", "padded", "--classes", &renames.join(",")]);
    assert_eq!(renamed["confusion"], whole["confusion"]);
    // Twelve names in natural order, so that positions fit too.
    let placed = evaluate(dir.path(), &["--data", "padded", "--ignore-class-names"]);
    assert_eq!(placed["confusion"], whole["confusion"]);
    // A run on folders goes on with the same order.
    fs::remove_dir_all(path("run")).expect("a run");
    train(dir.path(), &network("[4, 12, 1]", 12, ""), &["--data", "folders"]);
    succeed(dir.path(), &["train", "--resume", "--out", "run", "--epochs", "31"]);
    assert_eq!(evaluate(dir.path(), &["--data", "idx"])["accuracy"].as_f64(), Some(1.0));
}

#[test]
fn other_names_are_an_error_unless_told_otherwise() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name);
    let called = |names: [&'static str; 2]| move |class: u32| names[usize::from(class > 0)].to_owned();
    write_folders(&path("data"), [0, 9], 8, called(["left", "right"]));
    write_folders(&path("swapped"), [0, 9], 8, called(["b_left", "a_right"]));
    write_folders(&path("animals"), [0, 9], 8, called(["apple", "zebra"]));
    train(dir.path(), &network("[4, 12, 1]", 2, ""), &["--data", "data"]);
    let words = ["new are apple, zebra, missing are left, right", "--classes apple=left", "--ignore-class-names"];
    fail_to_evaluate(dir.path(), &["--data", "animals"], &words);
    fail_to_evaluate(dir.path(), &["--data", "swapped"], &["new are a_right, b_left"]);
    let told = ["--data", "swapped", "--classes", "a_right=right", "--classes", "b_left=left"];
    assert_eq!(evaluate(dir.path(), &told)["accuracy"].as_f64(), Some(1.0));
    let placed = evaluate(dir.path(), &["--data", "swapped", "--ignore-class-names"]);
    assert_eq!(placed["accuracy"].as_f64(), Some(0.0), "by position is what was asked for");
    fail_to_evaluate(dir.path(), &["--data", "animals", "--classes", "aple=left"], &["no class aple"]);
    fail_to_evaluate(dir.path(), &["--data", "animals", "--classes", "apple"], &["DATA=MODEL"]);
    // One of two classes is a test set, and no reason to change the network.
    write_folders(&path("one"), [9], 8, |_| "right".into());
    assert_eq!(evaluate(dir.path(), &["--data", "one"])["accuracy"].as_f64(), Some(1.0));
}

/// Every file of the folder is predicted as evaluation sees it.
fn assert_predicted_as_evaluated(folder: &Path, files: &[(String, String)]) {
    let confusion: Vec<Vec<u64>> =
        serde_json::from_value(evaluate(folder, &["--data", "data"])["confusion"].clone()).expect("a matrix");
    let predict = ["predict", "--device", "cpu", "--model", "run/last.safetensors", "--json", "--top", "1"];
    let args: Vec<&str> = predict.into_iter().chain(files.iter().map(|(_, file)| file.as_str())).collect();
    let found: serde_json::Value = serde_json::from_str(&succeed(folder, &args).out).expect("JSON");
    let mut predicted = vec![vec![0; confusion.len()]; confusion.len()];
    let classes = ["bars", "lines", "spots"];
    for ((label, _), image) in files.iter().zip(found["images"].as_array().expect("a list")) {
        let place = |name: &str| classes.iter().position(|class| *class == name).expect("a class");
        predicted[place(label)][place(image["class"].as_str().expect("a name"))] += 1;
    }
    assert_eq!(predicted, confusion);
}

#[test]
fn files_are_predicted_as_they_are_evaluated() {
    for (input, prepare) in
        [("[9, 9, 1]", "plain"), ("[9, 9, 3]", "plain"), ("[9, 9, 1]", "mnist"), ("[20, 24, 1]", "plain")]
    {
        let dir = tempfile::tempdir().expect("a folder");
        let mut files = Vec::new();
        for (kind, class) in ["bars", "lines", "spots"].into_iter().enumerate() {
            fs::create_dir_all(dir.path().join("data").join(class)).expect("a folder");
            for number in 0..12u32 {
                // Smaller, as large as and larger than the network; light and dark ground; grey and colour.
                let side = [6, 9, 25][number as usize % 3];
                let (ground, ink) = if number % 2 == 0 { (240, 20) } else { (10, 230) };
                let inked = |x: u32, y: u32| match kind {
                    0 => x % 3 == 1,
                    1 => y % 4 == 2,
                    _ => (x / 2 + y / 2).is_multiple_of(3),
                };
                let level = |x, y| if inked(x, y) { ink } else { ground - (number as u8 + x as u8) % 9 };
                let file = format!("data/{class}/{number}.{}", if number % 4 < 2 { "png" } else { "jpg" });
                if number < 6 {
                    GrayImage::from_fn(side, side, |x, y| Luma([level(x, y)])).save(dir.path().join(&file))
                } else {
                    RgbImage::from_fn(side, side, |x, y| Rgb([level(x, y), ink / 2, level(y, x)]))
                        .save(dir.path().join(&file))
                }
                .expect("a picture");
                files.push((class.to_owned(), file));
            }
        }
        // Two epochs leave some mistakes, which must be the same ones.
        let config = network(input, 3, &format!("prepare = \"{prepare}\"")).replace("epochs = 30", "epochs = 2");
        train(dir.path(), &config, &["--data", "data"]);
        assert_predicted_as_evaluated(dir.path(), &files);
    }
}

#[test]
fn data_sorted_by_label_is_split_by_class() {
    let dir = tempfile::tempdir().expect("a folder");
    write_idx(&dir.path().join("data"), 10, 20);
    let said = train(dir.path(), &network("[4, 12, 1]", 10, ""), &["--data", "data"]);
    assert!(said.out.contains("180 to train on, 20 to validate on") && !said.out.contains("warning"), "{}", said.out);
    let last = |key: &str| metrics(&dir.path().join("run"))[29][key].as_f64();
    assert_eq!(last("val_accuracy"), Some(1.0));
    let bytes_of = |run: &str| bytes(&dir.path().join(run), "last.safetensors");
    fs::rename(dir.path().join("run"), dir.path().join("first")).expect("a run");
    train(dir.path(), &network("[4, 12, 1]", 10, ""), &["--data", "data"]);
    assert!(bytes_of("run") == bytes_of("first"), "the same seed splits alike");
    fs::remove_dir_all(dir.path().join("run")).expect("a run");
    let said = train(dir.path(), &network("[4, 12, 1]", 10, "split = \"end\""), &["--data", "data"]);
    let warnings: Vec<&str> = said.out.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(
        warnings,
        [
            "warning: classes without an example to train on: 9",
            "warning: classes without an example to validate on: 0, 1, 2, 3, 4, 5, 6, 7, 8"
        ]
    );
}

#[test]
fn a_run_of_before_keeps_its_split() {
    let dir = tempfile::tempdir().expect("a folder");
    write_idx(&dir.path().join("data"), 10, 20);
    let end = network("[4, 12, 1]", 10, "split = \"end\"");
    train(dir.path(), &end, &["--data", "data", "--epochs", "2"]);
    copy(&dir.path().join("run"), &dir.path().join("old"));
    // As the files were written before.
    let old = |text: String| text.replace("split = \"end\"\n", "").replace("prepare = \"plain\"\n", "");
    let config = dir.path().join("old/config.toml");
    fs::write(&config, old(fs::read_to_string(&config).expect("a file"))).expect("a file");
    let path = dir.path().join("old/run.json");
    let mut settings: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
    settings["format"] = 1.into();
    settings["config"] = old(settings["config"].as_str().expect("text").to_owned()).into();
    settings.retain(|key, _| !["validation", "skip_bad"].contains(&key.as_str()));
    fs::write(&path, serde_json::to_string(&settings).expect("JSON")).expect("a file");
    for name in ["last.safetensors", "best.safetensors"] {
        downgrade(&dir.path().join("old").join(name));
    }
    for out in ["run", "old"] {
        succeed(dir.path(), &["train", "--resume", "--out", out, "--epochs", "4"]);
    }
    assert_same_run(&dir.path().join("run"), &dir.path().join("old"), "an old run that goes on");
}

/// Writes a checkpoint as format 1 was: the configuration in it says nothing of split and preparation.
fn downgrade(path: &Path) {
    let bytes = fs::read(path).expect("a file");
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).expect("a checkpoint");
    let header = &metadata.metadata().as_ref().expect("metadata")["tilegrad"];
    let mut header: serde_json::Value = serde_json::from_str(header).expect("JSON");
    header["format"] = 1.into();
    let config = header["config"].as_str().expect("text").replace("split = \"end\"\n", "");
    header["config"] = config.replace("prepare = \"plain\"\n", "").into();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("a checkpoint").tensors();
    let metadata = [("tilegrad".to_owned(), header.to_string())].into();
    fs::write(path, safetensors::serialize(tensors, Some(metadata)).expect("tensors")).expect("a file");
}

#[test]
fn a_validation_set_of_its_own_is_read_and_guarded() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name);
    for (part, classes) in [("train", 0..6), ("validation", 0..6), ("test", 0..3)] {
        write_folders(&path("data").join(part), classes, 8, |class| class.to_string());
    }
    let config = network("[4, 12, 1]", 6, "validation_split = 0.5");
    let said = train(dir.path(), &config, &["--data", "data"]);
    let line = "48 to train on, 48 to validate on (a set of its own), 24 to test on";
    assert!(said.out.contains(line) && said.out.contains("val accuracy 1.0000"), "{}", said.out);
    // The same sets, named one by one.
    fs::rename(path("data/validation"), path("mine")).expect("a folder");
    fs::rename(path("run"), path("first")).expect("a run");
    let said = train(dir.path(), &config, &["--data", "data", "--val", "mine"]);
    assert!(said.out.contains(line), "{}", said.out);
    assert_same_run(&path("first"), &path("run"), "val/ and --val");
    succeed(dir.path(), &["train", "--resume", "--out", "run", "--epochs", "31"]);
    fs::remove_file(path("mine/3/0.png")).expect("a picture");
    fail(dir.path(), &["train", "--resume", "--out", "run", "--epochs", "32"], &["not what this run was started with"]);
    write_folders(&path("mine"), [7], 1, |_| "emu".into());
    let args = ["train", "--config", "net.toml", "--data", "data", "--val", "mine", "--device", "cpu", "--out", "x"];
    fail(dir.path(), &args, &["mine: classes that are not trained on: emu"]);
}

#[test]
fn litter_is_counted_and_damage_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str| dir.path().join("data").join(name);
    write_folders(&dir.path().join("data"), 0..2, 12, |class| ["cat", "dog"][class as usize].into());
    for name in ["cat/desktop.ini", "dog/desktop.ini", "dog/Thumbs.db", "dog/notes.txt"] {
        fs::write(file(name), "x").expect("a file");
    }
    for name in ["__MACOSX/cat", "cat/more", "empty"] {
        fs::create_dir_all(file(name)).expect("a folder");
    }
    let config = network("[4, 12, 1]", 2, "");
    let said = train(dir.path(), &config, &["--data", "data"]);
    for note in [
        "note: skipped 4 files that are no images in data/train: 2 .ini, 1 .db, 1 .txt",
        "note: skipped what lies in folders within class folders of data/train: cat/more",
        "note: left out class folders without images: empty",
    ] {
        assert!(said.out.contains(note), "`{note}` is missing in\n{}", said.out);
    }
    for (name, source) in [("cat/cut.jpg", "cut.jpg"), ("dog/cut.png", "cut.png")] {
        picture(0, 0).save(dir.path().join(source)).expect("a picture");
        let bytes = fs::read(dir.path().join(source)).expect("a file");
        fs::write(file(name), &bytes[..bytes.len() - 20]).expect("a file");
    }
    let args = ["train", "--config", "net.toml", "--data", "data", "--device", "cpu", "--out", "b"];
    fail(dir.path(), &args, &["2 of 26 images can't be read: cat/cut.jpg: ", "; dog/cut.png: ", "--skip-bad"]);
    let said = succeed(dir.path(), &args.iter().copied().chain(["--skip-bad"]).collect::<Vec<_>>());
    assert!(said.out.contains("note: left out 2 of 26 images that can't be read: cat/cut.jpg, dog/cut.png"));
    succeed(dir.path(), &["train", "--resume", "--out", "b", "--epochs", "31"]);
    fail_to_evaluate(dir.path(), &["--data", "data"], &["cat/cut.jpg", "--skip-bad"]);
    assert_eq!(evaluate(dir.path(), &["--data", "data", "--skip-bad"])["examples"].as_u64(), Some(24));
    let predict =
        ["predict", "--device", "cpu", "--model", "run/last.safetensors", "data/cat/0.png", "data/cat/cut.jpg"];
    fail(dir.path(), &predict, &["cut.jpg: can't be decoded as an image", "cut short"]);
    let said = succeed(dir.path(), &predict.iter().copied().chain(["--skip-bad"]).collect::<Vec<_>>());
    assert!(said.out.contains("left out 1 file") && said.out.contains("data/cat/0.png: cat"), "{}", said.out);
}
