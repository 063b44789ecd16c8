//! The training loop: fit, evaluate, predict, and checkpoints to go on from.

mod classes;
mod comparison;
mod device_data;
mod diagnosis;
mod epoch;
mod evaluator;
mod fit;
mod predictor;
mod record;
mod stepper;
mod work;

pub use comparison::CallDifference;
pub use diagnosis::{Cause, Range};
pub use evaluator::{Evaluation, Evaluator};
pub use fit::Observer;
pub use predictor::{PendingOutputs, Predictor};
pub use record::{EpochRecord, Progress};
pub use stepper::Stepper;
pub use work::Work;

use crate::data::Dataset;
use crate::{Checkpoint, Config, ModelError, Report, metrics};
use std::mem::offset_of;
use std::path::Path;
use tilegrad_kernels::state::StepState;
use tilegrad_runtime::{Device, Memory};

/// A tensor read back from a device.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Layer and role, such as `conv1.weight`.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<u32>,
    /// Elements.
    pub values: Vec<f32>,
}

/// A network on a device, with its optimiser.
#[derive(Debug)]
pub struct Trainer {
    device: Device,
    config: Config,
    classes: Vec<String>,
    /// Whether `classes` are names that data or a checkpoint gave, and not just numbers.
    named: bool,
    parameters: Memory,
    gradients: Memory,
    optimiser: Vec<Memory>,
    state: Memory,
    epoch: u32,
    best: Option<(f64, f64)>,
    /// Whether epochs are validated, once that is known.
    validated: Option<bool>,
    watch_nan: bool,
}

impl Trainer {
    /// A network with initial weights on `device`.
    ///
    /// # Errors
    /// [`ModelError::Config`] for settings that cannot be, [`ModelError::Runtime`] if the device has no room.
    pub fn new(device: Device, config: Config) -> Result<Self, ModelError> {
        config.check("configuration")?;
        let parameters = config.network.parameters();
        let checkpoint = Checkpoint {
            classes: (0..config.network.outputs()).map(|class| class.to_string()).collect(),
            epoch: 0,
            best: None,
            state: config.optimiser.initial_state(config.train.seed),
            parameters: parameters.initial(config.train.seed),
            optimiser: config.optimiser.blocks().iter().map(|_| vec![0.0; parameters.len()]).collect(),
            config,
        };
        Ok(Self { named: false, ..Self::resume(device, checkpoint)? })
    }

    /// The training that `checkpoint` holds, ready to go on.
    ///
    /// # Errors
    /// [`ModelError::Runtime`] if the device has no room.
    pub fn resume(device: Device, checkpoint: Checkpoint) -> Result<Self, ModelError> {
        let Checkpoint { config, classes, epoch, best, state, parameters, optimiser } = checkpoint;
        let upload = |name: &str, block: &[f32]| device.upload(name, bytemuck::cast_slice(block));
        let blocks = config.optimiser.blocks().iter().zip(&optimiser);
        Ok(Self {
            parameters: upload("parameters", &parameters)?,
            gradients: device.alloc("gradients", parameters.len())?,
            optimiser: blocks.map(|(name, block)| upload(name, block)).collect::<Result<_, _>>()?,
            state: device.upload("state", &state.to_words())?,
            device,
            config,
            classes,
            named: true,
            epoch,
            best,
            validated: None,
            watch_nan: false,
        })
    }

    /// The device that it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What is trained and how.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Names of the classes, one per output.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Passes over the data done.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Trains up to another number of passes than configured; what was done counts.
    pub fn set_epochs(&mut self, epochs: u32) {
        self.config.train.epochs = epochs;
    }

    /// Whether to check everything that every call writes, and stop at the first value that is not finite.
    /// Many times slower; without it the failing step is found by its loss and replayed.
    pub fn set_watch_nan(&mut self, watch: bool) {
        self.watch_nan = watch;
    }

    /// Goes on with another learning rate.
    ///
    /// # Errors
    /// [`ModelError::Config`] if it is not a positive number.
    pub fn set_learning_rate(&mut self, value: f32) -> Result<(), ModelError> {
        self.config.optimiser = self.config.optimiser.with_learning_rate(value);
        self.config.check("learning rate")?;
        let place = offset_of!(StepState, learning_rate) / 4;
        Ok(self.device.write(&self.state, place, &[value.to_bits()])?)
    }

    /// Gives the parameter called `name` other values.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] if there is no such parameter or it has another length.
    pub fn set_parameter(&mut self, name: &str, values: &[f32]) -> Result<(), ModelError> {
        let set = self.config.network.parameters();
        let spec = set.find(name).ok_or_else(|| ModelError::Mismatch(format!("no parameter is called `{name}`")))?;
        if spec.len() != values.len() {
            let problem = format!("`{name}` has {} elements, got {}", spec.len(), values.len());
            return Err(ModelError::Mismatch(problem));
        }
        Ok(self.device.write(&self.parameters, spec.offset, bytemuck::cast_slice(values))?)
    }

    /// Every parameter.
    ///
    /// # Errors
    /// [`ModelError::Runtime`] if the device is lost.
    pub fn parameters(&self) -> Result<Vec<NamedTensor>, ModelError> {
        self.named(&self.parameters)
    }

    /// The gradient of every parameter in the last step.
    ///
    /// # Errors
    /// [`ModelError::Runtime`] if the device is lost.
    pub fn gradients(&self) -> Result<Vec<NamedTensor>, ModelError> {
        let loss_scale = self.config.engine.precision.loss_scale();
        let mut named = self.named(&self.gradients)?;
        named.iter_mut().flat_map(|tensor| &mut tensor.values).for_each(|value| *value /= loss_scale);
        Ok(named)
    }

    fn named(&self, block: &Memory) -> Result<Vec<NamedTensor>, ModelError> {
        let block = self.read_floats(block)?;
        let set = self.config.network.parameters();
        let named = set.specs().iter().map(|spec| NamedTensor {
            name: spec.name.clone(),
            shape: spec.shape.clone(),
            values: block[spec.offset..spec.offset + spec.len()].to_vec(),
        });
        Ok(named.collect())
    }

    fn read_floats(&self, memory: &Memory) -> Result<Vec<f32>, ModelError> {
        Ok(self.device.read(memory)?.into_iter().map(f32::from_bits).collect())
    }

    /// The step state on the device.
    pub(crate) fn read_state(&self) -> Result<StepState, ModelError> {
        let words = self.device.read(&self.state)?;
        StepState::from_words(&words).ok_or_else(|| ModelError::Mismatch("the step state has another length".into()))
    }

    /// Everything that is needed to go on from here.
    ///
    /// # Errors
    /// [`ModelError::NotFinite`] if a parameter is no longer a number: such a checkpoint helps nobody.
    pub fn checkpoint(&self) -> Result<Checkpoint, ModelError> {
        let state = self.read_state()?;
        let parameters = self.read_floats(&self.parameters)?;
        for spec in self.config.network.parameters().specs() {
            if parameters[spec.offset..spec.offset + spec.len()].iter().any(|value| !value.is_finite()) {
                return Err(ModelError::NotFinite {
                    what: format!("parameter `{}`", spec.name),
                    step: state.step,
                    cause: None,
                });
            }
        }
        let optimiser = self.optimiser.iter().map(|block| self.read_floats(block)).collect::<Result<_, _>>()?;
        let (config, classes, epoch, best) = (self.config.clone(), self.classes.clone(), self.epoch, self.best);
        Ok(Checkpoint { config, classes, epoch, best, state, parameters, optimiser })
    }

    /// Saves [`Trainer::checkpoint`] to a file.
    ///
    /// # Errors
    /// Those of [`Trainer::checkpoint`] and of [`Checkpoint::save`].
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        self.checkpoint()?.save(path)
    }

    /// Loss and accuracy on labelled data, summed up on the device. The data's classes are found among the network's by
    /// name, if those have names: from a checkpoint, or from the data that was trained on.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] if the images or classes do not fit the network, [`ModelError::NoRoom`] if the device has no
    /// room for them, [`ModelError::WorkLost`] if the device did not see each of them once.
    pub fn evaluate(&self, data: &Dataset) -> Result<Evaluation, ModelError> {
        let all: Vec<u32> = (0..data.len() as u32).collect();
        self.evaluator(data, &all)?.run()
    }

    /// An evaluation that can be repeated as the parameters change, over the examples of `data` named by
    /// `indices`. It takes them in batches of the configured size, or all at once if they are fewer.
    ///
    /// # Errors
    /// Those of [`Trainer::evaluate`].
    pub fn evaluator(&self, data: &Dataset, indices: &[u32]) -> Result<Evaluator, ModelError> {
        let data = self.upload(data)?;
        Evaluator::new(self, &data, indices)
    }

    /// Outputs of the network, `data.len() × classes`, in order.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] if the images do not fit the network, [`ModelError::WorkLost`] if the device left outputs
    /// unwritten.
    pub fn predict(&self, data: &Dataset) -> Result<Vec<Vec<f32>>, ModelError> {
        predictor::predict(self, data)
    }

    /// The full figures on labelled data, from the outputs of every example, with a row for each of the network's
    /// classes in their order. The data's are found among them as by [`Trainer::evaluate`].
    ///
    /// # Errors
    /// Those of [`Trainer::evaluate`].
    pub fn report(&self, data: &Dataset) -> Result<Report, ModelError> {
        Ok(self.report_with_outputs(data)?.0)
    }

    /// As [`Trainer::report`], with the outputs that the figures come from, as [`Trainer::predict`] gives them.
    ///
    /// # Errors
    /// Those of [`Trainer::evaluate`].
    pub fn report_with_outputs(&self, data: &Dataset) -> Result<(Report, Vec<Vec<f32>>), ModelError> {
        let labels = self.labels(data)?;
        let outputs = self.predict(data)?;
        let predictions: Vec<u32> = outputs.iter().map(|row| metrics::argmax(row)).collect();
        let loss_of = |(row, &label): (&Vec<f32>, &u32)| self.config.train.loss.of(row, label);
        let loss = outputs.iter().zip(&*labels).map(loss_of).sum::<f64>() / data.len().max(1) as f64;
        Ok((Report::new(&self.classes, &labels, &predictions, loss), outputs))
    }
}
