//! From a kernel to the language of a backend, with the shape's constants in.

use crate::{Vulkan, spirv, text};
use naga::{
    Module, ShaderStage,
    back::pipeline_constants::{PipelineConstantError, process_overrides},
    valid::{Capabilities, ModuleInfo, ValidationFlags, Validator},
};
use thiserror::Error;
use tilegrad_kernels::{Halves, Kernel, Variant};

/// The one entry point of every kernel.
pub(crate) const ENTRY: &str = "main";

/// A language that a driver or a person reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// For Vulkan drivers, as little-endian words.
    SpirV(Vulkan),
    /// The Metal Shading Language.
    Msl,
    /// For DX12's compilers.
    Hlsl,
    /// WGSL again, with every shape constant folded in.
    Wgsl,
}

/// A kernel that cannot be translated.
#[derive(Debug, Error)]
pub enum TranslateError {
    /// The params are not those of the kernel.
    #[error("{kernel}: got {got} params, expected {expected}, one per field of the params struct")]
    Params {
        /// Name of the kernel.
        kernel: &'static str,
        /// Words given.
        got: usize,
        /// Fields of the params struct.
        expected: usize,
    },
    /// naga cannot read the WGSL, or finds it invalid.
    #[error("{what}: naga refuses the WGSL: {problem}")]
    Refused {
        /// Kernel and variant.
        what: String,
        /// naga's words, with the place.
        problem: String,
    },
    /// The shape's constants do not fit the WGSL.
    #[error("{what}: the shape's constants do not fit the WGSL: {problem}")]
    Constants {
        /// Kernel and variant.
        what: String,
        /// naga's words.
        #[source]
        problem: Box<PipelineConstantError>,
    },
    /// The kernel has no form in the target language.
    #[error("{what}: cannot be written as {language}: {problem}")]
    Write {
        /// Kernel and variant.
        what: String,
        /// The target language.
        language: &'static str,
        /// naga's words.
        problem: String,
    },
}

/// The kernel as wgpu would hand it to a driver for these params, with 16-bit floats in the bindings `halves`.
///
/// Checks are left out as in the runtime's trusted modules: no bounds checks, no loop bounds, no zeroed workgroup
/// memory. Text is UTF-8.
///
/// # Errors
/// If the params are not the kernel's, or naga refuses the kernel.
///
/// # Panics
/// If the variant is not one of the kernel's.
pub fn translate(
    kernel: &Kernel,
    variant: &Variant,
    params: &[u32],
    halves: Halves,
    target: Target,
) -> Result<Vec<u8>, TranslateError> {
    let lowered = Lowered::new(kernel, variant, params, halves)?;
    match target {
        Target::SpirV(vulkan) => {
            let words = spirv::write(&lowered, vulkan)?;
            Ok(words.into_iter().flat_map(u32::to_le_bytes).collect())
        }
        Target::Msl => text::msl(&lowered, kernel).map(String::into_bytes),
        Target::Hlsl => text::hlsl(&lowered, kernel, variant, halves).map(String::into_bytes),
        Target::Wgsl => text::wgsl(&lowered).map(String::into_bytes),
    }
}

/// A kernel's module without overrides, ready for any back end.
pub(crate) struct Lowered {
    /// The module.
    pub module: Module,
    /// What the validator found out about it.
    pub info: ModuleInfo,
    /// Kernel and variant, for messages.
    what: String,
}

impl Lowered {
    /// Parsed, validated, and with the params' values for the overrides.
    pub fn new(kernel: &Kernel, variant: &Variant, params: &[u32], halves: Halves) -> Result<Self, TranslateError> {
        if params.len() != kernel.params.len() {
            let (got, expected) = (params.len(), kernel.params.len());
            return Err(TranslateError::Params { kernel: kernel.name, got, expected });
        }
        let what = format!("{}, variant `{}`", kernel.name, variant.name);
        match parse(&kernel.source(variant, halves)) {
            Ok((module, info)) => with_constants(kernel, params, &module, &info, what),
            Err(problem) => Err(TranslateError::Refused { what, problem }),
        }
    }

    /// The error of a back end.
    pub fn refused(&self, language: &'static str, problem: &dyn std::error::Error) -> TranslateError {
        TranslateError::Write { what: self.what.clone(), language, problem: problem.to_string() }
    }
}

fn parse(wgsl: &str) -> Result<(Module, ModuleInfo), String> {
    let module = naga::front::wgsl::parse_str(wgsl).map_err(|error| error.emit_to_string(wgsl))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module);
    info.map_err(|error| error.emit_to_string(wgsl)).map(|info| (module, info))
}

fn with_constants(
    kernel: &Kernel,
    params: &[u32],
    module: &Module,
    info: &ModuleInfo,
    what: String,
) -> Result<Lowered, TranslateError> {
    let values =
        kernel.params.iter().zip(params).map(|(field, word)| (field.name.to_owned(), field.value(*word))).collect();
    match process_overrides(module, info, Some((ShaderStage::Compute, ENTRY)), &values) {
        Ok((module, info)) => {
            let mut module = module.into_owned();
            // naga leaves them behind; nothing refers to them any more, but they would be written as WGSL.
            module.overrides.clear();
            Ok(Lowered { module, info: info.into_owned(), what })
        }
        Err(problem) => Err(TranslateError::Constants { what, problem: Box::new(problem) }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, TranslateError, translate};
    use tilegrad_kernels::{Halves, Kernel, relu};

    const RELU: &Kernel = &relu::KERNEL;

    #[test]
    fn the_shape_is_folded_in() {
        let wgsl = translate(RELU, &RELU.variants[0], &[12_345], Halves::NONE, Target::Wgsl).unwrap();
        let wgsl = String::from_utf8(wgsl).unwrap();
        assert!(wgsl.contains("12345u") && !wgsl.contains("override"), "{wgsl}");
    }

    #[test]
    fn too_few_params_are_an_error() {
        let error = translate(RELU, &RELU.variants[0], &[], Halves::NONE, Target::Msl).unwrap_err();
        assert_eq!(error.to_string(), "relu: got 0 params, expected 1, one per field of the params struct");
    }

    #[test]
    fn invalid_wgsl_is_an_error_with_the_place() {
        let broken = RELU.variation("relu", "override count: u32;\nfn f() -> u32 { return 1.5; }");
        let error = translate(&broken, &RELU.variants[0], &[1], Halves::NONE, Target::Msl).unwrap_err();
        assert!(matches!(&error, TranslateError::Refused { problem, .. } if problem.contains("wgsl:2:")), "{error}");
    }
}
