//! Whether a device did the work that it was given: what it counted itself against what was submitted.

use crate::ModelError;
use std::fmt;
use tilegrad_kernels::state::Metrics;
use tilegrad_runtime::Device;

/// Work of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Steps, or batches if nothing is trained.
    pub steps: u32,
    /// Examples in them.
    pub examples: u32,
}

impl Work {
    /// The first `steps` batches of `batch` of a pass over `count` examples.
    pub(super) fn of(steps: u32, batch: u32, count: u32) -> Self {
        Self { steps, examples: steps.saturating_mul(batch).min(count) }
    }

    /// What a device added up.
    pub(super) fn counted(metrics: &Metrics) -> Self {
        Self { steps: metrics.steps, examples: metrics.seen }
    }

    /// An error of `device` if it `counted` something else.
    pub(super) fn check(self, counted: Self, device: &Device, during: &'static str) -> Result<(), ModelError> {
        if counted == self {
            return Ok(());
        }
        Err(ModelError::WorkLost { device: device.info().name.clone(), during, expected: self, counted })
    }

    /// What a device did that counted this where `expected` was submitted.
    pub(crate) fn verdict(&self, expected: &Self) -> &'static str {
        if self.steps == 0 {
            "did nothing"
        } else if self.steps > expected.steps {
            "did work more than once"
        } else {
            "lost work"
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u32| if count == 1 { "" } else { "s" };
        let Self { steps, examples } = *self;
        write!(f, "{steps} step{} over {examples} example{}", plural(steps), plural(examples))
    }
}
