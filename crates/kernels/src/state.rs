//! What changes from step to step. It lives in a device buffer that the device itself advances.

use crate::{Field, FieldType};
use bytemuck::{Pod, Zeroable};

/// The step state: position within the data and what the optimiser needs to know of time.
///
/// WGSL files repeat it as `struct StepState`; the contract test compares names, types and offsets.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct StepState {
    /// Optimiser steps done since the parameters were initialised.
    pub step: u32,
    /// Batches done in this pass over the data.
    pub batch: u32,
    /// Examples in this pass; the last batch may be short.
    pub count: u32,
    /// Seed of every random number drawn on the device.
    pub seed: u32,
    /// Learning rate of the next update.
    pub learning_rate: f32,
    /// `beta1 - beta1^t` of the next update, with t counted from 1. `1 - beta1^t` is this plus `1 - beta1`.
    /// A power of beta near one would lose in f32 what the subtraction is about: `1 - 0.999^2` its last five digits.
    pub beta1_gap: f32,
    /// `beta2 - beta2^t` of the next update, likewise.
    pub beta2_gap: f32,
    /// Passes over the data done.
    pub epoch: u32,
}

impl StepState {
    /// Number of 32-bit words.
    pub const WORDS: usize = Self::FIELDS.len();
    /// The fields in order, each four bytes.
    pub const FIELDS: &'static [Field] = &[
        Field { name: "step", ty: FieldType::U32 },
        Field { name: "batch", ty: FieldType::U32 },
        Field { name: "count", ty: FieldType::U32 },
        Field { name: "seed", ty: FieldType::U32 },
        Field { name: "learning_rate", ty: FieldType::F32 },
        Field { name: "beta1_gap", ty: FieldType::F32 },
        Field { name: "beta2_gap", ty: FieldType::F32 },
        Field { name: "epoch", ty: FieldType::U32 },
    ];

    /// The state as words of a device buffer.
    pub fn to_words(self) -> Vec<u32> {
        bytemuck::cast_slice(&[self]).to_vec()
    }

    /// The state read back from a device buffer, if it has the right length.
    pub fn from_words(words: &[u32]) -> Option<Self> {
        bytemuck::try_pod_read_unaligned(bytemuck::cast_slice(words)).ok()
    }

    /// Length of a buffer bound as `state`.
    pub(crate) const LEN: [(&'static str, u32); 1] = [("words of StepState", Self::WORDS as u32)];

    /// The state bound to a call, which has checked its length.
    pub(crate) fn bound(words: &[u32]) -> Self {
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(words))
    }

    /// Rows of the current batch of `batch_size` that hold examples; the rest is padding.
    pub fn valid_rows(&self, batch_size: u32) -> u32 {
        self.count.saturating_sub(self.batch.saturating_mul(batch_size)).min(batch_size)
    }
}

/// Sums over the batches of a pass, kept on the device until the host asks.
///
/// WGSL files repeat it as `struct Metrics`; the contract test compares names, types and offsets.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Default, Pod, Zeroable)]
pub struct Metrics {
    /// Sum of the losses of all examples seen.
    pub loss_sum: f32,
    /// Examples whose largest logit was the label's.
    pub hits: u32,
    /// Examples seen.
    pub seen: u32,
    /// 1 + the step whose loss was the first that is not finite, or 0.
    pub first_bad: u32,
}

impl Metrics {
    /// Number of 32-bit words.
    pub const WORDS: usize = Self::FIELDS.len();
    /// The fields in order, each four bytes.
    pub const FIELDS: &'static [Field] = &[
        Field { name: "loss_sum", ty: FieldType::F32 },
        Field { name: "hits", ty: FieldType::U32 },
        Field { name: "seen", ty: FieldType::U32 },
        Field { name: "first_bad", ty: FieldType::U32 },
    ];

    /// Length of a buffer bound as `metrics`.
    pub(crate) const LEN: [(&'static str, u32); 1] = [("words of Metrics", Self::WORDS as u32)];

    /// The metrics as words of a device buffer.
    pub fn to_words(self) -> Vec<u32> {
        bytemuck::cast_slice(&[self]).to_vec()
    }

    /// The metrics read back from a device buffer, if it has the right length.
    pub fn from_words(words: &[u32]) -> Option<Self> {
        bytemuck::try_pod_read_unaligned(bytemuck::cast_slice(words)).ok()
    }

    /// Mean loss of the examples seen.
    pub fn loss(&self) -> f64 {
        f64::from(self.loss_sum) / f64::from(self.seen.max(1))
    }

    /// Share of the examples seen that were classified right.
    pub fn accuracy(&self) -> f64 {
        f64::from(self.hits) / f64::from(self.seen.max(1))
    }
}
