//! Watches a training: shows it, saves it, stops it.

use super::job::Job;
use crate::format;
use crate::interrupt;
use crate::output::{fitting, note, tell, width};
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
        tell!("{}", epoch_line(record, self.epochs, improved, width()));
        self.draw_curves();
        if !interrupt::asked() {
            return Ok(ControlFlow::Continue(()));
        }
        self.stopped_after = Some(record.epoch);
        Ok(ControlFlow::Break(()))
    }
}

/// An epoch in a line of at most `width` columns, if it can be: without the speed where it is narrow.
fn epoch_line(record: &EpochRecord, epochs: u32, improved: bool, width: Option<usize>) -> String {
    // Room is left for the word, so that lines with and without it have one form.
    let room = width.map(|width| width.saturating_sub(if improved { 0 } else { "  best".len() }));
    fitting(room, [long_line, short_line].map(|form| form(record, epochs) + if improved { "  best" } else { "" }))
}

fn long_line(record: &EpochRecord, epochs: u32) -> String {
    let mut line = format!(
        "{}  loss {}  accuracy {:.4}",
        place(record, epochs),
        format::loss(record.train_loss),
        record.train_accuracy
    );
    if let (Some(loss), Some(accuracy)) = (record.val_loss, record.val_accuracy) {
        line += &format!("  val loss {}  val accuracy {accuracy:.4}", format::loss(loss));
    }
    line + &format!("  {} images/s  {:.1} s", format::count(record.images_per_s.round() as u64), record.seconds)
}

fn short_line(record: &EpochRecord, epochs: u32) -> String {
    let figures = |loss: f64, accuracy: f64| format!("loss {} acc {accuracy:.4}", format::loss(loss));
    let mut line = format!("{}  {}", place(record, epochs), figures(record.train_loss, record.train_accuracy));
    if let (Some(loss), Some(accuracy)) = (record.val_loss, record.val_accuracy) {
        line += &format!("  val {}", figures(loss, accuracy));
    }
    line + &format!("  {:.1} s", record.seconds)
}

fn place(record: &EpochRecord, epochs: u32) -> String {
    let width = epochs.to_string().len();
    format!("epoch {:>width$}/{epochs}", record.epoch)
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
        let line = epoch_line(&record, 10, true, None);
        assert_eq!(
            line,
            "epoch  3/10  loss 0.1250  accuracy 0.5000  val loss 0.2500  val accuracy 0.7500  5,123 images/s  10.5 s  best"
        );
        let line = epoch_line(&record, 10, true, Some(80));
        assert_eq!(line, "epoch  3/10  loss 0.1250 acc 0.5000  val loss 0.2500 acc 0.7500  10.5 s  best");
        let (epochs, seconds) =
            (std::mem::replace(&mut record.epoch, 300), std::mem::replace(&mut record.seconds, 9.96));
        assert_eq!(epoch_line(&record, 300, true, Some(80)).len(), 79);
        (record.epoch, record.seconds) = (epochs, seconds);
        record.val_loss = None;
        assert_eq!(
            epoch_line(&record, 3, false, None),
            "epoch 3/3  loss 0.1250  accuracy 0.5000  5,123 images/s  10.5 s"
        );
    }
}
