//! Bad input: one clear line, exit code 1 or 2, no panic.

mod cli_common;

use cli_common::*;
use std::fs;
use std::io::Write;
use std::path::Path;

const TRAIN: [&str; 7] = ["train", "--config", "small.toml", "--device", "cpu", "--out", "run"];

/// Trains on the folder `data` as it is now; no run folder may be left behind.
fn fail_on_data(folder: &Path, words: &[&str]) {
    let args: Vec<&str> = TRAIN.into_iter().chain(["--data", "data"]).collect();
    fail(folder, &args, words);
    assert!(!folder.join("run").exists(), "a run that never began left a folder");
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join("data").join(name), bytes).expect("a file");
}

fn empty_data(folder: &Path) {
    fs::remove_dir_all(folder.join("data")).expect("the data can go");
    fs::create_dir(folder.join("data")).expect("a folder");
}

#[test]
fn a_truncated_gzip_file() {
    let dir = workplace();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&images(200)).expect("memory");
    let whole = gzip.finish().expect("memory");
    fs::remove_file(dir.path().join("data/train-images-idx3-ubyte")).expect("it is there");
    for part in [whole.len() / 2, 5, 0] {
        write(dir.path(), "train-images-idx3-ubyte.gz", &whole[..part]);
        fail_on_data(dir.path(), &["train-images-idx3-ubyte.gz", "gzip"]);
    }
}

#[test]
fn a_wrong_idx_magic() {
    let dir = workplace();
    write(dir.path(), "train-images-idx3-ubyte", &labels(200));
    fail_on_data(dir.path(), &["train-images-idx3-ubyte", "magic", "0x00000801"]);
}

#[test]
fn a_label_too_few() {
    let dir = workplace();
    write(dir.path(), "train-images-idx3-ubyte", &images(60_000));
    write(dir.path(), "train-labels-idx1-ubyte", &labels(59_999));
    fail_on_data(dir.path(), &["59999 labels", "60000 images"]);
}

#[test]
fn a_label_beyond_the_classes() {
    let dir = workplace();
    let mut wrong = labels(200);
    wrong[8 + 17] = 10;
    write(dir.path(), "train-labels-idx1-ubyte", &wrong);
    fail_on_data(dir.path(), &["label 10", "index 17", "classes, 10"]);
}

#[test]
fn an_empty_class_folder() {
    let dir = workplace();
    empty_data(dir.path());
    for class in 0..11 {
        fs::create_dir(dir.path().join(format!("data/c{class}"))).expect("a folder");
    }
    fail_on_data(dir.path(), &["data", "no images in the class folders"]);
    for class in (0..11).filter(|class| ![3, 7].contains(class)) {
        image::GrayImage::new(8, 8).save(dir.path().join(format!("data/c{class}/a.png"))).expect("a picture");
    }
    // Nine classes have images, eleven are named, the network has ten.
    fail_on_data(dir.path(), &["9 class folders", "expected 10"]);
}

#[test]
fn a_text_file_named_png() {
    let dir = workplace();
    empty_data(dir.path());
    for class in 0..10 {
        fs::create_dir(dir.path().join(format!("data/c{class}"))).expect("a folder");
        write(dir.path(), &format!("c{class}/a.png"), b"this is no picture\n");
    }
    fail_on_data(dir.path(), &["a.png", "decoded"]);
}

#[test]
fn a_folder_without_data() {
    let dir = workplace();
    empty_data(dir.path());
    fail_on_data(dir.path(), &["no data set found"]);
    fs::remove_dir(dir.path().join("data")).expect("it is empty");
    fail_on_data(dir.path(), &["data", "No such file"]);
}

#[test]
fn configurations_that_cannot_be() {
    let dir = workplace();
    let good = config("[8, 8, 1]", LAYERS);
    let cases: &[(&str, &str, &[&str])] = &[
        ("\"conv2d\"", "\"conv2\"", &["conv2", "conv2d"]),
        ("filters", "filtres", &["filtres", "filters"]),
        ("batch = 16", "bacth = 16", &["bacth", "batch"]),
        ("[network]", "[netwrok]", &["netwrok", "network"]),
        ("[train]", "[trian]", &["trian", "train"]),
        ("size = 2", "size = 7", &["max_pool", "6x6"]),
        ("batch = 16", "batch = 0", &["batch", "0"]),
        ("epochs = 4", "epochs = \"four\"", &["epochs"]),
        ("[8, 8, 1]", "[8, 8", &["line"]),
        ("units = 10", "units = 9", &["label 9", "classes, 9"]),
        ("[8, 8, 1]", "[9, 9, 1]", &["8x8x1", "9x9x1"]),
    ];
    for (old, new, words) in cases {
        fs::write(dir.path().join("small.toml"), good.replacen(old, new, 1)).expect("a file");
        fail_on_data(dir.path(), words);
    }
    let layers = format!("{LAYERS}\n[optimiser]\ntype = \"adam\"\nlearning_rate = nan\n");
    fs::write(dir.path().join("small.toml"), config("[8, 8, 1]", &layers)).expect("a file");
    fail_on_data(dir.path(), &["learning_rate"]);
    fail(dir.path(), &["train", "--config", "none.toml"], &["none.toml", "could not be read"]);
}

#[test]
fn options_that_cannot_be() {
    let dir = workplace();
    let cases: &[(&[&str], &[&str])] = &[
        (&["--batch", "0"], &["--batch", "0"]),
        (&["--lr", "NaN"], &["--lr", "positive"]),
        (&["--lr", "-1"], &["--lr", "positive"]),
        (&["--lr", "inf"], &["--lr", "positive"]),
        (&["--epochs", "0"], &["--epochs"]),
        (&["--epochs", "many"], &["--epochs", "many"]),
        (&["--limit", "0"], &["--limit"]),
        (&["--epoch", "1"], &["--epoch", "--epochs"]),
        (&["surplus"], &["surplus"]),
    ];
    for (options, words) in cases {
        let args: Vec<&str> = TRAIN.into_iter().chain(["--data", "data"]).chain(options.iter().copied()).collect();
        fail(dir.path(), &args, words);
        assert!(!dir.path().join("run").exists(), "{options:?} left a run folder");
    }
    let train = |device: &'static str| {
        ["train", "--config", "small.toml", "--data", "data", "--out", "run", "--device", device]
    };
    fail(dir.path(), &train("voodoo"), &["voodoo", "auto, gpu, software or cpu"]);
    fail(dir.path(), &train(""), &["--device"]);
    fail(dir.path(), &["trian"], &["trian", "train"]);
    fail(dir.path(), &["train", "--resume"], &["no run to go on with"]);
    fail(dir.path(), &["train", "--resume", "--out", "nowhere"], &["nowhere", "no run to go on with"]);
}

/// As other trainers do it: there is nothing else that the user could have meant.
#[test]
fn a_batch_larger_than_the_data_is_cut_down_with_a_note() {
    let dir = workplace();
    let train = |batch: &'static str, out: &'static str| {
        let args = ["--data", "data", "--epochs", "1", "--batch", batch, "--out", out];
        run(dir.path(), &TRAIN[..TRAIN.len() - 2].iter().copied().chain(args).collect::<Vec<_>>())
    };
    let (cut, whole) = (train("161", "cut"), train("160", "whole"));
    assert_eq!((cut.code, whole.code, whole.err.as_str()), (Some(0), Some(0), ""), "{}{}", cut.err, whole.err);
    assert!(cut.err.starts_with("note: a batch of 161 is cut down to the 160 "), "{}", cut.err);
    // Every figure of the epoch but its time is that of the batch that there is.
    let figures =
        |out: &str| ["train_loss", "val_loss", "step"].map(|key| metrics(&dir.path().join(out))[0][key].clone());
    assert_eq!(figures("cut"), figures("whole"));
}

#[test]
fn an_out_folder_that_cannot_be_written() {
    let dir = workplace();
    fs::write(dir.path().join("file"), b"").expect("a file");
    let train =
        |out: &'static str| ["train", "--config", "small.toml", "--data", "data", "--device", "cpu", "--out", out];
    fail(dir.path(), &train("file"), &["file"]);
    fail(dir.path(), &train("file/run"), &["file/run", "could not be made"]);
    #[cfg(target_os = "linux")]
    fail(dir.path(), &train("/proc/run"), &["/proc/run", "could not be made"]);
}

#[test]
fn a_checkpoint_of_another_network() {
    let dir = workplace();
    let train = |config: &'static str, out: &'static str| {
        ["train", "--config", config, "--data", "data", "--device", "cpu", "--epochs", "1", "--out", out]
    };
    let other = config("[8, 8, 1]", &LAYERS.replace("filters = 4", "filters = 5"));
    fs::write(dir.path().join("other.toml"), other).expect("a file");
    succeed(dir.path(), &train("small.toml", "run"));
    succeed(dir.path(), &train("other.toml", "other"));
    let last = dir.path().join("run/last.safetensors");
    fs::copy(dir.path().join("other/last.safetensors"), &last).expect("a copy");
    let resume = ["train", "--resume", "--out", "run", "--epochs", "2"];
    fail(dir.path(), &resume, &["another network", "conv1.weight", "5", "4"]);
    fail(
        dir.path(),
        &["evaluate", "--device", "cpu", "--model", "other/last.safetensors", "--data", mnist()],
        &["28x28x1", "8x8x1"],
    );
    let whole = fs::read(dir.path().join("other/last.safetensors")).expect("a file");
    for bytes in [&whole[..whole.len() / 2], &whole[..4], b"", b"{}"] {
        fs::write(&last, bytes).expect("a file");
        fail(dir.path(), &resume, &["last.safetensors", "safetensors"]);
        fail(dir.path(), &["predict", "--model", "run/last.safetensors", "x.png"], &["last.safetensors"]);
    }
    fail(dir.path(), &["evaluate", "--model", "none.safetensors"], &["none.safetensors", "could not be read"]);
    fail(dir.path(), &["predict", "--device", "cpu", "--model", "other/last.safetensors", "none.png"], &["none.png"]);
}

fn mnist() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/mnist")
}

#[test]
fn a_loss_that_is_no_longer_a_number() {
    let dir = workplace();
    let two_products = "[[network.layers]]\ntype = \"flatten\"\n[[network.layers]]\ntype = \"dense\"\nunits = 16\n\
                        [[network.layers]]\ntype = \"dense\"\nunits = 10\n";
    fs::write(dir.path().join("small.toml"), config("[8, 8, 1]", two_products)).expect("a file");
    let args: Vec<&str> = TRAIN.into_iter().chain(["--data", "data", "--lr", "1e30"]).collect();
    fail(dir.path(), &args, &["step", "not finite", "last good checkpoint", "--lr"]);
    let kept = dir.path().join("run/last.safetensors");
    let kept = tilegrad_model::Checkpoint::load(&kept).expect("the last good checkpoint is whole");
    assert!(kept.parameters.iter().all(|value| value.is_finite()));
    succeed(dir.path(), &["evaluate", "--device", "cpu", "--model", "run/last.safetensors"]);
    fail(dir.path(), &["train", "--resume", "--out", "run"], &["not finite"]);
}
