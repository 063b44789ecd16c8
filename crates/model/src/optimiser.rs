//! How gradients become updates.

use tilegrad_kernels::state::StepState;

/// An optimiser with its settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Optimiser {
    /// Adam, or AdamW if `weight_decay` is not zero.
    Adam {
        /// Size of a step.
        learning_rate: f32,
        /// Decay of the mean of the gradients.
        beta1: f32,
        /// Decay of the mean of their squares.
        beta2: f32,
        /// Keeps the division finite; outside the square root.
        epsilon: f32,
        /// Share of a parameter, times the learning rate, taken off at each step.
        weight_decay: f32,
    },
    /// Stochastic gradient descent with momentum.
    Sgd {
        /// Size of a step.
        learning_rate: f32,
        /// Share of the last update that is repeated.
        momentum: f32,
        /// Whether to look ahead along the momentum.
        nesterov: bool,
        /// Share of a parameter added to its gradient.
        weight_decay: f32,
    },
}

impl Default for Optimiser {
    fn default() -> Self {
        Self::Adam { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weight_decay: 0.0 }
    }
}

impl Optimiser {
    /// Size of a step.
    pub fn learning_rate(&self) -> f32 {
        match self {
            Self::Adam { learning_rate, .. } | Self::Sgd { learning_rate, .. } => *learning_rate,
        }
    }

    /// The same optimiser with another size of a step.
    pub fn with_learning_rate(mut self, value: f32) -> Self {
        match &mut self {
            Self::Adam { learning_rate, .. } | Self::Sgd { learning_rate, .. } => *learning_rate = value,
        }
        self
    }

    /// The words in TOML.
    pub const KINDS: &'static [&'static str] = &["adam", "sgd"];

    /// Names of the blocks it remembers, each as long as the parameters.
    pub(crate) fn blocks(&self) -> &'static [&'static str] {
        match self {
            Self::Adam { .. } => &["adam.m", "adam.v"],
            Self::Sgd { .. } => &["sgd.velocity"],
        }
    }

    /// Decay rates whose bias corrections the step state keeps.
    pub(crate) fn betas(&self) -> (f32, f32) {
        match self {
            Self::Adam { beta1, beta2, .. } => (*beta1, *beta2),
            Self::Sgd { .. } => (0.0, 0.0),
        }
    }

    /// The step state before the first step.
    pub(crate) fn initial_state(&self, seed: u32) -> StepState {
        let learning_rate = self.learning_rate();
        StepState { step: 0, batch: 0, count: 0, seed, learning_rate, beta1_gap: 0.0, beta2_gap: 0.0, epoch: 0 }
    }
}
