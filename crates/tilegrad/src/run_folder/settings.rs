//! run.json: everything that decides the result of a run, so that `--resume` goes on with the same.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tilegrad_model::Config;

/// Rises when older programs could no longer understand the file. In format 1 the configuration did not say how images
/// are split and prepared; see [`Config::parse_old`].
const FORMAT: u32 = 2;

/// What a run was started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub format: u32,
    /// Folder of the data.
    pub data: PathBuf,
    /// Folder of the data to validate on, if it is one of its own.
    #[serde(default)]
    pub validation: Option<PathBuf>,
    /// What [`crate::data::fingerprint`] makes of the examples to train and validate on.
    pub fingerprint: String,
    /// Whether images that can't be read are left out.
    #[serde(default)]
    pub skip_bad: bool,
    /// Most examples of each split.
    pub limit: Option<usize>,
    /// What `--device` said.
    pub device: String,
    /// The text of config.toml.
    pub config: String,
}

impl Settings {
    /// The settings of a run that starts on all that is in `data`.
    pub fn new(config: &Config, data: PathBuf, fingerprint: String, device: &str) -> Self {
        Self {
            format: FORMAT,
            data,
            validation: None,
            fingerprint,
            skip_bad: false,
            limit: None,
            device: device.into(),
            config: config.to_toml(),
        }
    }

    /// Reads the file of a run.
    pub fn read(path: &Path) -> Result<Self> {
        let folder = path.parent().unwrap_or(path).display();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!("{folder}: no run to go on with (no run.json); start one without --resume")
            }
            Err(error) => return Err(error).with_context(|| format!("{}: could not be read", path.display())),
        };
        let settings: Self =
            serde_json::from_str(&text).with_context(|| format!("{}: not a run's settings", path.display()))?;
        let found = settings.format;
        let known = (1..=FORMAT).contains(&found);
        ensure!(known, "{}: has format {found}, this program reads formats 1 to {FORMAT}", path.display());
        Ok(settings)
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        // Text, numbers and paths made from text always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The configuration of the run.
    pub fn parsed_config(&self) -> Result<Config> {
        self.parse(&self.config, "run.json: config")
    }

    /// Reads a configuration as the run meant it when it started.
    fn parse(&self, text: &str, place: &str) -> Result<Config> {
        let parse = if self.format == 1 { Config::parse_old } else { Config::parse };
        Ok(parse(text, place)?)
    }

    /// Reads the configuration file `path` as the run meant it when it started.
    pub fn load_config(&self, path: &Path) -> Result<Config> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{}: the configuration could not be read", path.display()))?;
        self.parse(&text, &path.display().to_string())
    }

    /// An error if somebody changed config.toml: a run that goes on would not heed it. A missing one does no harm.
    pub fn check_config_file(&self, path: &Path) -> Result<()> {
        if !path.exists() {
            return Ok(());
        }
        let mut found = self.load_config(path)?;
        let mine = self.parsed_config()?;
        found.train.epochs = mine.train.epochs;
        match difference(&found, &mine) {
            None => Ok(()),
            Some(part) => bail!(
                "{}: {part} was changed since the run started; undo that, or start a new run with --config {0}",
                path.display()
            ),
        }
    }
}

/// What differs between two configurations apart from the number of epochs and the places of the data.
pub fn difference(a: &Config, b: &Config) -> Option<&'static str> {
    let mut train = b.train.clone();
    train.epochs = a.train.epochs;
    let mut data = b.data.clone();
    data.folder.clone_from(&a.data.folder);
    data.validation_folder.clone_from(&a.data.validation_folder);
    if a.network != b.network {
        Some("the network")
    } else if a.optimiser != b.optimiser {
        Some("the optimiser")
    } else if a.train != train {
        Some("the table [train]")
    } else if a.data != data {
        Some("the table [data]")
    } else if a.engine != b.engine {
        Some("the table [engine]")
    } else {
        None
    }
}
