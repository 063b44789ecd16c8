//! How layers become kernels. Results agree to rounding whatever is chosen here; speed and memory do not.

use crate::ModelError;
use crate::section::Section;
use toml::Table;

/// How layers become kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engine {
    /// What convolutions and dense layers are made of.
    pub lowering: Lowering,
    /// Whether neighbouring calls become one where a kernel can do the work of both.
    pub fuse: bool,
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

impl Default for Engine {
    fn default() -> Self {
        Self { lowering: Lowering::default(), fuse: true }
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

impl Engine {
    pub(crate) fn from_section(mut section: Section) -> Result<Self, ModelError> {
        let lowering = match section.word("lowering", Lowering::KINDS)? {
            Some("im2col") => Lowering::Im2col,
            _ => Lowering::Implicit,
        };
        let fuse = section.flag("fuse")?.unwrap_or(true);
        section.finish()?;
        Ok(Self { lowering, fuse })
    }

    pub(crate) fn to_table(self) -> Table {
        Table::from_iter([("lowering".to_owned(), self.lowering.word().into()), ("fuse".to_owned(), self.fuse.into())])
    }
}
