//! Fitting: epochs of shuffled steps, watched by somebody who may stop them.

use super::device_data::DeviceData;
use super::{EpochRecord, Evaluator, Progress, Trainer, Work};
use crate::data::{Dataset, Division, TrainingData};
use crate::{Mode, ModelError, Program};
use std::mem::offset_of;
use std::ops::ControlFlow;
use tilegrad_kernels::state::{Metrics, StepState};
use tilegrad_kernels::{Slice, hash};
use tilegrad_runtime::{Memory, Plan};

/// Streams of random numbers from here on shuffle the examples, one stream per epoch.
const SHUFFLE_STREAM: u32 = 0x5000_0000;

/// Watches a training, and may stop it.
pub trait Observer {
    /// Called once, when everything is prepared and before the first step.
    ///
    /// # Errors
    /// Whatever it meets ends the training.
    fn start(&mut self, _trainer: &Trainer) -> Result<(), ModelError> {
        Ok(())
    }

    /// Called with what whoever started the training should know about it, after [`Observer::start`].
    fn note(&mut self, _note: &str) {}

    /// Called several times an epoch; `Break` stops the training at once, without a record of this epoch. The training
    /// then stands where the epoch before it ended: that is what is saved, and gone on from.
    fn progress(&mut self, _progress: &Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Called after each epoch, before the next one starts; `improved` if it is the best so far. `Break` stops the
    /// training here: the epoch is done, and counts.
    ///
    /// # Errors
    /// Whatever it meets ends the training.
    fn epoch(
        &mut self,
        _trainer: &Trainer,
        _record: &EpochRecord,
        _improved: bool,
    ) -> Result<ControlFlow<()>, ModelError> {
        Ok(ControlFlow::Continue(()))
    }
}

/// Watches nothing.
struct Nobody;

impl Observer for Nobody {}

/// A training plan over one data set.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) plan: Plan,
    pub(super) program: Program,
    /// The memory bound to each external buffer of the program.
    pub(super) bound: Vec<(Slice, Memory)>,
    pub(super) metrics: Memory,
    indices: Memory,
    /// Examples that are trained on.
    examples: Vec<u32>,
    /// How many these are.
    pub(super) count: u32,
    /// Examples of a step: those of the configuration, or all that there are.
    pub(super) batch: u32,
    pub(super) validation: Option<Evaluator>,
}

impl Session {
    /// Steps of an epoch; the last one may be short.
    pub(super) fn steps(&self) -> u32 {
        self.count.div_ceil(self.batch)
    }
}

impl Trainer {
    /// Trains until the configured number of epochs is done. `data` is a [`Dataset`], of which a share is validated on,
    /// [`Splits`](crate::data::Splits), or [`TrainingData`] with a set of its own to validate on. A network whose classes
    /// have no names yet takes the data's; else they must be the same, whatever their order. A batch larger than the data is
    /// cut down to it.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] if the data does not fit, [`ModelError::NotFinite`] if the training diverges,
    /// [`ModelError::WorkLost`] if the device did not do every step once. The training then stands where the last whole
    /// epoch ended.
    pub fn fit<'a>(&mut self, data: impl Into<TrainingData<'a>>) -> Result<Vec<EpochRecord>, ModelError> {
        self.fit_watched(data, &mut Nobody)
    }

    /// As [`Trainer::fit`], watched by `observer`.
    ///
    /// # Errors
    /// Those of [`Trainer::fit`] and of the observer.
    pub fn fit_watched<'a>(
        &mut self,
        data: impl Into<TrainingData<'a>>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<EpochRecord>, ModelError> {
        let data = data.into();
        self.labels(data.train)?;
        self.adopt_classes(data.train);
        let session = self.session(data)?;
        self.validated = Some(session.validation.is_some());
        observer.start(self)?;
        if session.batch < self.config.train.batch {
            let (wanted, batch) = (self.config.train.batch, session.batch);
            observer.note(&format!("a batch of {wanted} is cut down to the {batch} training examples that there are"));
        }
        let mut records = Vec::new();
        while self.epoch < self.config.train.epochs {
            match self.run_epoch(&session, observer)? {
                ControlFlow::Continue((record, improved)) => {
                    let flow = observer.epoch(self, &record, improved)?;
                    records.push(record);
                    if flow.is_break() {
                        break;
                    }
                }
                ControlFlow::Break(()) => break,
            }
        }
        Ok(records)
    }

    /// Runs `steps` steps over the first examples of `data` in order, without shuffling, and returns each loss.
    ///
    /// # Errors
    /// Those of [`Trainer::fit`].
    pub fn steps_in_order(&mut self, data: &Dataset, steps: u32) -> Result<Vec<f64>, ModelError> {
        let session = self.session(data)?;
        self.start_pass(&session, &(0..session.count).collect::<Vec<u32>>())?;
        let mut losses = Vec::new();
        for step in 0..steps {
            self.device.write(&session.metrics, 0, &[0; Metrics::WORDS])?;
            session.plan.run(1)?;
            let examples = session.count.saturating_sub(step.saturating_mul(session.batch)).min(session.batch);
            let snapshot = self.device.snapshot(&session.metrics)?;
            losses.push(self.read_metrics(snapshot, Work { steps: 1, examples }, "training")?.loss());
        }
        Ok(losses)
    }

    pub(super) fn session<'a>(&self, data: impl Into<TrainingData<'a>>) -> Result<Session, ModelError> {
        let data = data.into();
        let Division { train: examples, validation: held_out, .. } = self.config.divide(data);
        let count = examples.len() as u32;
        let batch = self.config.train.batch.min(count);
        self.check_monitor(!held_out.is_empty(), data.train)?;
        let on_device = self.upload(data.train)?;
        let indices = self.device.alloc("indices", count as usize)?;
        let metrics = self.device.alloc("metrics", Metrics::WORDS)?;
        let program = Program::record(&self.config, Mode::Train, batch, on_device.size(count as usize))?;
        let bound = self.bindings(&program, &on_device, &indices, &metrics);
        let plan = self.device.prepare(&program.graph, &borrowed(&bound))?;
        let validate_on = data.validation.map(|own| self.upload(own)).transpose()?.unwrap_or(on_device);
        let validation = (!held_out.is_empty()).then(|| Evaluator::new(self, &validate_on, &held_out)).transpose()?;
        Ok(Session { plan, program, bound, metrics, indices, examples, count, batch, validation })
    }

    /// An error if the best epoch is to be told by figures that there are none of.
    fn check_monitor(&self, validated: bool, data: &Dataset) -> Result<(), ModelError> {
        let monitor = self.config.train.monitor(validated);
        if validated || !monitor.needs_validation() {
            return Ok(());
        }
        Err(ModelError::Mismatch(format!(
            "[train] monitor = \"{}\" needs examples to validate on, and of the {} of {} there are none; set \
             validation_split in [data], or monitor \"train_loss\" or \"train_accuracy\"",
            monitor.word(),
            data.len(),
            data.name()
        )))
    }

    fn bindings(
        &self,
        program: &Program,
        data: &DeviceData,
        indices: &Memory,
        metrics: &Memory,
    ) -> Vec<(Slice, Memory)> {
        let mut bound = vec![
            (program.parameters.clone(), self.parameters.clone()),
            (program.labels.clone(), data.labels.clone()),
            (program.indices.clone(), indices.clone()),
            (program.state.clone(), self.state.clone()),
        ];
        bound.extend(program.images.iter().cloned().zip(data.images.iter().cloned()));
        bound.extend(program.gradients.iter().map(|slice| (slice.clone(), self.gradients.clone())));
        bound.extend(program.metrics.iter().map(|slice| (slice.clone(), metrics.clone())));
        bound.extend(program.optimiser.iter().cloned().zip(self.optimiser.iter().cloned()));
        bound
    }

    /// Resets what belongs to one pass over the data, and nothing else: the rest the device advances itself. `order` is
    /// that of the training examples, counted from 0.
    pub(super) fn start_pass(&self, session: &Session, order: &[u32]) -> Result<(), ModelError> {
        let order: Vec<u32> = order.iter().map(|&place| session.examples[place as usize]).collect();
        self.device.write(&session.indices, 0, &order)?;
        self.device.write(&session.metrics, 0, &[0; Metrics::WORDS])?;
        let write = |offset: usize, value: u32| self.device.write(&self.state, offset / 4, &[value]);
        write(offset_of!(StepState, batch), 0)?;
        write(offset_of!(StepState, count), session.count)?;
        Ok(write(offset_of!(StepState, epoch), self.epoch)?)
    }

    /// The order of the next epoch.
    pub(super) fn order(&self, session: &Session) -> Vec<u32> {
        shuffled(session.count, self.config.train.seed, self.epoch)
    }
}

/// The same list as [`tilegrad_runtime::Device::prepare`] takes it.
pub(super) fn borrowed(bound: &[(Slice, Memory)]) -> Vec<(&Slice, &Memory)> {
    bound.iter().map(|(slice, memory)| (slice, memory)).collect()
}

/// The order of an epoch: Fisher and Yates's shuffle with counter-based random numbers.
pub(super) fn shuffled(count: u32, seed: u32, epoch: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count).collect();
    for last in (1..count).rev() {
        let random = u64::from(hash::bits(seed, SHUFFLE_STREAM.wrapping_add(epoch), last));
        let other = (random * u64::from(last + 1)) >> 32;
        order.swap(last as usize, other as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::shuffled;

    #[test]
    fn a_shuffle_is_a_permutation_that_depends_on_seed_and_epoch() {
        let order = shuffled(1000, 1, 2);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<u32>>());
        assert_eq!(order, shuffled(1000, 1, 2));
        assert!(order != shuffled(1000, 1, 3) && order != shuffled(1000, 2, 2));
        let moved = order.iter().enumerate().filter(|(i, x)| *i as u32 != **x).count();
        assert!(moved > 950, "only {moved} of 1000 examples moved");
    }
}
