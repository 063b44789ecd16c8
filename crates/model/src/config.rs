//! Configurations: everything that decides what is trained and how. The same from TOML and from Rust.

mod data;

pub use data::DataConfig;

use crate::section::Section;
use crate::{Engine, ModelError, Network, Optimiser};
use std::path::Path;
use toml::{Table, Value};

/// What is trained, on what, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where the data lies and how pixels become numbers.
    pub data: DataConfig,
    /// The course of the training.
    pub train: TrainConfig,
    /// How gradients become updates.
    pub optimiser: Optimiser,
    /// The layers.
    pub network: Network,
    /// How the layers become kernels.
    pub engine: Engine,
}

/// The course of the training.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainConfig {
    /// Passes over the data.
    pub epochs: u32,
    /// Examples of one step.
    pub batch: u32,
    /// Seed of the initial weights and of the order of the examples.
    pub seed: u32,
    /// What is minimised.
    pub loss: Loss,
    /// What the best epoch is best in; without it, accuracy on the validation part, or the training loss if there is none.
    pub monitor: Option<Monitor>,
}

/// What the best epoch is best in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Monitor {
    /// Accuracy on the validation part; of equals, the one of lower loss.
    ValAccuracy,
    /// Loss on the validation part.
    ValLoss,
    /// Accuracy on the training examples; of equals, the one of lower loss.
    TrainAccuracy,
    /// Loss on the training examples.
    TrainLoss,
}

impl Monitor {
    const ALL: [Self; 4] = [Self::ValAccuracy, Self::ValLoss, Self::TrainAccuracy, Self::TrainLoss];
    const WORDS: &'static [&'static str] = &["val_accuracy", "val_loss", "train_accuracy", "train_loss"];

    /// Its name in configurations.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|monitor| monitor.word() == word)
    }

    /// Whether it is measured on the validation part.
    pub fn needs_validation(self) -> bool {
        matches!(self, Self::ValAccuracy | Self::ValLoss)
    }

    /// Whether it is a loss: the best is the smallest.
    pub fn is_loss(self) -> bool {
        matches!(self, Self::ValLoss | Self::TrainLoss)
    }
}

impl TrainConfig {
    /// What the best epoch is best in, in a training that is validated or not.
    pub fn monitor(&self, validated: bool) -> Monitor {
        self.monitor.unwrap_or(if validated { Monitor::ValAccuracy } else { Monitor::TrainLoss })
    }
}

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Cross entropy of the softmax of the outputs, mean over the examples.
    SoftmaxCrossEntropy,
    /// Squared distance to the one-hot label, mean over examples and outputs.
    MeanSquaredError,
}

impl Loss {
    const KINDS: &'static [&'static str] = &["softmax_cross_entropy", "mean_squared_error"];

    /// The loss of one example with these outputs, in f64.
    pub(crate) fn of(self, outputs: &[f32], label: u32) -> f64 {
        match self {
            Self::SoftmaxCrossEntropy => {
                let most = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let sum: f64 = outputs.iter().map(|x| (f64::from(*x) - f64::from(most)).exp()).sum();
                sum.ln() + f64::from(most) - f64::from(outputs[label as usize])
            }
            Self::MeanSquaredError => {
                let target = |at: usize| f64::from(u8::from(at == label as usize));
                let squares = outputs.iter().enumerate().map(|(at, x)| (f64::from(*x) - target(at)).powi(2));
                squares.sum::<f64>() / outputs.len() as f64
            }
        }
    }

    /// What a score of [`Loss::scores`] is: a probability, or just an output, which may lie outside of 0 to 1.
    pub fn score_word(self) -> &'static str {
        match self {
            Self::SoftmaxCrossEntropy => "probability",
            Self::MeanSquaredError => "output",
        }
    }

    /// Outputs as scores of the classes: probabilities for a cross entropy, else the outputs themselves.
    pub fn scores(self, outputs: &[f32]) -> Vec<f64> {
        match self {
            Self::SoftmaxCrossEntropy => crate::metrics::softmax(outputs),
            Self::MeanSquaredError => outputs.iter().map(|x| f64::from(*x)).collect(),
        }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self { epochs: 10, batch: 64, seed: 42, loss: Loss::SoftmaxCrossEntropy, monitor: None }
    }
}

impl Config {
    /// The defaults around `network`.
    pub fn new(network: Network) -> Self {
        Self {
            data: DataConfig::default(),
            train: TrainConfig::default(),
            optimiser: Optimiser::default(),
            network,
            engine: Engine::default(),
        }
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`ModelError::File`] if it cannot be read, else as [`Config::parse`].
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let text = std::fs::read_to_string(path).map_err(|error| ModelError::File {
            path: path.into(),
            problem: format!("the configuration could not be read: {error}"),
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads a configuration; `place` names it in messages.
    ///
    /// # Errors
    /// [`ModelError::Config`] with the place, what was expected and what was found.
    pub fn parse(text: &str, place: &str) -> Result<Self, ModelError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
            ModelError::config(place, format!("line {line}: {}", error.message().replace('\n', " ")))
        })?;
        let mut root = Section::new(place, table);
        let data = root.section("data")?.map(DataConfig::from_section).transpose()?.unwrap_or_default();
        let train = root.section("train")?.map(TrainConfig::from_section).transpose()?.unwrap_or_default();
        let optimiser = root.section("optimiser")?.map(read_optimiser).transpose()?.unwrap_or_default();
        let engine = root.section("engine")?.map(Engine::from_section).transpose()?.unwrap_or_default();
        let Some(network) = root.section("network")? else {
            return Err(root.missing("network", "; it is the table with the layers"));
        };
        root.finish()?;
        let network = Network::from_section(network)?;
        let config = Self { data, train, optimiser, network, engine };
        config.check(place)?;
        Ok(config)
    }

    /// The configuration as TOML; [`Config::parse`] gives the same back.
    pub fn to_toml(&self) -> String {
        let mut root = Table::new();
        root.insert("data".into(), self.data.to_table().into());
        root.insert("train".into(), self.train.to_table().into());
        root.insert("optimiser".into(), write_optimiser(self.optimiser).into());
        root.insert("network".into(), self.network.to_table().into());
        if self.engine != Engine::default() {
            root.insert("engine".into(), self.engine.to_table().into());
        }
        root.to_string()
    }

    /// Checks what the command line may have changed too.
    ///
    /// # Errors
    /// [`ModelError::Config`].
    pub fn check(&self, place: &str) -> Result<(), ModelError> {
        let learning_rate = self.optimiser.learning_rate();
        if !(learning_rate.is_finite() && learning_rate > 0.0) {
            let problem = format!("the learning rate must be a positive number, got {learning_rate}");
            return Err(ModelError::config(place, problem));
        }
        for (what, value) in [("batch", self.train.batch), ("epochs", self.train.epochs)] {
            if value == 0 {
                return Err(ModelError::config(place, format!("{what} must be at least 1, got 0")));
            }
        }
        self.check_preparation(place)
    }
}

impl TrainConfig {
    fn from_section(mut section: Section) -> Result<Self, ModelError> {
        let default = Self::default();
        let train = Self {
            epochs: section.whole("epochs", 1)?.unwrap_or(default.epochs),
            batch: section.whole("batch", 1)?.unwrap_or(default.batch),
            seed: section.whole("seed", 0)?.unwrap_or(default.seed),
            loss: match section.word("loss", Loss::KINDS)? {
                Some("mean_squared_error") => Loss::MeanSquaredError,
                _ => Loss::SoftmaxCrossEntropy,
            },
            monitor: section.word("monitor", Monitor::WORDS)?.and_then(Monitor::of_word),
        };
        section.finish()?;
        Ok(train)
    }

    fn to_table(&self) -> Table {
        let loss = match self.loss {
            Loss::SoftmaxCrossEntropy => Loss::KINDS[0],
            Loss::MeanSquaredError => Loss::KINDS[1],
        };
        let monitor = self.monitor.map(|monitor| ("monitor".to_owned(), monitor.word().into()));
        let others = [
            ("epochs".to_owned(), Value::Integer(self.epochs.into())),
            ("batch".to_owned(), Value::Integer(self.batch.into())),
            ("seed".to_owned(), Value::Integer(self.seed.into())),
            ("loss".to_owned(), loss.into()),
        ];
        others.into_iter().chain(monitor).collect()
    }
}

fn read_optimiser(mut section: Section) -> Result<Optimiser, ModelError> {
    let kind = section.word("type", Optimiser::KINDS)?.unwrap_or("adam");
    let largest = f64::from(f32::MAX);
    let mut number =
        |key, most: f64, default: f64| section.number(key, 0.0..=most).map(|value| value.unwrap_or(default) as f32);
    // The largest f32 below one: a decay of exactly one would never forget.
    let below_one = f64::from(f32::from_bits(1.0f32.to_bits() - 1));
    let optimiser = match kind {
        "sgd" => Optimiser::Sgd {
            learning_rate: number("learning_rate", largest, 1e-2)?,
            momentum: number("momentum", below_one, 0.9)?,
            weight_decay: number("weight_decay", largest, 0.0)?,
            nesterov: section.flag("nesterov")?.unwrap_or(false),
        },
        _ => Optimiser::Adam {
            learning_rate: number("learning_rate", largest, 1e-3)?,
            beta1: number("beta1", below_one, 0.9)?,
            beta2: number("beta2", below_one, 0.999)?,
            epsilon: number("epsilon", largest, 1e-7)?,
            weight_decay: number("weight_decay", largest, 0.0)?,
        },
    };
    section.finish()?;
    Ok(optimiser)
}

fn write_optimiser(optimiser: Optimiser) -> Table {
    let number = |value: f32| Value::Float(shortest(value));
    match optimiser {
        Optimiser::Adam { learning_rate, beta1, beta2, epsilon, weight_decay } => Table::from_iter([
            ("type".to_owned(), "adam".into()),
            ("learning_rate".to_owned(), number(learning_rate)),
            ("beta1".to_owned(), number(beta1)),
            ("beta2".to_owned(), number(beta2)),
            ("epsilon".to_owned(), number(epsilon)),
            ("weight_decay".to_owned(), number(weight_decay)),
        ]),
        Optimiser::Sgd { learning_rate, momentum, nesterov, weight_decay } => Table::from_iter([
            ("type".to_owned(), "sgd".into()),
            ("learning_rate".to_owned(), number(learning_rate)),
            ("momentum".to_owned(), number(momentum)),
            ("nesterov".to_owned(), nesterov.into()),
            ("weight_decay".to_owned(), number(weight_decay)),
        ]),
    }
}

/// The f64 with the fewest digits that rounds to `value`: 0.001, not 0.0010000000474974513.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}
