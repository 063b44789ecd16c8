//! One epoch: its steps, its validation, and whether it is the best so far. It is done as a whole, or as if never begun.

use super::diagnosis::Anchor;
use super::fit::{Observer, Session};
use super::{EpochRecord, Evaluation, Evaluator, Progress, Trainer, Work};
use crate::{ModelError, Monitor};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use tilegrad_kernels::state::Metrics;
use tilegrad_runtime::Snapshot;

/// Metrics on their way to the host; the oldest is waited for when there are more.
const IN_FLIGHT: usize = 2;
/// Steps are submitted together up to about this much time, so that progress is seen and Ctrl-C is heard.
const CHUNK: Duration = Duration::from_millis(100);
/// Most steps in one submission.
const MOST_STEPS: u32 = 32;

/// The record of an epoch that is done, and whether it is the best so far; `Break` if the observer stopped it.
type Outcome = ControlFlow<(), (EpochRecord, bool)>;

impl Trainer {
    /// Runs the next epoch. If it is stopped or fails, the training is left as it was before it, so that whatever is saved
    /// is an epoch's end.
    pub(super) fn run_epoch(&mut self, session: &Session, observer: &mut dyn Observer) -> Result<Outcome, ModelError> {
        let anchor = self.anchor()?;
        let outcome = self.try_epoch(session, &anchor, observer);
        match &outcome {
            Ok(ControlFlow::Continue(_)) => {}
            Ok(ControlFlow::Break(())) => self.restore(&anchor)?,
            // A device that is lost can't be written to either; what went wrong first is what counts.
            Err(_) => drop(self.restore(&anchor)),
        }
        outcome
    }

    fn try_epoch(
        &mut self,
        session: &Session,
        anchor: &Anchor,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, ModelError> {
        let started = Instant::now();
        self.start_pass(session, &self.order(session))?;
        let metrics = match self.run_steps(session, started, observer) {
            Ok(ControlFlow::Continue(metrics)) => metrics,
            Ok(ControlFlow::Break(())) => return Ok(ControlFlow::Break(())),
            Err(ModelError::NotFinite { what, step, cause: None }) => {
                let cause = self.replay(session, anchor, step)?.map(Box::new);
                return Err(ModelError::NotFinite { what, step, cause });
            }
            Err(error) => return Err(error),
        };
        let trained = started.elapsed().as_secs_f64();
        let step = self.check_epoch(session, anchor)?;
        let validation = session.validation.as_ref().map(Evaluator::run).transpose()?;
        if validation.is_some_and(|figures| !figures.loss.is_finite()) {
            // Every training loss was finite, so it was the last update that broke the parameters.
            let cause = self.replay(session, anchor, step)?.map(Box::new);
            return Err(ModelError::NotFinite { what: "validation loss after".into(), step, cause });
        }
        let improved = self.note_quality(metrics, validation);
        self.epoch += 1;
        let record = EpochRecord {
            epoch: self.epoch,
            step,
            train_loss: metrics.loss(),
            train_accuracy: metrics.accuracy(),
            val_loss: validation.map(|Evaluation { loss, .. }| loss),
            val_accuracy: validation.map(|Evaluation { accuracy, .. }| accuracy),
            images_per_s: f64::from(session.count) / trained,
            seconds: started.elapsed().as_secs_f64(),
        };
        Ok(ControlFlow::Continue((record, improved)))
    }

    /// The number of the last step, if the step state went on by an epoch.
    fn check_epoch(&self, session: &Session, anchor: &Anchor) -> Result<u32, ModelError> {
        let state = self.read_state()?;
        let done = |steps| Work::of(steps, session.batch, session.count);
        let expected = done(session.steps());
        expected.check(done(state.step.wrapping_sub(anchor.step())), &self.device, "training")?;
        expected.check(done(state.batch), &self.device, "training")?;
        Ok(state.step)
    }

    /// Whether an epoch of these figures is the best so far.
    fn note_quality(&mut self, metrics: Metrics, validation: Option<Evaluation>) -> bool {
        let trained = Evaluation { loss: metrics.loss(), accuracy: metrics.accuracy() };
        let monitor = self.config.train.monitor(validation.is_some());
        let Evaluation { loss, accuracy } =
            if monitor.needs_validation() { validation.unwrap_or(trained) } else { trained };
        let quality = (if monitor.is_loss() { -loss } else { accuracy }, loss);
        let improved = self.best.is_none_or(|best| quality.0 > best.0 || (quality.0 == best.0 && quality.1 < best.1));
        if improved {
            self.best = Some(quality);
        }
        improved
    }

    /// Submits the steps of an epoch; the host never waits for a step, only for metrics two submissions old.
    fn run_steps(
        &self,
        session: &Session,
        started: Instant,
        observer: &mut dyn Observer,
    ) -> Result<ControlFlow<(), Metrics>, ModelError> {
        let steps = session.steps();
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
                latest = self.read_metrics(snapshot, Work::of(step, session.batch, session.count), "training")?;
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

    /// The metrics after `expected` work. A device that counted anything else has lost some of it, or did it twice.
    pub(super) fn read_metrics(
        &self,
        snapshot: Snapshot,
        expected: Work,
        during: &'static str,
    ) -> Result<Metrics, ModelError> {
        read_metrics(&snapshot.wait()?, expected, &self.device, during)
    }

    /// What the best epoch of this training is best in; none before it began.
    pub fn monitor(&self) -> Option<Monitor> {
        self.validated.map(|validated| self.config.train.monitor(validated))
    }
}

/// The metrics in `words`, if `device` counted `expected` work.
pub(super) fn read_metrics(
    words: &[u32],
    expected: Work,
    device: &tilegrad_runtime::Device,
    during: &'static str,
) -> Result<Metrics, ModelError> {
    let metrics = Metrics::from_words(words);
    let metrics = metrics.ok_or_else(|| ModelError::Mismatch("the metrics have another length".into()))?;
    expected.check(Work::counted(&metrics), device, during)?;
    Ok(metrics)
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
