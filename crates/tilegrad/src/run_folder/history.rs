//! metrics.jsonl: a line per epoch, and a last one with the figures of the test.

use serde::{Deserialize, Serialize};
use std::path::Path;
use tilegrad_model::{EpochRecord, ModelError, write_atomically};

/// Loss and accuracy on the test data after `epoch` epochs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TestFigures {
    pub test_loss: f64,
    pub test_accuracy: f64,
    pub epoch: u32,
}

/// Replaces the file.
pub fn write(path: &Path, history: &[EpochRecord], test: Option<&TestFigures>) -> Result<(), ModelError> {
    write_atomically(path, to_lines(history, test).as_bytes())
}

/// The records of the epochs up to `epoch`. What else the file holds, an unfinished training left there or a user.
pub fn read(path: &Path, epoch: u32) -> Vec<EpochRecord> {
    std::fs::read_to_string(path).map(|text| records(&text, epoch)).unwrap_or_default()
}

fn to_lines(history: &[EpochRecord], test: Option<&TestFigures>) -> String {
    let epochs = history.iter().map(serde_json::to_string);
    let lines = epochs.chain(test.map(serde_json::to_string)).filter_map(Result::ok);
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
        assert_eq!(records(&to_lines(&history, None), 2), history);
    }

    #[test]
    fn what_lies_beyond_the_checkpoint_is_dropped() {
        let history = [record(1), record(2), record(3)];
        let test = TestFigures { test_loss: 0.5, test_accuracy: 0.9, epoch: 3 };
        let text = to_lines(&history, Some(&test));
        assert!(text.ends_with("{\"test_loss\":0.5,\"test_accuracy\":0.9,\"epoch\":3}\n"), "{text}");
        assert_eq!(records(&text, 2), history[..2]);
        assert_eq!(records(&text, 0), []);
        assert_eq!(records(&text[..text.len() / 2], 3).len(), 1, "half a line counts for nothing");
    }
}
