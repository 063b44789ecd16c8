//! Where runs lie when nobody says.

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Folder of the runs without `--out`, within the current one.
const RUNS: &str = "runs";

/// Makes the first folder `runs/STEM-NUMBER` that is not there yet.
pub fn next(stem: &str) -> Result<PathBuf> {
    fs::create_dir_all(RUNS)
        .with_context(|| format!("the folder `{RUNS}` could not be made; give one with --out DIR"))?;
    for number in 1..u32::MAX {
        let path = Path::new(RUNS).join(format!("{stem}-{number}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                let place = path.display();
                return Err(error)
                    .with_context(|| format!("{place}: the run folder could not be made; give one with --out DIR"));
            }
        }
    }
    bail!("`{RUNS}` has no number left for {stem}; give a folder with --out DIR")
}

/// The run under `runs` that was written to last.
pub fn newest() -> Result<PathBuf> {
    match newest_of(|_| true) {
        Some(path) => Ok(path),
        None => bail!("there is no run to go on with under `{RUNS}`; name its folder with --out DIR"),
    }
}

fn newest_of(suits: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let entries = fs::read_dir(RUNS).into_iter().flatten().flatten().map(|entry| entry.path());
    let runs = entries.filter(|path| suits(path)).filter_map(|path| Some((written(&path)?, path)));
    runs.max().map(|(_, path)| path)
}

/// The checkpoint that `given` means: the file itself, or the best of a run by its folder; without, the best of the newest
/// run under `runs` that has one.
pub fn model(given: Option<&Path>) -> Result<PathBuf> {
    let best = |folder: &Path| folder.join("best.safetensors");
    match given {
        Some(file) if !file.is_dir() => Ok(file.to_owned()),
        Some(folder) if best(folder).is_file() => Ok(best(folder)),
        Some(folder) if folder.join("run.json").is_file() => {
            bail!(
                "{}: the run has no best.safetensors yet: no epoch was finished; train on with --resume",
                folder.display()
            )
        }
        Some(folder) => {
            bail!("{}: no run (no best.safetensors); expected a checkpoint or the folder of a run", folder.display())
        }
        None => match newest_of(|run| best(run).is_file()) {
            Some(run) => Ok(best(&run)),
            None => {
                bail!("there is no trained network under `{RUNS}`; train one, or name a checkpoint with --model FILE")
            }
        },
    }
}

fn written(path: &Path) -> Option<SystemTime> {
    let time = |name: &str| fs::metadata(path.join(name)).and_then(|data| data.modified()).ok();
    let settings = time("run.json")?;
    Some(time("last.safetensors").map_or(settings, |last| last.max(settings)))
}

/// A file by which one sees that a folder holds a run, if it does.
pub fn trace_of_a_run(path: &Path) -> Option<&'static str> {
    let files = ["run.json", "last.safetensors", "best.safetensors", "metrics.jsonl", "config.toml"];
    files.into_iter().find(|name| path.join(name).exists())
}

/// Whether `path` is a folder that holds nothing, apart from hidden files such as a killed process leaves.
pub fn is_empty_folder(path: &Path) -> bool {
    let Ok(entries) = fs::read_dir(path) else { return false };
    entries.flatten().all(|entry| entry.file_name().to_string_lossy().starts_with('.'))
}

/// An error unless a file can be made at `path`: its folder is there, and no folder lies in the way.
pub fn check_parent(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(folder.is_dir(), "{}: could not be written: there is no folder {}", path.display(), folder.display());
    ensure!(!path.is_dir(), "{}: could not be written: it is a folder", path.display());
    Ok(())
}
