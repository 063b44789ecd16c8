//! A kernel in the languages that drivers read.

use crate::output::say;
use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use std::fmt;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use tilegrad_compilers::{Target, Vulkan, translate};
use tilegrad_kernels::{Halves, Kernel, Variant};
use tilegrad_model::write_atomically;

/// What naga can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// WGSL again, with the shape folded in
    Wgsl,
    /// For Vulkan; printed as spirv-dis shows it
    Spirv,
    /// For Metal
    Msl,
    /// For DX12
    Hlsl,
}

impl Language {
    fn target(self) -> Target {
        match self {
            Self::Wgsl => Target::Wgsl,
            Self::Spirv => Target::SpirV(Vulkan::V1_3),
            Self::Msl => Target::Msl,
            Self::Hlsl => Target::Hlsl,
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Wgsl => "WGSL",
            Self::Spirv => "SPIR-V",
            Self::Msl => "MSL",
            Self::Hlsl => "HLSL",
        })
    }
}

/// Prints the module for these params, or writes it to `out`.
pub fn run(
    kernel: &Kernel,
    variant: &Variant,
    (params, halves): (&[u32], Halves),
    language: Language,
    out: Option<&Path>,
) -> Result<()> {
    let module = translate(kernel, variant, params, halves, language.target())?;
    if let Some(path) = out {
        write_atomically(path, &module)?;
        say!("{}: {} bytes of {language}", path.display(), module.len());
        return Ok(());
    }
    let text = if language == Language::Spirv { disassembled(&module)? } else { module };
    say!("{}", String::from_utf8_lossy(&text).trim_end());
    Ok(())
}

/// The module as spirv-dis prints it.
fn disassembled(module: &[u8]) -> Result<Vec<u8>> {
    let mut command = Command::new("spirv-dis");
    command.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow!(
            "SPIR-V is printed by spirv-dis, which is not on PATH; install spirv-tools, or have the module written \
             with --out FILE"
        ),
        _ => anyhow!("spirv-dis cannot be started: {error}"),
    })?;
    // spirv-dis reads everything before it prints. A failed write shows in its exit status and its own words.
    let fed = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(module));
    let output = child.wait_with_output().context("spirv-dis cannot be waited for")?;
    if !output.status.success() {
        bail!("spirv-dis failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    fed.context("spirv-dis did not read the whole module")?;
    Ok(output.stdout)
}
