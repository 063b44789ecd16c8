//! What is to be done: the options, the configuration and, if a run goes on, what it was started with.

use super::TrainArgs;
use crate::data;
use crate::device::DeviceArgs;
use crate::output::tell;
use crate::run_folder::{self, RunFolder, Settings, difference};
use anyhow::{Result, bail, ensure};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use tilegrad_model::data::Preparation;
use tilegrad_model::{Checkpoint, Config, Lowering, Precision};

/// The configuration that comes with the program.
const REFERENCE: &str = include_str!("../../../../../assets/configs/mnist_cnn.toml");
/// Name of the reference configuration.
const REFERENCE_STEM: &str = "mnist_cnn";

/// A training about to start, or to go on.
#[derive(Debug)]
pub struct Job {
    pub config: Config,
    pub data: PathBuf,
    /// Folder of the data to validate on, if it is one of its own.
    pub validation: Option<PathBuf>,
    pub skip_bad: bool,
    pub limit: Option<usize>,
    pub device: DeviceArgs,
    pub folder: RunFolder,
    /// What the run was started with, if it goes on.
    pub stored: Option<Settings>,
}

impl Job {
    /// Checks the options and opens the run folder.
    pub fn new(args: &TrainArgs) -> Result<Self> {
        if args.resume { Self::resumed(args) } else { Self::fresh(args) }
    }

    fn fresh(args: &TrainArgs) -> Result<Self> {
        let (mut config, folder) = match &args.config {
            Some(path) => (Config::load(path)?, path.parent().map(Path::to_owned)),
            None => (reference()?, None),
        };
        apply(&mut config, args)?;
        let folder = folder.unwrap_or_default();
        let named = config.data.folder.take().map(|data| folder.join(data));
        let validation = config.data.validation_folder.take().map(|data| folder.join(data));
        let validation = args.val.clone().or(validation).map(|folder| data::absolute(&folder)).transpose()?;
        config.data.validation_folder.clone_from(&validation);
        let data = match args.data.as_ref().or(named.as_ref()) {
            Some(folder) => data::absolute(folder)?,
            None => data::mnist()?,
        };
        if args.config.is_none() && !data::holds_idx(&data) {
            // The reference configuration prepares drawings of digits; a folder of images may hold anything.
            config.data.prepare = Preparation::Plain;
        }
        // The project's own data is found wherever the project is; any other is named with its full path.
        config.data.folder = (args.data.is_some() || named.is_some()).then(|| data.clone());
        let stem = args.config.as_deref().and_then(Path::file_stem).map(|stem| stem.to_string_lossy().into_owned());
        let folder = RunFolder::create(args.out.as_deref(), stem.as_deref().unwrap_or(REFERENCE_STEM))?;
        let limit = args.limit.map(|limit| limit as usize);
        let device = args.device.clone();
        Ok(Self { config, data, validation, skip_bad: args.skip_bad, limit, device, folder, stored: None })
    }

    fn resumed(args: &TrainArgs) -> Result<Self> {
        let path = match &args.out {
            Some(path) => path.clone(),
            None => run_folder::newest()?,
        };
        if run_folder::is_empty_folder(&path) {
            tell!("{} is empty: a new run starts there", path.display());
            return Self::fresh(&TrainArgs { out: Some(path), ..args.clone() });
        }
        let (folder, stored) = RunFolder::open(&path)?;
        let mut config = stored.parsed_config()?;
        check_unchanged(args, &config, &stored)?;
        config.train.epochs = wanted_epochs(args, &config)?;
        let skip_bad = args.skip_bad || stored.skip_bad;
        let validation = args.val.as_ref().or(stored.validation.as_ref());
        let validation = validation.map(|folder| data::absolute(folder)).transpose()?;
        let data = args.data.as_deref().unwrap_or(&stored.data);
        let data = data::absolute(data)?;
        let device = args.device.device.clone().unwrap_or_else(|| stored.device.clone());
        if device != stored.device {
            let before = &stored.device;
            tell!("note: the run was started with --device {before}; on another device the last bits may differ");
        }
        let device = DeviceArgs { device: Some(device), ..args.device.clone() };
        let limit = stored.limit;
        Ok(Self { config, data, validation, skip_bad, limit, device, folder, stored: Some(stored) })
    }

    /// The configuration as the network and its checkpoints know it: the place of the data is not part of it, so
    /// that the same training gives the same bytes wherever the data lies.
    pub fn trained_config(&self) -> Config {
        let mut config = self.config.clone();
        config.data.folder = None;
        config.data.validation_folder = None;
        config
    }

    /// The checkpoint to go on from, if there is one.
    pub fn last(&self) -> Result<Option<Checkpoint>> {
        if self.stored.is_none() {
            return Ok(None);
        }
        let Some(last) = self.folder.last()? else { return Ok(None) };
        let path = self.folder.last_path();
        last.check_network(&self.config.network, &path)?;
        if let Some(part) = difference(&last.config, &self.config) {
            bail!("{}: {part} is not what the run was started with", path.display());
        }
        let epochs = self.config.train.epochs;
        ensure!(last.epoch <= epochs, "the run has done {} epochs already, so --epochs {epochs} cannot be", last.epoch);
        Ok(Some(last))
    }

    /// Where the training starts, for the line that names the run.
    pub fn origin(&self, last: Option<&Checkpoint>) -> String {
        match (last, &self.stored) {
            (Some(last), _) if last.epoch > 0 => format!(" (goes on after epoch {})", last.epoch),
            (_, Some(_)) => " (starts again: no epoch was done)".into(),
            _ => String::new(),
        }
    }
}

/// The configuration of the reference network.
pub fn reference() -> Result<Config> {
    Ok(Config::parse(REFERENCE, "mnist_cnn.toml")?)
}

/// What the options change in the configuration.
fn apply(config: &mut Config, args: &TrainArgs) -> Result<()> {
    let train = &mut config.train;
    train.epochs = args.epochs.unwrap_or(train.epochs);
    train.batch = args.batch.unwrap_or(train.batch);
    train.seed = args.seed.unwrap_or(train.seed);
    args.engine.apply(config);
    if let Some(rate) = args.lr {
        config.optimiser = config.optimiser.with_learning_rate(rate);
    }
    Ok(config.check("options")?)
}

/// An error if an option says something else than the run was started with.
fn check_unchanged(args: &TrainArgs, config: &Config, stored: &Settings) -> Result<()> {
    unchanged("--batch", args.batch, config.train.batch)?;
    unchanged("--seed", args.seed, config.train.seed)?;
    unchanged("--lr", args.lr, config.optimiser.learning_rate())?;
    let lowering = args.engine.lowering.map(|word| Lowering::from(word).word());
    unchanged("--lowering", lowering, config.engine.lowering.word())?;
    let precision = args.engine.precision.map(|word| Precision::from(word).word());
    unchanged("--precision", precision, config.engine.precision.word())?;
    if args.engine.no_fuse && config.engine.fuse {
        bail!("--no-fuse: the run was started without it, and --resume cannot change it; start a new run");
    }
    let limit = |limit: Option<usize>| limit.map_or("all examples".to_owned(), |limit| limit.to_string());
    unchanged("--limit", args.limit.map(|limit| limit.to_string()), limit(stored.limit))?;
    let Some(path) = &args.config else { return Ok(()) };
    let mut given = stored.load_config(path)?;
    apply(&mut given, args)?;
    match difference(&given, config) {
        None => Ok(()),
        Some(part) => bail!(
            "--config {}: {part} is not what the run was started with, and --resume cannot change it; start a new run",
            path.display()
        ),
    }
}

fn unchanged<T: PartialEq + Display>(option: &str, given: Option<T>, stored: T) -> Result<()> {
    match given {
        Some(given) if given != stored => {
            bail!("{option} {given}: the run was started with {stored}, and --resume cannot change it; start a new run")
        }
        _ => Ok(()),
    }
}

/// Epochs of a run that goes on: as told now, else as told when it started.
fn wanted_epochs(args: &TrainArgs, stored: &Config) -> Result<u32> {
    match (args.epochs, &args.config) {
        (Some(epochs), _) => Ok(epochs),
        (None, Some(path)) => Ok(Config::load(path)?.train.epochs),
        (None, None) => Ok(stored.train.epochs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_configuration_parses() {
        let config = reference().unwrap();
        assert_eq!((config.train.epochs, config.train.batch), (10, 64));
        assert_eq!(config.network.parameters().specs().iter().map(|spec| spec.len()).sum::<usize>(), 93_322);
    }

    #[test]
    fn only_another_value_is_a_change() {
        assert!(unchanged("--batch", None, 64).is_ok());
        assert!(unchanged("--batch", Some(64), 64).is_ok());
        let error = unchanged("--batch", Some(32), 64).unwrap_err().to_string();
        assert!(error.starts_with("--batch 32: the run was started with 64"), "{error}");
    }
}
