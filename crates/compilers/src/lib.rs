//! What the compilers behind each backend make of the kernels; nothing runs here.
//!
//! [`translate`] turns a kernel into what wgpu would hand to Vulkan, Metal and DX12 drivers, on any machine. With
//! the feature `amd`, the module `amd` goes one step further: AMD's own compiler says how many registers a kernel takes.
//!
//! A crate of its own because the naga back ends and ash are of no use to a training.

#[cfg(feature = "amd")]
pub mod amd;
mod spirv;
mod text;
mod translate;

pub use spirv::{Vulkan, spirv};
pub use translate::{Target, TranslateError, translate};
