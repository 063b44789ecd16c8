//! Run folders as a killed process leaves them.

use super::*;
use tempfile::TempDir;
use tilegrad_model::{Config, Trainer};
use tilegrad_runtime::{Device, DeviceChoice, DeviceOptions};

const CONFIG: &str = "[network]\ninput = [2, 2, 1]\n[[network.layers]]\ntype = \"flatten\"\n\
                      [[network.layers]]\ntype = \"dense\"\nunits = 2\n";

fn config() -> Config {
    Config::parse(CONFIG, "test").unwrap()
}

/// The checkpoint after `epoch`, best in the epoch of accuracy `best`.
fn checkpoint(epoch: u32, best: Option<f64>) -> Checkpoint {
    let device = Device::open(&DeviceChoice::Cpu, DeviceOptions::default()).unwrap();
    let mut checkpoint = Trainer::new(device, config()).unwrap().checkpoint().unwrap();
    checkpoint.epoch = epoch;
    checkpoint.parameters[0] = epoch as f32;
    checkpoint.best = best.map(|accuracy| (accuracy, 0.5));
    checkpoint
}

fn settings() -> Settings {
    Settings::new(&config(), "data".into(), "0".into(), "cpu")
}

fn folder() -> (TempDir, RunFolder) {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = RunFolder::create(Some(dir.path()), "x").unwrap();
    folder.write_settings(&settings()).unwrap();
    (dir, folder)
}

fn best(folder: &RunFolder) -> Checkpoint {
    Checkpoint::load(&folder.file("best.safetensors")).unwrap()
}

#[test]
fn a_missing_best_is_made_from_last() {
    let (_dir, folder) = folder();
    let last = checkpoint(1, Some(0.9));
    folder.repair_best(&last, last.config.train.epochs).unwrap();
    assert_eq!(best(&folder), last);
}

#[test]
fn a_best_that_is_one_epoch_behind_is_replaced() {
    let (_dir, folder) = folder();
    folder.save_epoch(&[], &checkpoint(1, Some(0.9)), true).unwrap();
    let last = checkpoint(2, Some(0.95));
    folder.repair_best(&last, last.config.train.epochs).unwrap();
    assert_eq!(best(&folder), last);
}

#[test]
fn an_older_best_stays_but_learns_the_number_of_epochs() {
    let (_dir, folder) = folder();
    folder.save_epoch(&[], &checkpoint(1, Some(0.9)), true).unwrap();
    folder.save_epoch(&[], &checkpoint(2, Some(0.9)), false).unwrap();
    folder.repair_best(&checkpoint(2, Some(0.9)), 7).unwrap();
    assert_eq!((best(&folder).epoch, best(&folder).config.train.epochs), (1, 7));
}

#[test]
fn before_the_first_epoch_there_is_no_best() {
    let (_dir, folder) = folder();
    folder.repair_best(&checkpoint(0, None), 3).unwrap();
    assert!(!folder.file("best.safetensors").exists());
}

#[test]
fn a_folder_holds_one_run_and_one_process() {
    let (dir, folder) = folder();
    let error = RunFolder::create(Some(dir.path()), "x").unwrap_err().to_string();
    assert!(error.contains("run.json") && error.contains("--resume"), "{error}");
    if cfg!(unix) {
        let error = RunFolder::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("another process"), "{error}");
    }
    drop(folder);
    let (folder, found) = RunFolder::open(dir.path()).unwrap();
    assert_eq!(found, settings());
    assert!(folder.last().unwrap().is_none());
}

#[test]
fn half_written_files_are_cleared_away() {
    let (dir, folder) = folder();
    drop(folder);
    let half = dir.path().join(".abc.unfinished");
    fs::write(&half, "x").unwrap();
    let _folder = RunFolder::open(dir.path()).unwrap();
    assert!(!half.exists());
}

#[test]
fn a_changed_configuration_is_noticed() {
    let (dir, folder) = folder();
    drop(folder);
    let path = dir.path().join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("epochs = 10", "epochs = 20")).unwrap();
    assert!(RunFolder::open(dir.path()).is_ok(), "the number of epochs may change");
    fs::write(&path, text.replace("batch = 64", "batch = 32")).unwrap();
    let error = RunFolder::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("[train] was changed"), "{error}");
    fs::remove_file(&path).unwrap();
    assert!(RunFolder::open(dir.path()).is_ok(), "run.json says it all");
}

#[test]
fn a_folder_made_for_nothing_goes_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b");
    drop(RunFolder::create(Some(&path), "x").unwrap());
    assert!(!path.exists());
    fs::create_dir_all(&path).unwrap();
    drop(RunFolder::create(Some(&path), "x").unwrap());
    assert!(path.exists(), "it was there before");
}
