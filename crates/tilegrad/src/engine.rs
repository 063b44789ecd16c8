//! The options `--lowering` and `--no-fuse`: how layers become kernels.

use clap::{Args, ValueEnum};
use tilegrad_model::{Config, Lowering};

/// How layers become kernels; results agree to rounding.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct EngineArgs {
    /// What convolutions and dense layers are made of [default: what the configuration says, else implicit]
    #[arg(long, value_enum, value_name = "L")]
    pub lowering: Option<LoweringWord>,
    /// Do not join neighbouring calls into one: slower, for finding bugs
    #[arg(long)]
    pub no_fuse: bool,
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

impl EngineArgs {
    /// What the options change in the configuration.
    pub fn apply(self, config: &mut Config) {
        if let Some(word) = self.lowering {
            config.engine.lowering = word.into();
        }
        config.engine.fuse &= !self.no_fuse;
    }
}
