//! metrics.jsonl: a line per epoch, and at the end one each with the test figures of the best and the last epoch.

use serde::Serialize;
use std::path::Path;
use tilegrad_model::{EpochRecord, Evaluation, ModelError, write_atomically};

/// Loss and accuracy on the test data after `epoch` epochs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TestFigures {
    pub test_loss: f64,
    pub test_accuracy: f64,
    pub epoch: u32,
    /// `best` or `last`.
    pub checkpoint: &'static str,
}

impl TestFigures {
    pub fn new(checkpoint: &'static str, epoch: u32, found: Evaluation) -> Self {
        Self { test_loss: found.loss, test_accuracy: found.accuracy, epoch, checkpoint }
    }
}

/// Replaces the file.
pub fn write(path: &Path, history: &[EpochRecord], tests: &[TestFigures]) -> Result<(), ModelError> {
    write_atomically(path, to_lines(history, tests).as_bytes())
}

/// The records of the epochs up to `epoch`. What else the file holds, an unfinished training left there or a user.
pub fn read(path: &Path, epoch: u32) -> Vec<EpochRecord> {
    std::fs::read_to_string(path).map(|text| records(&text, epoch)).unwrap_or_default()
}

fn to_lines(history: &[EpochRecord], tests: &[TestFigures]) -> String {
    let epochs = history.iter().map(serde_json::to_string);
    let lines = epochs.chain(tests.iter().map(serde_json::to_string)).filter_map(Result::ok);
    lines.map(|line| line + "\n").collect()
}

fn records(text: &str, epoch: u32) -> Vec<EpochRecord> {
    let records = text.lines().filter_map(|line| serde_json::from_str::<EpochRecord>(line).ok());
    records.filter(|record| record.epoch <= epoch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(epoch: u32) -> EpochRecord {
        EpochRecord {
            epoch,
            step: epoch * 7,
            train_loss: 0.1 + f64::from(epoch),
            train_accuracy: 1.0 / 3.0,
            val_loss: None,
            val_accuracy: Some(0.1),
            images_per_s: 1e5 / 3.0,
            seconds: 0.3,
        }
    }

    #[test]
    fn records_come_back_bit_for_bit() {
        let history = [record(1), record(2)];
        assert_eq!(records(&to_lines(&history, &[]), 2), history);
    }

    #[test]
    fn what_lies_beyond_the_checkpoint_is_dropped() {
        let history = [record(1), record(2), record(3)];
        let test = |checkpoint| TestFigures::new(checkpoint, 3, Evaluation { loss: 0.5, accuracy: 0.9 });
        let text = to_lines(&history, &[test("best"), test("last")]);
        let line =
            |name| format!("{{\"test_loss\":0.5,\"test_accuracy\":0.9,\"epoch\":3,\"checkpoint\":\"{name}\"}}\n");
        assert!(text.ends_with(&(line("best") + &line("last"))), "{text}");
        assert_eq!(records(&text, 2), history[..2]);
        assert_eq!(records(&text, 0), []);
        let before = to_lines(&history, &[]) + "{\"test_loss\":0.5,\"test_accuracy\":0.9,\"epoch\":3}\n";
        assert_eq!(records(&before, 3), history, "as older programs ended the file");
        assert_eq!(records(&text[..text.len() / 2], 3).len(), 1, "half a line counts for nothing");
    }
}
