//! Evaluation: forward passes over labelled data.

use super::device_data::DeviceData;
use super::epoch::read_metrics;
use super::{Trainer, Work};
use crate::{Mode, ModelError, Program};
use tilegrad_kernels::state::{Metrics, StepState};
use tilegrad_runtime::{Device, Memory, Plan};

/// Loss and accuracy on labelled data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean loss of the examples.
    pub loss: f64,
    /// Share of the examples classified right.
    pub accuracy: f64,
}

/// An evaluation that can be repeated as the parameters change.
#[derive(Debug)]
pub struct Evaluator {
    device: Device,
    plan: Plan,
    state: Memory,
    metrics: Memory,
    fresh: StepState,
    /// What a pass is.
    work: Work,
}

impl Evaluator {
    pub(super) fn new(trainer: &Trainer, data: &DeviceData, indices: &[u32]) -> Result<Self, ModelError> {
        let device = &trainer.device;
        let batch = trainer.config.train.batch.min(indices.len() as u32).max(1);
        let program = Program::record(&trainer.config, Mode::Evaluate, batch, data.size(indices.len()))?;
        let fresh = StepState { count: indices.len() as u32, ..trainer.config.optimiser.initial_state(0) };
        let state = device.upload("evaluation state", &fresh.to_words())?;
        let metrics = device.alloc("evaluation metrics", Metrics::WORDS)?;
        let indices_memory = device.upload("evaluation indices", indices)?;
        let mut external = vec![
            (&program.parameters, &trainer.parameters),
            (&program.labels, &data.labels),
            (&program.indices, &indices_memory),
            (&program.state, &state),
        ];
        external.extend(program.images.iter().zip(&data.images));
        external.extend(program.metrics.as_ref().map(|slice| (slice, &metrics)));
        let plan = device.prepare(&program.graph, &external)?;
        let work = Work::of((indices.len() as u32).div_ceil(batch), batch, indices.len() as u32);
        Ok(Self { device: device.clone(), plan, state, metrics, fresh, work })
    }

    /// Loss and accuracy with the parameters as they are now.
    ///
    /// # Errors
    /// [`ModelError::Runtime`] if the device is lost, [`ModelError::WorkLost`] if it did not see every example once.
    pub fn run(&self) -> Result<Evaluation, ModelError> {
        self.device.write(&self.state, 0, &self.fresh.to_words())?;
        self.device.write(&self.metrics, 0, &[0; Metrics::WORDS])?;
        for _ in 0..self.work.steps {
            self.plan.run(1)?;
        }
        let words = self.device.read(&self.metrics)?;
        let metrics = read_metrics(&words, self.work, &self.device, "evaluation")?;
        Ok(Evaluation { loss: metrics.loss(), accuracy: metrics.accuracy() })
    }
}
