//! Ten training steps of the reference network against those that PyTorch made in float64.

use crate::commands::train::reference;
use crate::data;
use anyhow::{Context, Result, ensure};
use safetensors::{Dtype, SafeTensors};
use serde::Serialize;
use std::collections::HashMap;
use tilegrad_model::Trainer;
use tilegrad_model::data::Dataset;
use tilegrad_runtime::Device;

/// Place of the golden numbers within the repository.
const FILE: &str = "assets/golden/mnist_cnn.safetensors";
const BATCH: u32 = 32;
const STEPS: u32 = 10;
/// Largest allowed error of a loss, as a share of it.
const TOLERANCE: f64 = 1e-4;

/// The numbers, and the data that they came from.
#[derive(Debug)]
pub struct GoldenSteps {
    tensors: HashMap<String, Vec<f32>>,
    train: Dataset,
}

/// How the steps came out.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Golden {
    /// Every loss was compared.
    Compared {
        /// Loss of each step.
        losses: Vec<f64>,
        /// What PyTorch says.
        expected: Vec<f64>,
        /// The largest error, as a share of what is allowed; above one is wrong.
        #[serde(serialize_with = "super::compare::number")]
        largest_error: f64,
        /// The step with that error, counted from one.
        step: usize,
    },
    /// They were not run.
    NotCovered {
        /// Why not.
        reason: String,
    },
    /// The device would not run them.
    Refused {
        /// What it said.
        problem: String,
    },
}

impl Golden {
    /// Whether something is wrong.
    pub fn failed(&self) -> bool {
        match self {
            Self::Compared { largest_error, .. } => *largest_error > 1.0,
            Self::NotCovered { .. } => false,
            Self::Refused { .. } => true,
        }
    }
}

impl GoldenSteps {
    /// Reads the golden file and the first examples of MNIST.
    pub fn load() -> Result<Self> {
        let path = data::of_project(FILE, |path| path.is_file()).with_context(|| format!("{FILE} was not found"))?;
        let bytes = std::fs::read(&path).with_context(|| format!("{} could not be read", path.display()))?;
        let tensors = tensors(&bytes).with_context(|| format!("{} is damaged", path.display()))?;
        let splits = data::load(&data::mnist()?, &reference()?, Some((BATCH * STEPS) as usize))?;
        Ok(Self { tensors, train: splits.train })
    }

    /// Runs the steps.
    pub fn run(&self, device: &Device) -> Golden {
        match self.losses(device) {
            Ok(losses) => self.compare(losses),
            Err(error) => Golden::Refused { problem: crate::failure::one_line(&error) },
        }
    }

    fn losses(&self, device: &Device) -> Result<Vec<f64>> {
        let mut config = reference()?;
        config.train.batch = BATCH;
        config.data.validation_split = 0.0;
        let mut trainer = Trainer::new(device.clone(), config)?;
        for tensor in trainer.parameters()? {
            trainer.set_parameter(&tensor.name, self.tensor(&format!("init/{}", tensor.name))?)?;
        }
        Ok(trainer.steps_in_order(&self.train, STEPS)?)
    }

    fn compare(&self, losses: Vec<f64>) -> Golden {
        let expected: Vec<f64> = match self.tensor("losses") {
            Ok(values) => values.iter().map(|value| f64::from(*value)).collect(),
            Err(error) => return Golden::NotCovered { reason: error.to_string() },
        };
        let share = |(got, expected): (&f64, &f64)| {
            let error = (got - expected).abs() / (TOLERANCE * expected.abs());
            if error.is_finite() { error } else { f64::INFINITY }
        };
        let shares = losses.iter().zip(&expected).map(share).enumerate();
        let (at, largest_error) = shares.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default();
        Golden::Compared { losses, expected, largest_error, step: at + 1 }
    }

    fn tensor(&self, name: &str) -> Result<&[f32]> {
        self.tensors.get(name).map(Vec::as_slice).with_context(|| format!("{FILE} has no tensor `{name}`"))
    }
}

/// The tensors that the steps need.
fn tensors(bytes: &[u8]) -> Result<HashMap<String, Vec<f32>>> {
    let file = SafeTensors::deserialize(bytes)?;
    let mut all: HashMap<String, Vec<f32>> = HashMap::new();
    for (name, view) in file.tensors() {
        if name != "losses" && !name.starts_with("init/") {
            continue;
        }
        ensure!(view.dtype() == Dtype::F32, "`{name}` holds no f32");
        let words = view.data().chunks_exact(4);
        let values = words.map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect();
        all.insert(name, values);
    }
    ensure!(all.get("losses").is_some_and(|losses| losses.len() == STEPS as usize), "`losses` are not {STEPS}");
    Ok(all)
}
