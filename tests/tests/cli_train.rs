//! `tilegrad train`: what it leaves behind, that it repeats itself, and that nothing stops it for good.

mod cli_common;

use cli_common::*;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

const TRAIN: [&str; 7] = ["train", "--config", "small.toml", "--data", "data", "--device", "cpu"];

fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    TRAIN.into_iter().chain(more.iter().copied()).collect()
}

#[test]
fn a_run_folder_holds_everything() {
    let dir = workplace();
    let said = succeed(dir.path(), &args(&["--out", "run"]));
    let run = dir.path().join("run");
    for part in ["device: cpu", "FLOPs per image", "epoch 1/4", "epoch 4/4", "best", "test loss", "saved in run"] {
        assert!(said.out.contains(part), "`{part}` is missing in\n{}", said.out);
    }
    assert!(!said.out.chars().any(|c| c.is_control() && c != '\n'), "control characters without a terminal");
    assert_whole_metrics(&run, 4);
    let keys = ["epoch", "step", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "images_per_s", "seconds"];
    for key in keys {
        assert!(metrics(&run)[0][key].is_number(), "{key}");
    }
    let config = tilegrad_model::Config::load(&run.join("config.toml")).expect("config.toml is a configuration");
    assert_eq!((config.train.epochs, config.train.batch), (4, 16));
    let curves = image::open(run.join("curves.png")).expect("a picture");
    assert_eq!((curves.width(), curves.height()), (1200, 500));
    assert_eq!(said.out.matches('\n').count(), said.out.lines().count());
}

#[test]
fn the_default_job_is_mnist_from_any_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    for wanted in ["runs/mnist_cnn-1", "runs/mnist_cnn-2"] {
        let said = succeed(dir.path(), &["train", "--device", "cpu", "--limit", "200", "--epochs", "1"]);
        assert!(said.out.contains("93,322") && said.out.contains(wanted), "{}", said.out);
    }
    let said = succeed(dir.path(), &["train", "--resume", "--epochs", "2"]);
    assert!(said.out.contains("run: runs/mnist_cnn-2 (goes on after epoch 1)"), "{}", said.out);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let dir = workplace();
    for device in devices(dir.path()) {
        for out in ["a", "b"] {
            let out = format!("{out}-{device}");
            succeed(
                dir.path(),
                &args(&["--out", &out])[..5]
                    .iter()
                    .copied()
                    .chain(["--device", device, "--out", &out])
                    .collect::<Vec<_>>(),
            );
        }
        let run = |name: &str| dir.path().join(format!("{name}-{device}"));
        assert_same_run(&run("a"), &run("b"), device);
    }
    succeed(dir.path(), &args(&["--out", "c", "--seed", "8"]));
    let differs =
        bytes(&dir.path().join("a-cpu"), "last.safetensors") != bytes(&dir.path().join("c"), "last.safetensors");
    assert!(differs, "another seed gives another network");
}

#[test]
fn going_on_gives_the_bytes_of_one_go() {
    let dir = workplace();
    for device in devices(dir.path()) {
        let base = |more: &[&'static str]| {
            let start = ["train", "--config", "small.toml", "--data", "data", "--device", device];
            start.into_iter().chain(more.iter().copied()).collect::<Vec<_>>()
        };
        for out in ["whole", "parts"] {
            let _ = fs::remove_dir_all(dir.path().join(out));
        }
        succeed(dir.path(), &base(&["--out", "whole"]));
        succeed(dir.path(), &base(&["--out", "parts", "--epochs", "2"]));
        succeed(dir.path(), &["train", "--resume", "--out", "parts", "--epochs", "4"]);
        assert_same_run(&dir.path().join("whole"), &dir.path().join("parts"), device);
        assert_whole_metrics(&dir.path().join("parts"), 4);
    }
}

/// The CPU device, and a software adapter if the machine has one.
fn devices(folder: &Path) -> Vec<&'static str> {
    let found = succeed(folder, &["doctor", "--json"]).out.contains("software adapter\"");
    if !found {
        assert!(std::env::var_os("TILEGRAD_REQUIRE_ADAPTER").is_none(), "no software adapter; run `cargo xtask test`");
        let mut err = std::io::stderr();
        let _ = std::io::Write::write_all(&mut err, b"not covered: this machine has no software adapter\n");
    }
    if found { vec!["cpu", "software"] } else { vec!["cpu"] }
}

/// Every state that a process killed between two files leaves, made by hand.
#[test]
fn a_run_killed_between_two_files_goes_on() {
    let dir = workplace();
    let path = |name: &str| dir.path().join(name);
    succeed(dir.path(), &args(&["--out", "whole", "--epochs", "6"]));
    for epochs in 1..=5 {
        let out = format!("after{epochs}");
        succeed(dir.path(), &args(&["--out", &out, "--epochs", &epochs.to_string()]));
    }
    for done in 1..=4 {
        let (old, new) = (path(&format!("after{done}")), path(&format!("after{}", done + 1)));
        let resume = |what: &str, files: &[&str]| {
            let out = format!("{done}-{what}");
            copy(&old, &path(&out));
            for file in files {
                fs::copy(new.join(file), path(&out).join(file)).expect("a copy");
            }
            fs::write(path(&out).join(".x.unfinished"), b"half a checkpoint").expect("a file");
            succeed(dir.path(), &["train", "--resume", "--out", &out, "--epochs", "6"]);
            assert_same_run(&path("whole"), &path(&out), &out);
            assert_whole_metrics(&path(&out), 6);
            assert!(!path(&out).join(".x.unfinished").exists());
        };
        resume("metrics", &["metrics.jsonl"]);
        resume("metrics-last", &["metrics.jsonl", "last.safetensors"]);
    }
}

#[test]
fn a_run_killed_before_its_first_epoch_goes_on() {
    let dir = workplace();
    succeed(dir.path(), &args(&["--out", "whole"]));
    for files in [&["run.json"][..], &["run.json", "config.toml"]] {
        let out = dir.path().join(format!("early{}", files.len()));
        fs::create_dir(&out).expect("a folder");
        for file in files {
            fs::copy(dir.path().join("whole").join(file), out.join(file)).expect("a copy");
        }
        succeed(dir.path(), &["train", "--resume", "--out", &out.display().to_string()]);
        assert_same_run(&dir.path().join("whole"), &out, "from the settings alone");
        assert_whole_metrics(&out, 4);
    }
    fs::create_dir(dir.path().join("empty")).expect("a folder");
    succeed(dir.path(), &args(&["--out", "empty", "--resume"]));
    assert_same_run(&dir.path().join("whole"), &dir.path().join("empty"), "from an empty folder");
}

#[cfg(unix)]
#[test]
fn a_run_killed_at_any_moment_goes_on() {
    let dir = workplace();
    let path = |name: &str| dir.path().join(name);
    let begun = Instant::now();
    succeed(dir.path(), &args(&["--out", "whole", "--epochs", "12"]));
    let whole = begun.elapsed();
    const ROUNDS: u32 = 40;
    let mut cut = 0;
    for round in 0..ROUNDS {
        let out = format!("killed{round}");
        let delay = whole * round / ROUNDS;
        let child = command(dir.path(), &args(&["--out", &out, "--epochs", "12"])).spawn().expect("the binary starts");
        cut += u32::from(kill_after(child, delay));
        // Sometimes the run that goes on is killed as well.
        if round % 3 == 0 && path(&out).join("run.json").exists() {
            let again = command(dir.path(), &["train", "--resume", "--out", &out]).spawn().expect("the binary starts");
            kill_after(again, whole / 4);
        }
        let mut again = args(&["--out", &out, "--epochs", "12"]);
        if path(&out).exists() {
            again.push("--resume");
        }
        succeed(dir.path(), &again);
        assert_same_run(&path("whole"), &path(&out), &format!("killed after {delay:?}"));
        assert_whole_metrics(&path(&out), 12);
        fs::remove_dir_all(path(&out)).expect("the run can be removed");
    }
    assert!(cut > ROUNDS / 2, "only {cut} of {ROUNDS} runs were killed in time");
}

/// Kills the process without a warning; true if it was still running.
fn kill_after(mut child: Child, delay: Duration) -> bool {
    std::thread::sleep(delay);
    let running = child.try_wait().expect("the child can be asked").is_none();
    let _ = child.kill();
    child.wait().expect("the child ends");
    running
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_and_says_how_to_go_on() {
    let dir = workplace();
    succeed(dir.path(), &args(&["--out", "whole", "--epochs", "300"]));
    let mut child =
        command(dir.path(), &args(&["--out", "run", "--epochs", "300"])).spawn().expect("the binary starts");
    let run = dir.path().join("run");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !run.join("best.safetensors").exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let id = child.id().to_string();
    let sent = std::process::Command::new("kill").args(["-INT", &id]).status().expect("kill is there");
    assert!(sent.success() && child.try_wait().expect("the child can be asked").is_none());
    let said = Said::from(child.wait_with_output().expect("the child ends"));
    assert_eq!(said.code, Some(130), "{said:?}");
    assert!(said.out.contains("go on with: tilegrad train --resume --out run"), "{}", said.out);
    succeed(dir.path(), &["train", "--resume", "--out", "run"]);
    assert_same_run(&dir.path().join("whole"), &run, "interrupted");
}

#[test]
fn what_a_run_was_started_with_cannot_change() {
    let dir = workplace();
    succeed(dir.path(), &args(&["--out", "run", "--epochs", "1", "--limit", "160"]));
    let resume =
        |more: &[&'static str]| ["train", "--resume", "--out", "run"].iter().chain(more).copied().collect::<Vec<_>>();
    for (option, value, before) in
        [("--batch", "8", "16"), ("--seed", "1", "7"), ("--lr", "0.5", "0.001"), ("--limit", "99", "160")]
    {
        fail(dir.path(), &resume(&[option, value]), &[option, before, "cannot change"]);
    }
    fs::write(dir.path().join("other.toml"), config("[8, 8, 1]", &LAYERS.replace("filters = 4", "filters = 5")))
        .expect("a file");
    fail(dir.path(), &resume(&["--config", "other.toml"]), &["the network", "other.toml"]);
    fail(dir.path(), &args(&["--out", "run"]), &["holds a run already", "--resume"]);
    write_data(&dir.path().join("moved"), 200, 80);
    succeed(dir.path(), &resume(&["--data", "moved", "--batch", "16", "--epochs", "2"]));
    write_data(&dir.path().join("other"), 150, 80);
    fail(dir.path(), &resume(&["--data", "other"]), &["not what this run was started with"]);
    fail(dir.path(), &resume(&["--epochs", "1"]), &["2 epochs already"]);
}
