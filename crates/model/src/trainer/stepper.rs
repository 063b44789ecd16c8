//! Steps one after the other, for measuring them.

use super::fit::{Session, shuffled};
use super::{Trainer, Work};
use crate::ModelError;
use crate::data::Dataset;
use tilegrad_runtime::{Graph, MemoryUse};

/// Training steps on demand: shuffled as in a training, whole batches only, without validation or metrics.
#[derive(Debug)]
pub struct Stepper<'a> {
    trainer: &'a mut Trainer,
    session: Session,
    /// Steps of a pass; a short last batch is left out, so that every step does the same work.
    steps: u32,
    /// Steps of this pass that are done.
    done: u32,
    /// Passes begun.
    passes: u32,
    /// Whether the device's own count of this pass is that of whole steps.
    counted: bool,
}

impl Trainer {
    /// Prepares single steps over `data`.
    ///
    /// # Errors
    /// Those of [`Trainer::fit`].
    pub fn stepper(&mut self, data: &Dataset) -> Result<Stepper<'_>, ModelError> {
        let session = self.session(data)?;
        let steps = session.count / session.batch;
        Ok(Stepper { trainer: self, session, steps, done: steps, passes: 0, counted: false })
    }
}

impl Stepper<'_> {
    /// Runs `steps` steps. On an adapter this only submits them.
    ///
    /// # Errors
    /// [`ModelError::Runtime`] if the device is lost.
    pub fn run(&mut self, mut steps: u32) -> Result<(), ModelError> {
        while steps > 0 {
            self.begin_pass_if_due()?;
            let now = steps.min(self.steps - self.done);
            self.session.plan.run(now)?;
            self.done += now;
            steps -= now;
        }
        Ok(())
    }

    /// Runs one step, waits, and gives the seconds of each of its calls by the adapter's own clock: none at all on a device
    /// without one, where no step is run, and none for a call whose times cannot be true.
    ///
    /// # Errors
    /// [`ModelError::Runtime`] if the device is lost.
    pub fn time_calls(&mut self) -> Result<Option<Vec<Option<f64>>>, ModelError> {
        self.begin_pass_if_due()?;
        let times = self.session.plan.time_calls()?;
        self.done += u32::from(times.is_some());
        Ok(times)
    }

    fn begin_pass_if_due(&mut self) -> Result<(), ModelError> {
        if self.done == self.steps {
            let order = shuffled(self.session.count, self.trainer.config.train.seed, self.passes);
            self.trainer.start_pass(&self.session, &order)?;
            (self.done, self.passes, self.counted) = (0, self.passes + 1, true);
        }
        Ok(())
    }

    /// The calls of a step.
    pub fn graph(&self) -> &Graph {
        &self.session.program.graph
    }

    /// Memory that the plan of a step takes.
    pub fn memory(&self) -> &MemoryUse {
        self.session.plan.memory()
    }

    /// Runs one call of a step `times` times. Runs of a whole step are in order again after [`Stepper::restart`].
    ///
    /// # Errors
    /// [`ModelError::Runtime`] if the device is lost.
    pub fn run_call(&mut self, call: usize, times: u32) -> Result<(), ModelError> {
        self.counted = false;
        Ok(self.session.plan.run_call(call, times)?)
    }

    /// Begins a new pass over the data with the next step.
    pub fn restart(&mut self) {
        (self.done, self.counted) = (self.steps, false);
    }

    /// Waits until every step is done, and looks whether each was, once.
    ///
    /// # Errors
    /// [`ModelError::Runtime`] if the device is lost, [`ModelError::WorkLost`] if it did not do every step once.
    pub fn wait(&self) -> Result<(), ModelError> {
        let device = &self.trainer.device;
        if !self.counted {
            return Ok(device.wait()?);
        }
        let work = |steps| Work::of(steps, self.session.batch, self.session.count);
        let done = self.trainer.read_state()?.batch;
        work(self.done).check(work(done), device, "training")
    }
}
