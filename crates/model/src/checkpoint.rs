//! Checkpoints: weights, optimiser state, step state and configuration in one safetensors file.
//!
//! The same training gives the same bytes: there are no times in it, and its metadata has one key, because
//! several would come out in any order.

use crate::files::write_atomically;
use crate::{Config, ModelError, Network, ParameterSet};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;
use tilegrad_kernels::state::StepState;

/// The one key of the metadata.
const KEY: &str = "tilegrad";
/// Rises when older readers could no longer understand the file. Format 1 did not say how images are prepared and
/// split; see [`Config::parse_old`].
const FORMAT: u32 = 2;

/// Everything that a training needs to go on, and a prediction to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// What was trained and how.
    pub config: Config,
    /// Names of the classes, one per output.
    pub classes: Vec<String>,
    /// Passes over the data done.
    pub epoch: u32,
    /// How good the best epoch so far is, larger being better, and the loss that decides between equals. Of an accuracy
    /// that is [monitored](crate::Monitor) the first is itself, of a loss its negative.
    pub best: Option<(f64, f64)>,
    /// The step state after the last step.
    pub state: StepState,
    /// The flat parameter block.
    pub parameters: Vec<f32>,
    /// The optimiser's blocks, each as long as the parameters.
    pub optimiser: Vec<Vec<f32>>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    config: String,
    classes: Vec<String>,
    epoch: u32,
    best: Option<(f64, f64)>,
}

/// Name, type, shape and little-endian bytes of a tensor.
type Tensor = (String, Dtype, Vec<usize>, Vec<u8>);

impl Checkpoint {
    /// Writes the file; whatever `path` held before stays whole until the new one is.
    ///
    /// # Errors
    /// [`ModelError::File`].
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        write_atomically(path, &self.to_bytes(path)?)
    }

    /// Reads a file that [`Checkpoint::save`] wrote.
    ///
    /// # Errors
    /// [`ModelError::File`] if it cannot be read, [`ModelError::Checkpoint`] for any other content.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let bytes = std::fs::read(path).map_err(|error| ModelError::File {
            path: path.into(),
            problem: format!("the checkpoint could not be read: {error}"),
        })?;
        Self::from_bytes(&bytes).map_err(|problem| ModelError::Checkpoint { path: path.into(), problem })
    }

    /// An error unless this checkpoint is one of `network`.
    ///
    /// # Errors
    /// [`ModelError::Checkpoint`] naming the first tensor that differs.
    pub fn check_network(&self, network: &Network, path: &Path) -> Result<(), ModelError> {
        let (mine, theirs) = (self.config.network.parameters(), network.parameters());
        match difference(&mine, &theirs) {
            None if self.config.network == *network => Ok(()),
            None => Err(ModelError::Checkpoint {
                path: path.into(),
                problem: "is of a network with the same tensors but other layers, strides or activations".into(),
            }),
            Some(problem) => Err(ModelError::Checkpoint { path: path.into(), problem }),
        }
    }

    fn to_bytes(&self, path: &Path) -> Result<Vec<u8>, ModelError> {
        let header = Header {
            format: FORMAT,
            config: self.config.to_toml(),
            classes: self.classes.clone(),
            epoch: self.epoch,
            best: self.best,
        };
        let failed = |problem: String| ModelError::Checkpoint { path: path.into(), problem };
        let header = serde_json::to_string(&header).map_err(|error| failed(error.to_string()))?;
        let tensors = self.tensors();
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(|error| failed(error.to_string()))?;
        let metadata = Some(HashMap::from([(KEY.to_owned(), header)]));
        safetensors::serialize(views, metadata).map_err(|error| failed(error.to_string()))
    }

    fn tensors(&self) -> Vec<Tensor> {
        let set = self.config.network.parameters();
        let mut tensors = tensors_of(&set, "", &self.parameters);
        for (name, block) in self.config.optimiser.blocks().iter().zip(&self.optimiser) {
            tensors.extend(tensors_of(&set, &format!("{name}/"), block));
        }
        let state = self.state.to_words();
        tensors.push(("state".into(), Dtype::U32, vec![state.len()], bytemuck::cast_slice(&state).to_vec()));
        tensors
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let unreadable = |error: safetensors::SafeTensorError| {
            format!("is not a whole safetensors file ({error}); it may be cut or of another program")
        };
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let header = metadata.metadata().as_ref().and_then(|entries| entries.get(KEY));
        let header = header.ok_or("has no tilegrad metadata; it is a checkpoint of another program")?;
        let header: Header = serde_json::from_str(header).map_err(|error| format!("has broken metadata: {error}"))?;
        let parse = match header.format {
            1 => Config::parse_old,
            FORMAT => Config::parse,
            other => return Err(format!("has format {other}, this program reads formats 1 to {FORMAT}")),
        };
        let config = parse(&header.config, "its configuration").map_err(|error| error.to_string())?;
        let tensors = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let set = config.network.parameters();
        if header.classes.len() != config.network.outputs() as usize {
            return Err(format!("names {} classes for {} outputs", header.classes.len(), config.network.outputs()));
        }
        let blocks = config.optimiser.blocks().iter().map(|name| read_block(&tensors, &set, &format!("{name}/")));
        Ok(Self {
            classes: header.classes,
            epoch: header.epoch,
            best: header.best,
            state: read_state(&tensors)?,
            parameters: read_block(&tensors, &set, "")?,
            optimiser: blocks.collect::<Result<_, _>>()?,
            config,
        })
    }
}

fn tensors_of(set: &ParameterSet, prefix: &str, block: &[f32]) -> Vec<Tensor> {
    let specs = set.specs().iter();
    let tensors = specs.map(|spec| {
        let shape = spec.shape.iter().map(|&dim| dim as usize).collect();
        let values = &block[spec.offset..spec.offset + spec.len()];
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        (format!("{prefix}{}", spec.name), Dtype::F32, shape, bytes)
    });
    tensors.collect()
}

fn read_block(tensors: &SafeTensors<'_>, set: &ParameterSet, prefix: &str) -> Result<Vec<f32>, String> {
    let mut block = vec![0.0; set.len()];
    for spec in set.specs() {
        let name = format!("{prefix}{}", spec.name);
        let tensor = tensors.tensor(&name).map_err(|_| format!("has no tensor `{name}`"))?;
        let shape: Vec<usize> = spec.shape.iter().map(|&dim| dim as usize).collect();
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            let found = format!("{:?} {:?}", tensor.dtype(), tensor.shape());
            return Err(format!("tensor `{name}` is {found}, expected F32 {shape:?}"));
        }
        let place = &mut block[spec.offset..spec.offset + spec.len()];
        for (value, bytes) in place.iter_mut().zip(tensor.data().chunks_exact(4)) {
            *value = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
    }
    Ok(block)
}

fn read_state(tensors: &SafeTensors<'_>) -> Result<StepState, String> {
    let tensor = tensors.tensor("state").map_err(|_| "has no tensor `state`".to_owned())?;
    if tensor.dtype() != Dtype::U32 {
        return Err(format!("tensor `state` is {:?}, expected U32", tensor.dtype()));
    }
    let words = tensor.data().chunks_exact(4);
    let words: Vec<u32> = words.map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect();
    StepState::from_words(&words)
        .ok_or_else(|| format!("tensor `state` has {} words, expected {}", words.len(), StepState::WORDS))
}

/// The first tensor in which two networks differ, in words.
fn difference(mine: &ParameterSet, theirs: &ParameterSet) -> Option<String> {
    for spec in theirs.specs() {
        match mine.find(&spec.name) {
            None => return Some(format!("is of another network: it has no tensor `{}`", spec.name)),
            Some(own) if own.shape != spec.shape => {
                let (name, found, wanted) = (&spec.name, &own.shape, &spec.shape);
                return Some(format!("is of another network: `{name}` is {found:?}, expected {wanted:?}"));
            }
            Some(_) => {}
        }
    }
    let extra = mine.specs().iter().find(|spec| theirs.find(&spec.name).is_none());
    extra.map(|spec| format!("is of another network: its tensor `{}` is not in this one", spec.name))
}
