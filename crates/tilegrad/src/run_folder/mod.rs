//! A run folder: what a training leaves behind, and what it goes on from.
//!
//! | file | holds | written |
//! |---|---|---|
//! | `run.json` | [`Settings`]: everything that decides the result | before the first step; a folder without it holds no run |
//! | `config.toml` | the configuration as run, for people and for `--config` | next |
//! | `last.safetensors` | the training after the last whole epoch | at the start, and after each epoch |
//! | `best.safetensors` | the same, of the best epoch | after `last` |
//! | `metrics.jsonl` | a line per epoch; at the end the test figures of best and last | before `last` |
//! | `curves.png` | loss and accuracy | after all else |
//!
//! Each file is replaced as a whole. An epoch counts once `last.safetensors` holds it: lines of `metrics.jsonl` beyond
//! it are dropped when a run goes on, and a `best.safetensors` that the process did not live to write is made from
//! `last.safetensors`, which then is the best. So a process may be killed at any moment.

mod history;
mod place;
mod settings;

pub use history::TestFigures;
pub use place::{check_parent, is_empty_folder, model, newest};
pub use settings::{Settings, difference};

use anyhow::{Context, Result, bail};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use tilegrad_model::{Checkpoint, EpochRecord, ModelError, remove_unfinished, write_atomically};

/// A folder that this process, and no other, trains in.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Whether this process made the folder and has left nothing in it yet.
    bare: bool,
    _lock: Option<File>,
}

impl RunFolder {
    /// Makes the folder `given`, or the next free one for `stem` under `runs`, for a new run.
    pub fn create(given: Option<&Path>, stem: &str) -> Result<Self> {
        let (path, bare) = match given {
            Some(path) => (path.to_owned(), !path.exists()),
            None => (place::next(stem)?, true),
        };
        fs::create_dir_all(&path).with_context(|| format!("{}: the run folder could not be made", path.display()))?;
        if let Some(file) = place::trace_of_a_run(&path) {
            bail!(
                "{}: the folder holds a run already ({file}); add --resume to go on with it, or give another --out",
                path.display()
            );
        }
        let folder = Self { _lock: lock(&path)?, bare, path };
        folder.check_writable()?;
        Ok(folder)
    }

    /// Opens the folder of a run to go on with it, and clears away what a killed process left half written.
    pub fn open(path: &Path) -> Result<(Self, Settings)> {
        let settings = Settings::read(&path.join("run.json"))?;
        let folder = Self { _lock: lock(path)?, bare: false, path: path.to_owned() };
        folder.check_writable()?;
        remove_unfinished(path);
        settings.check_config_file(&folder.file("config.toml"))?;
        Ok((folder, settings))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Finds out now, not after the first epoch, whether files can be made.
    fn check_writable(&self) -> Result<()> {
        let probe = self.file(".probe.unfinished");
        fs::write(&probe, b"tilegrad")
            .and_then(|()| fs::remove_file(&probe))
            .with_context(|| format!("{}: the run folder is not writable", self.path.display()))
    }

    /// Writes what the run is. From here on it can be gone on with.
    pub fn write_settings(&mut self, settings: &Settings) -> Result<(), ModelError> {
        self.bare = false;
        write_atomically(&self.file("run.json"), settings.to_json().as_bytes())?;
        write_atomically(&self.file("config.toml"), settings.config.as_bytes())
    }

    /// The checkpoint to go on from; none if the run was stopped before it had one.
    pub fn last(&self) -> Result<Option<Checkpoint>> {
        let path = self.file("last.safetensors");
        if !path.exists() { Ok(None) } else { Ok(Some(Checkpoint::load(&path)?)) }
    }

    /// The checkpoint of the best epoch; none before the first one.
    pub fn best(&self) -> Result<Option<Checkpoint>> {
        let path = self.file("best.safetensors");
        if !path.exists() { Ok(None) } else { Ok(Some(Checkpoint::load(&path)?)) }
    }

    /// Path of the last checkpoint.
    pub fn last_path(&self) -> PathBuf {
        self.file("last.safetensors")
    }

    /// Saves the state before the first epoch.
    pub fn save_initial(&self, checkpoint: &Checkpoint) -> Result<(), ModelError> {
        checkpoint.save(&self.last_path())
    }

    /// Saves an epoch. The order is what the module's text promises.
    pub fn save_epoch(&self, history: &[EpochRecord], last: &Checkpoint, improved: bool) -> Result<(), ModelError> {
        history::write(&self.file("metrics.jsonl"), history, &[])?;
        last.save(&self.last_path())?;
        if improved {
            last.save(&self.file("best.safetensors"))?;
        }
        Ok(())
    }

    /// Writes the figures of the test behind those of the epochs.
    pub fn save_test(&self, history: &[EpochRecord], tests: &[TestFigures]) -> Result<(), ModelError> {
        history::write(&self.file("metrics.jsonl"), history, tests)
    }

    /// Draws the curves.
    pub fn save_curves(&self, history: &[EpochRecord]) -> Result<()> {
        Ok(write_atomically(&self.file("curves.png"), &crate::curves::png(history)?)?)
    }

    /// The epochs that `last` holds, as they were recorded.
    pub fn history(&self, last: &Checkpoint) -> Vec<EpochRecord> {
        history::read(&self.file("metrics.jsonl"), last.epoch)
    }

    /// Makes `best.safetensors` what an uninterrupted run of `epochs` epochs would have left after the epoch of `last`.
    pub fn repair_best(&self, last: &Checkpoint, epochs: u32) -> Result<(), ModelError> {
        let path = self.file("best.safetensors");
        if last.best.is_none() {
            return Ok(());
        }
        let found = if path.exists() { Some(Checkpoint::load(&path)?) } else { None };
        // Each epoch that improves carries its own figures; another's mean that the process died in between.
        let whole = found.as_ref().filter(|best| best.best == last.best);
        let mut best = whole.unwrap_or(last).clone();
        best.config.train.epochs = epochs;
        if found.as_ref() == Some(&best) { Ok(()) } else { best.save(&path) }
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if self.bare {
            // Only an empty folder can be removed this way.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Keeps other processes away from the folder; the system lets go of it when this process ends, however it does.
#[cfg(unix)]
fn lock(path: &Path) -> Result<Option<File>> {
    let Ok(folder) = File::open(path) else { return Ok(None) };
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(TryLockError::WouldBlock) => bail!("{}: another process is training in this folder", path.display()),
        // File systems without locks are used at one's own risk.
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

#[cfg(not(unix))]
fn lock(_: &Path) -> Result<Option<File>> {
    Ok(None)
}

#[cfg(test)]
mod tests;
