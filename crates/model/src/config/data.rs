//! The table `[data]`: where the data lies, how it is split, and what images become.

use super::{Config, shortest};
use crate::ModelError;
use crate::data::{Division, ImageShape, Preparation, Split, TrainingData};
use crate::section::Section;
use std::path::PathBuf;
use toml::Table;

/// Where the data lies and how pixels become numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct DataConfig {
    /// Folder of the data set; none means the MNIST that comes with the project.
    pub folder: Option<PathBuf>,
    /// Folder of a data set to validate on; none means a share of the training data, or what `folder` holds for it.
    pub validation_folder: Option<PathBuf>,
    /// Share of the training data that is only validated on.
    pub validation_split: f64,
    /// How that share is taken.
    pub split: Split,
    /// How image files become what the network takes.
    pub prepare: Preparation,
    /// A pixel of value `p` becomes `p * scale + shift`.
    pub scale: f32,
    /// See `scale`.
    pub shift: f32,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            folder: None,
            validation_folder: None,
            validation_split: 0.1,
            split: Split::default(),
            prepare: Preparation::default(),
            scale: 1.0 / 255.0,
            shift: 0.0,
        }
    }
}

impl Config {
    /// As [`Config::parse`], for a text from before `[data]` said how its examples are split and prepared: what it does
    /// not say is what was done then. The last examples are validated on, and images are prepared as MNIST's if the
    /// network takes 28x28x1 and tells ten classes apart, else plainly.
    ///
    /// # Errors
    /// Those of [`Config::parse`].
    pub fn parse_old(text: &str, place: &str) -> Result<Self, ModelError> {
        let mut config = Self::parse(text, place)?;
        let table: Table = text.parse().unwrap_or_default();
        let says = |key: &str| table.get("data").and_then(|data| data.get(key)).is_some();
        if !says("split") {
            config.data.split = Split::End;
        }
        let mnist = ImageShape { height: 28, width: 28, channels: 1 };
        if !says("prepare") && config.network.input() == mnist && config.network.outputs() == 10 {
            config.data.prepare = Preparation::Mnist;
        }
        Ok(config)
    }

    /// Which examples of `data` are trained on and which are validated on.
    pub fn divide<'a>(&self, data: impl Into<TrainingData<'a>>) -> Division {
        data.into().divide(self.data.validation_split, self.data.split, self.train.seed)
    }

    /// An error unless images can be prepared as they should for this network.
    pub(super) fn check_preparation(&self, place: &str) -> Result<(), ModelError> {
        let channels = self.network.input().channels;
        if self.data.prepare != Preparation::Mnist || channels == 1 {
            return Ok(());
        }
        let problem = format!(
            "prepare = \"mnist\" makes images of 1 channel, the network takes {channels}; set prepare = \"plain\""
        );
        Err(ModelError::config(place, problem))
    }
}

impl DataConfig {
    pub(super) fn from_section(mut section: Section) -> Result<Self, ModelError> {
        let default = Self::default();
        let any = f64::from(-f32::MAX)..=f64::from(f32::MAX);
        let data = Self {
            folder: section.text("folder")?.map(PathBuf::from),
            validation_folder: section.text("validation_folder")?.map(PathBuf::from),
            validation_split: section.number("validation_split", 0.0..=0.99)?.unwrap_or(default.validation_split),
            split: one_of(&mut section, "split", &Split::ALL, Split::word)?.unwrap_or(default.split),
            prepare: one_of(&mut section, "prepare", &Preparation::ALL, Preparation::word)?.unwrap_or(default.prepare),
            scale: section.number("scale", any.clone())?.map_or(default.scale, |value| value as f32),
            shift: section.number("shift", any)?.map_or(default.shift, |value| value as f32),
        };
        section.finish()?;
        Ok(data)
    }

    pub(super) fn to_table(&self) -> Table {
        let mut table = Table::new();
        for (key, folder) in [("folder", &self.folder), ("validation_folder", &self.validation_folder)] {
            if let Some(folder) = folder {
                table.insert(key.into(), folder.display().to_string().into());
            }
        }
        table.insert("validation_split".into(), self.validation_split.into());
        table.insert("split".into(), self.split.word().into());
        table.insert("prepare".into(), self.prepare.word().into());
        table.insert("scale".into(), shortest(self.scale).into());
        table.insert("shift".into(), shortest(self.shift).into());
        table
    }
}

/// Takes the one of `all` whose `word` stands there.
fn one_of<T: Copy>(
    section: &mut Section,
    key: &'static str,
    all: &[T],
    word: fn(T) -> &'static str,
) -> Result<Option<T>, ModelError> {
    let words: Vec<&'static str> = all.iter().map(|&one| word(one)).collect();
    let found = section.word(key, &words)?;
    Ok(found.and_then(|found| all.iter().copied().find(|&one| word(one) == found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: &str = "[network]\ninput = [28, 28, 1]\n[[network.layers]]\ntype = \"flatten\"\n\
                           [[network.layers]]\ntype = \"dense\"\nunits = 10\n";

    fn data(text: &str, parse: fn(&str, &str) -> Result<Config, ModelError>) -> DataConfig {
        parse(&format!("{text}\n{NETWORK}"), "test").unwrap().data
    }

    #[test]
    fn the_table_data_comes_back_as_it_was_written() {
        let text = "[data]\nfolder = \"a\"\nvalidation_folder = \"b\"\nsplit = \"end\"\nprepare = \"mnist\"";
        let config = Config::parse(&format!("{text}\n{NETWORK}"), "test").unwrap();
        assert_eq!((config.data.split, config.data.prepare), (Split::End, Preparation::Mnist));
        assert_eq!(Config::parse(&config.to_toml(), "again").unwrap(), config);
        let error =
            Config::parse(&format!("[data]\nsplit = \"stratifed\"\n{NETWORK}"), "test").unwrap_err().to_string();
        assert_eq!(error, "test: [data]: unknown split `stratifed`; did you mean `stratified`?");
    }

    #[test]
    fn old_configurations_mean_what_they_did() {
        let new = data("", Config::parse);
        assert_eq!((new.split, new.prepare), (Split::Stratified, Preparation::Plain));
        let old = data("[data]\nvalidation_split = 0.2", Config::parse_old);
        assert_eq!((old.split, old.prepare), (Split::End, Preparation::Mnist));
        let said = data("[data]\nsplit = \"stratified\"\nprepare = \"plain\"", Config::parse_old);
        assert_eq!((said.split, said.prepare), (Split::Stratified, Preparation::Plain));
        let other = Config::parse_old(&NETWORK.replace("units = 10", "units = 9"), "test").unwrap();
        assert_eq!((other.data.split, other.data.prepare), (Split::End, Preparation::Plain));
    }

    #[test]
    fn mnists_preparation_makes_grey_images() {
        let colour = format!("[data]\nprepare = \"mnist\"\n{}", NETWORK.replace("28, 1]", "28, 3]"));
        let error = Config::parse(&colour, "test").unwrap_err().to_string();
        assert!(error.contains("1 channel, the network takes 3"), "{error}");
    }
}
