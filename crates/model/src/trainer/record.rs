//! What a training tells while it runs.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Where a training stands within an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The epoch under way, counted from 1.
    pub epoch: u32,
    /// Steps of it that are done.
    pub step: u32,
    /// Steps that it has.
    pub steps: u32,
    /// Mean loss of its examples so far.
    pub loss: f64,
    /// Accuracy on its examples so far.
    pub accuracy: f64,
    /// Examples trained on per second.
    pub images_per_s: f64,
    /// Time since the epoch began.
    pub elapsed: Duration,
}

/// An epoch that is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: u32,
    /// Optimiser steps since the weights were initialised.
    pub step: u32,
    /// Mean loss of the training examples, each taken before its update.
    pub train_loss: f64,
    /// Accuracy on the training examples, each taken before its update.
    pub train_accuracy: f64,
    /// Loss on the validation part, if there is one.
    pub val_loss: Option<f64>,
    /// Accuracy on the validation part, if there is one.
    pub val_accuracy: Option<f64>,
    /// Examples trained on per second, validation not counted.
    pub images_per_s: f64,
    /// Wall time of the epoch, validation included.
    pub seconds: f64,
}
