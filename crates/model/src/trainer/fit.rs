//! Fitting: epochs of shuffled steps, watched by somebody who may stop them.

use super::device_data::DeviceData;
use super::{EpochRecord, Evaluation, Evaluator, Progress, Trainer};
use crate::data::{Dataset, Division, TrainingData};
use crate::{Mode, ModelError, Program};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use tilegrad_kernels::state::{Metrics, StepState};
use tilegrad_kernels::{Slice, hash};
use tilegrad_runtime::{Memory, Plan, Snapshot};

/// Streams of random numbers from here on shuffle the examples, one stream per epoch.
const SHUFFLE_STREAM: u32 = 0x5000_0000;
/// Metrics on their way to the host; the oldest is waited for when there are more.
const IN_FLIGHT: usize = 2;
/// Steps are submitted together up to about this much time, so that progress is seen and Ctrl-C is heard.
const CHUNK: Duration = Duration::from_millis(100);
/// Most steps in one submission.
const MOST_STEPS: u32 = 32;

/// Watches a training, and may stop it.
pub trait Observer {
    /// Called once, when everything is prepared and before the first step.
    ///
    /// # Errors
    /// Whatever it meets ends the training.
    fn start(&mut self, _trainer: &Trainer) -> Result<(), ModelError> {
        Ok(())
    }

    /// Called several times an epoch; `Break` stops the training at once, without a record of this epoch.
    fn progress(&mut self, _progress: &Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Called after each epoch, before the next one starts; `improved` if it is the best so far.
    ///
    /// # Errors
    /// Whatever it meets ends the training.
    fn epoch(&mut self, _trainer: &Trainer, _record: &EpochRecord, _improved: bool) -> Result<(), ModelError> {
        Ok(())
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
    metrics: Memory,
    indices: Memory,
    /// Examples that are trained on.
    examples: Vec<u32>,
    /// How many these are.
    pub(super) count: u32,
    validation: Option<Evaluator>,
}

impl Trainer {
    /// Trains until the configured number of epochs is done. `data` is a [`Dataset`], of which a share is validated on,
    /// [`Splits`](crate::data::Splits), or [`TrainingData`] with a set of its own to validate on. A network whose classes
    /// have no names yet takes the data's; else they must be the same, whatever their order.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] if the data does not fit, [`ModelError::NotFinite`] if the training diverges.
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
        observer.start(self)?;
        let mut records = Vec::new();
        while self.epoch < self.config.train.epochs {
            match self.run_epoch(&session, observer)? {
                ControlFlow::Continue((record, improved)) => {
                    observer.epoch(self, &record, improved)?;
                    records.push(record);
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
        for _ in 0..steps {
            self.device.write(&session.metrics, 0, &[0; Metrics::WORDS])?;
            session.plan.run(1)?;
            losses.push(read_metrics(self.device.snapshot(&session.metrics)?)?.loss());
        }
        Ok(losses)
    }

    pub(super) fn session<'a>(&self, data: impl Into<TrainingData<'a>>) -> Result<Session, ModelError> {
        let data = data.into();
        let batch = self.config.train.batch;
        let Division { train: examples, validation: held_out, .. } = self.config.divide(data);
        let count = examples.len() as u32;
        if batch > count {
            return Err(ModelError::Mismatch(format!(
                "batch {batch} is larger than the {count} training examples of {}; try --batch {count}",
                data.train.name()
            )));
        }
        let on_device = self.upload(data.train)?;
        let indices = self.device.alloc("indices", count as usize)?;
        let metrics = self.device.alloc("metrics", Metrics::WORDS)?;
        let program = Program::record(&self.config, Mode::Train, batch, on_device.size(count as usize))?;
        let bound = self.bindings(&program, &on_device, &indices, &metrics);
        let plan = self.device.prepare(&program.graph, &borrowed(&bound))?;
        let validate_on = data.validation.map(|own| self.upload(own)).transpose()?.unwrap_or(on_device);
        let validation = (!held_out.is_empty()).then(|| Evaluator::new(self, &validate_on, &held_out)).transpose()?;
        Ok(Session { plan, program, bound, metrics, indices, examples, count, validation })
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
            (program.images.clone(), data.images.clone()),
            (program.labels.clone(), data.labels.clone()),
            (program.indices.clone(), indices.clone()),
            (program.state.clone(), self.state.clone()),
        ];
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
        let place = |name| StepState::FIELDS.iter().position(|field| field.name == name).unwrap_or(0);
        self.device.write(&self.state, place("batch"), &[0])?;
        self.device.write(&self.state, place("count"), &[session.count])?;
        Ok(self.device.write(&self.state, place("epoch"), &[self.epoch])?)
    }

    fn run_epoch(
        &mut self,
        session: &Session,
        observer: &mut dyn Observer,
    ) -> Result<ControlFlow<(), (EpochRecord, bool)>, ModelError> {
        let started = Instant::now();
        self.start_pass(session, &shuffled(session.count, self.config.train.seed, self.epoch))?;
        let anchor = self.anchor()?;
        let metrics = match self.run_steps(session, started, observer) {
            Ok(ControlFlow::Continue(metrics)) => metrics,
            Ok(ControlFlow::Break(())) => return Ok(ControlFlow::Break(())),
            Err(ModelError::NotFinite { what, step, cause: None }) => {
                let cause = self.replay(session, &anchor, step)?.map(Box::new);
                return Err(ModelError::NotFinite { what, step, cause });
            }
            Err(error) => return Err(error),
        };
        let trained = started.elapsed().as_secs_f64();
        let validation = session.validation.as_ref().map(Evaluator::run).transpose()?;
        let state = self.read_state()?;
        let quality = validation.map_or((-metrics.loss(), metrics.loss()), |v| (v.accuracy, v.loss));
        if !quality.1.is_finite() {
            // Every training loss was finite, so it was the last update that broke the parameters.
            let cause = self.replay(session, &anchor, state.step)?.map(Box::new);
            return Err(ModelError::NotFinite { what: "validation loss after".into(), step: state.step, cause });
        }
        let improved = self.best.is_none_or(|best| quality.0 > best.0 || (quality.0 == best.0 && quality.1 < best.1));
        if improved {
            self.best = Some(quality);
        }
        self.epoch += 1;
        let record = EpochRecord {
            epoch: self.epoch,
            step: state.step,
            train_loss: metrics.loss(),
            train_accuracy: metrics.accuracy(),
            val_loss: validation.map(|Evaluation { loss, .. }| loss),
            val_accuracy: validation.map(|Evaluation { accuracy, .. }| accuracy),
            images_per_s: f64::from(session.count) / trained,
            seconds: started.elapsed().as_secs_f64(),
        };
        Ok(ControlFlow::Continue((record, improved)))
    }

    /// Submits the steps of an epoch; the host never waits for a step, only for metrics two submissions old.
    fn run_steps(
        &self,
        session: &Session,
        started: Instant,
        observer: &mut dyn Observer,
    ) -> Result<ControlFlow<(), Metrics>, ModelError> {
        let steps = session.count.div_ceil(self.config.train.batch);
        let probe = if self.watch_nan { Some(self.probe(session)?) } else { None };
        let mut pending: VecDeque<(u32, Snapshot)> = VecDeque::new();
        let (mut done, mut chunk, mut last) = (0, 1, Instant::now());
        let mut latest = Metrics::default();
        while done < steps || !pending.is_empty() {
            if done < steps {
                let now = if probe.is_some() { 1 } else { chunk.min(steps - done) };
                match &probe {
                    Some(probe) => self.step_under_watch(probe)?,
                    None => session.plan.run(now)?,
                }
                done += now;
                pending.push_back((done, self.device.snapshot(&session.metrics)?));
            }
            let due = |pending: &VecDeque<(u32, Snapshot)>| {
                pending
                    .front()
                    .is_some_and(|(_, oldest)| pending.len() > IN_FLIGHT || done == steps || oldest.is_ready())
            };
            while due(&pending) {
                let Some((step, snapshot)) = pending.pop_front() else { break };
                latest = read_metrics(snapshot)?;
                if latest.first_bad > 0 {
                    return Err(ModelError::NotFinite { what: "loss".into(), step: latest.first_bad, cause: None });
                }
                let progress = progress(self.epoch + 1, (step, steps), latest, started);
                if observer.progress(&progress).is_break() {
                    self.device.wait()?;
                    return Ok(ControlFlow::Break(()));
                }
                chunk = next_chunk(chunk, last.elapsed());
                last = Instant::now();
            }
        }
        Ok(ControlFlow::Continue(latest))
    }
}

/// The same list as [`tilegrad_runtime::Device::prepare`] takes it.
pub(super) fn borrowed(bound: &[(Slice, Memory)]) -> Vec<(&Slice, &Memory)> {
    bound.iter().map(|(slice, memory)| (slice, memory)).collect()
}

fn progress(epoch: u32, (step, steps): (u32, u32), metrics: Metrics, started: Instant) -> Progress {
    let elapsed = started.elapsed();
    Progress {
        epoch,
        step,
        steps,
        loss: metrics.loss(),
        accuracy: metrics.accuracy(),
        images_per_s: f64::from(metrics.seen) / elapsed.as_secs_f64().max(1e-9),
        elapsed,
    }
}

/// Steps of the next submission after one of `chunk` steps took `time`.
fn next_chunk(chunk: u32, time: Duration) -> u32 {
    if time * 2 < CHUNK {
        (chunk * 2).min(MOST_STEPS)
    } else if time > CHUNK * 2 {
        (chunk / 2).max(1)
    } else {
        chunk
    }
}

fn read_metrics(snapshot: Snapshot) -> Result<Metrics, ModelError> {
    let words = snapshot.wait()?;
    Metrics::from_words(&words).ok_or_else(|| ModelError::Mismatch("the metrics have another length".into()))
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
