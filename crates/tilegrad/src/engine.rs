//! The options `--lowering`, `--no-fuse` and `--precision`: how layers become kernels.

use clap::{Args, ValueEnum};
use tilegrad_model::{Config, Lowering, Precision};

/// How layers become kernels; results agree to the rounding of what is stored.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct EngineArgs {
    /// What convolutions and dense layers are made of [default: what the configuration or the model says, else implicit]
    #[arg(long, value_enum, value_name = "L")]
    pub lowering: Option<LoweringWord>,
    /// Do not join neighbouring calls into one: slower, for finding bugs; the results are the same up to rounding
    #[arg(long)]
    pub no_fuse: bool,
    /// How values between layers and their gradients are stored; sums, weights and their gradients are f32 in any case
    /// [default: what the configuration or the model says, else f32]
    #[arg(long, value_enum, value_name = "P")]
    pub precision: Option<PrecisionWord>,
}

/// [`Lowering`] on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LoweringWord {
    /// Kernels that compute the columns' indices
    Implicit,
    /// Columns in memory and a matrix product: simple, and many times the memory
    Im2col,
}

impl From<LoweringWord> for Lowering {
    fn from(word: LoweringWord) -> Self {
        match word {
            LoweringWord::Implicit => Self::Implicit,
            LoweringWord::Im2col => Self::Im2col,
        }
    }
}

/// [`Precision`] on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PrecisionWord {
    /// 32 bits
    F32,
    /// 16 bits: half the memory on an adapter with shader-f16; the CPU device gives the same results without a gain
    F16,
}

impl From<PrecisionWord> for Precision {
    fn from(word: PrecisionWord) -> Self {
        match word {
            PrecisionWord::F32 => Self::F32,
            PrecisionWord::F16 => Self::F16,
        }
    }
}

impl EngineArgs {
    /// What the options change in the configuration.
    pub fn apply(self, config: &mut Config) {
        if let Some(word) = self.lowering {
            config.engine.lowering = word.into();
        }
        config.engine.fuse &= !self.no_fuse;
        if let Some(word) = self.precision {
            config.engine.precision = word.into();
        }
    }
}
