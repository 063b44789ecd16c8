//! How layers become kernels. Results agree to the rounding of what is stored, whatever is chosen here; speed and memory do
//! not.

use crate::ModelError;
use crate::section::Section;
use tilegrad_kernels::Element;
use toml::Table;

/// How layers become kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engine {
    /// What convolutions and dense layers are made of.
    pub lowering: Lowering,
    /// Whether neighbouring calls become one where a kernel can do the work of both.
    pub fuse: bool,
    /// How values between layers and their gradients are stored.
    pub precision: Precision,
}

/// What convolutions and dense layers are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lowering {
    /// Kernels that compute the columns' indices instead of writing the columns.
    #[default]
    Implicit,
    /// Columns in memory and a matrix product: simple, and many times the memory.
    Im2col,
}

/// How values between layers and their gradients are stored. Sums, parameters, their gradients, what the optimiser remembers,
/// and the network's outputs are 32 bits wide in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats: half the memory, and half the traffic. What is smaller than 6e-8 becomes 0, so gradients are
    /// [`Precision::loss_scale`] times as large on their way through the layers. What is larger than 65504 becomes infinite,
    /// or on some devices 65504: a training finds an infinite value by its loss, a prediction may hide it behind a ReLU.
    F16,
}

impl Default for Engine {
    fn default() -> Self {
        Self { lowering: Lowering::default(), fuse: true, precision: Precision::default() }
    }
}

impl Lowering {
    const KINDS: &'static [&'static str] = &["implicit", "im2col"];

    /// The word for it in TOML and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Implicit => Self::KINDS[0],
            Self::Im2col => Self::KINDS[1],
        }
    }
}

impl Precision {
    const KINDS: &'static [&'static str] = &["f32", "f16"];

    /// The word for it in TOML and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::F32 => Self::KINDS[0],
            Self::F16 => Self::KINDS[1],
        }
    }

    /// What is stored.
    pub fn element(self) -> Element {
        match self {
            Self::F32 => Element::F32,
            Self::F16 => Element::F16,
        }
    }

    /// What the gradient of the loss is multiplied by, and the gradients of the parameters are divided by again before the
    /// update.
    ///
    /// A power of two, so that nothing is rounded. With a softmax cross entropy the gradient of a logit is at most one over the
    /// examples of a batch, so even the last, short batch of an epoch leaves a factor of 64 to the largest 16-bit float, 65504;
    /// with 64 examples an error of 4e-6 of the largest possible one is still a normal number. The gradient of a squared error
    /// has no such limit: one that is too large ends the training with its place named.
    pub fn loss_scale(self) -> f32 {
        match self {
            Self::F32 => 1.0,
            Self::F16 => 1024.0,
        }
    }
}

impl Engine {
    pub(crate) fn from_section(mut section: Section) -> Result<Self, ModelError> {
        let lowering = match section.word("lowering", Lowering::KINDS)? {
            Some("im2col") => Lowering::Im2col,
            _ => Lowering::Implicit,
        };
        let fuse = section.flag("fuse")?.unwrap_or(true);
        let precision = match section.word("precision", Precision::KINDS)? {
            Some("f16") => Precision::F16,
            _ => Precision::F32,
        };
        section.finish()?;
        Ok(Self { lowering, fuse, precision })
    }

    pub(crate) fn to_table(self) -> Table {
        let mut table = Table::from_iter([
            ("lowering".to_owned(), self.lowering.word().into()),
            ("fuse".to_owned(), self.fuse.into()),
        ]);
        // Not written where it is the default, so that files and checkpoints stay as they were before there was a choice.
        if self.precision != Precision::default() {
            table.insert("precision".into(), self.precision.word().into());
        }
        table
    }
}
