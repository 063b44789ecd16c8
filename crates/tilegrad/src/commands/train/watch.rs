//! Watches a training: shows it, saves it, stops it.

use super::job::Job;
use crate::format;
use crate::interrupt;
use crate::output::{note, say};
use crate::progress::{EpochProgress, Waiting};
use crate::run_folder::{RunFolder, Settings};
use std::ops::ControlFlow;
use tilegrad_model::{Checkpoint, EpochRecord, ModelError, Observer, Progress, Trainer};

/// The observer of `tilegrad train`.
#[derive(Debug)]
pub struct Watch {
    folder: RunFolder,
    settings: Settings,
    /// The checkpoint that the training goes on from.
    last: Option<Checkpoint>,
    epochs: u32,
    history: Vec<EpochRecord>,
    progress: EpochProgress,
    waiting: Option<Waiting>,
    /// The epoch at whose end the training was stopped.
    stopped_after: Option<u32>,
}

impl Watch {
    pub fn new(job: Job, settings: Settings, last: Option<Checkpoint>, waiting: Waiting) -> Self {
        let epochs = job.config.train.epochs;
        let history = last.as_ref().map(|last| job.folder.history(last)).unwrap_or_default();
        let (folder, progress) = (job.folder, EpochProgress::new(epochs));
        Self { folder, settings, last, epochs, history, progress, waiting: Some(waiting), stopped_after: None }
    }

    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    pub fn history(&self) -> &[EpochRecord] {
        &self.history
    }

    /// The epoch at whose end the training was stopped; none if it was within one.
    pub fn stopped_after(&self) -> Option<u32> {
        self.stopped_after
    }

    /// No epoch follows.
    pub fn end_epochs(&mut self) {
        self.progress.clear();
    }

    fn draw_curves(&self) {
        // A picture is not worth a training.
        if let Err(error) = self.folder.save_curves(&self.history) {
            note(format_args!("note: {}", crate::failure::one_line(&error)));
        }
    }
}

impl Observer for Watch {
    fn start(&mut self, trainer: &Trainer) -> Result<(), ModelError> {
        self.waiting = None;
        self.folder.write_settings(&self.settings)?;
        match &self.last {
            Some(last) => self.folder.repair_best(last, self.epochs),
            None => self.folder.save_initial(&trainer.checkpoint()?),
        }
    }

    fn note(&mut self, text: &str) {
        note(format_args!("note: {text}"));
    }

    fn progress(&mut self, progress: &Progress) -> ControlFlow<()> {
        self.progress.show(progress);
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn epoch(
        &mut self,
        trainer: &Trainer,
        record: &EpochRecord,
        improved: bool,
    ) -> Result<ControlFlow<()>, ModelError> {
        self.progress.clear();
        self.history.push(record.clone());
        self.folder.save_epoch(&self.history, &trainer.checkpoint()?, improved)?;
        say!("{}", epoch_line(record, self.epochs, improved));
        self.draw_curves();
        if !interrupt::asked() {
            return Ok(ControlFlow::Continue(()));
        }
        self.stopped_after = Some(record.epoch);
        Ok(ControlFlow::Break(()))
    }
}

fn epoch_line(record: &EpochRecord, epochs: u32, improved: bool) -> String {
    let width = epochs.to_string().len();
    let mut line = format!(
        "epoch {:>width$}/{epochs}  loss {}  accuracy {:.4}",
        record.epoch,
        format::loss(record.train_loss),
        record.train_accuracy
    );
    if let (Some(loss), Some(accuracy)) = (record.val_loss, record.val_accuracy) {
        line += &format!("  val loss {}  val accuracy {accuracy:.4}", format::loss(loss));
    }
    line += &format!("  {} images/s  {:.1} s", format::count(record.images_per_s.round() as u64), record.seconds);
    if improved {
        line += "  best";
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_one_line() {
        let mut record = EpochRecord {
            epoch: 3,
            step: 30,
            train_loss: 0.125,
            train_accuracy: 0.5,
            val_loss: Some(0.25),
            val_accuracy: Some(0.75),
            images_per_s: 5123.4,
            seconds: 10.54,
        };
        let line = epoch_line(&record, 10, true);
        assert_eq!(
            line,
            "epoch  3/10  loss 0.1250  accuracy 0.5000  val loss 0.2500  val accuracy 0.7500  5,123 images/s  10.5 s  best"
        );
        record.val_loss = None;
        assert_eq!(epoch_line(&record, 3, false), "epoch 3/3  loss 0.1250  accuracy 0.5000  5,123 images/s  10.5 s");
    }
}
