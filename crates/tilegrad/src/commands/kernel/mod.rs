//! `tilegrad kernel`: the card of one kernel, what compilers make of it, or the list of all.

mod card;
mod emit;
mod isa;
mod object;

use crate::engine::PrecisionWord;
use crate::output::{aside, json, say, width};
use crate::suggest::suggestion;
use anyhow::{Context, Result, anyhow};
use clap::Args;
use std::path::PathBuf;
use tilegrad_kernels::{Case, Halves, KERNELS, Kernel, Variant, find};

/// Show the card of a kernel, or the list of all kernels
///
/// The card has its buffers, params, variants and tolerance, and its WGSL with the variant's constants in. Params reach the shader as pipeline-overridable constants of the same names; the offsets are those in the Rust struct.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct KernelArgs {
    /// The kernel; without a name, all are listed
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The variant to show [default: the first one, or with --isa each one meant for GPUs]
    #[arg(long, value_name = "NAME", requires = "name")]
    variant: Option<String>,
    /// The case whose shape goes in as constants [default: the first one that the variant fits, or with --isa of
    /// those the one that takes most registers]
    #[arg(long, value_name = "CASE", requires = "compiled")]
    case: Option<String>,
    /// What is stored in each buffer that can hold either
    #[arg(long, value_enum, value_name = "P", requires = "name", default_value_t = PrecisionWord::F32)]
    precision: PrecisionWord,
    /// Print what naga makes of the kernel for drivers
    #[arg(long, value_name = "LANGUAGE", requires = "name", group = "compiled")]
    emit: Option<emit::Language>,
    /// Write the module to a file instead; SPIR-V as the driver gets it
    #[arg(long, value_name = "FILE", requires = "emit")]
    out: Option<PathBuf>,
    /// What AMD's compiler makes of the kernel for a chip: navi21, gfx1100, navi10 or vega10 (a build with the
    /// feature `amd`; no card is needed)
    #[arg(long, value_name = "CHIP", requires = "name", group = "compiled")]
    isa: Option<String>,
    /// Print the chip's code too
    #[arg(long, requires = "isa")]
    asm: bool,
    /// One object of JSON instead of text
    #[arg(long, conflicts_with = "compiled")]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tilegrad kernel
  tilegrad kernel matmul --variant 8x4
  tilegrad kernel relu --emit msl
  tilegrad kernel relu --emit spirv --case 4200000 --out relu.spv
  tilegrad kernel matmul_shared --isa navi21";

/// Prints what was asked for.
pub fn run(args: &KernelArgs) -> Result<()> {
    let Some(name) = &args.name else {
        return list(args.json);
    };
    let kernel = kernel_called(name)?;
    let halves = match args.precision {
        PrecisionWord::F32 => Halves::NONE,
        PrecisionWord::F16 => Halves::all(kernel),
    };
    let named = args.variant.as_deref().map(|name| variant_called(kernel, name)).transpose()?;
    let case = args.case.as_deref().map(|name| case_called(kernel, name)).transpose()?;
    if let Some(chip) = &args.isa {
        return isa::run(kernel, named, (case, halves), chip, args.asm);
    }
    let variant =
        named.or(kernel.variants.first()).with_context(|| format!("{}: the kernel has no variant", kernel.name))?;
    if let Some(language) = args.emit {
        let case = case.map_or_else(|| first_case(kernel, variant), Ok)?;
        return emit::run(kernel, variant, (case.call.params(), halves), language, args.out.as_deref());
    }
    if args.json {
        return json(&object::Card::new(kernel, variant, halves));
    }
    card::print(kernel);
    say!("\nWGSL with the constants of variant {}:\n", variant.name);
    say!("{}", kernel.source(variant, halves).trim_end());
    Ok(())
}

/// Every kernel in a line, or in an object.
fn list(as_json: bool) -> Result<()> {
    if as_json {
        return json(&object::list());
    }
    say!("{}", card::list().fit(width()).trim_end());
    Ok(())
}

/// The kernel called `name`, or an error with the one that was probably meant.
fn kernel_called(name: &str) -> Result<&'static Kernel> {
    let names: Vec<&str> = KERNELS.iter().map(|kernel| kernel.name).collect();
    find(name).ok_or_else(|| anyhow!("no kernel is called `{name}`{}", suggestion(name, &names)))
}

/// The variant called `name`.
fn variant_called(kernel: &'static Kernel, name: &str) -> Result<&'static Variant> {
    let names: Vec<&str> = kernel.variants.iter().map(|variant| variant.name).collect();
    let missing = || anyhow!("{}: no variant is called `{name}`{}", kernel.name, suggestion(name, &names));
    kernel.variants.iter().find(|variant| variant.name == name).ok_or_else(missing)
}

/// The case called `name`.
fn case_called(kernel: &Kernel, name: &str) -> Result<Case> {
    let mut cases = (kernel.cases)();
    if let Some(at) = cases.iter().position(|case| case.name == name) {
        return Ok(cases.swap_remove(at));
    }
    let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    Err(anyhow!("{}: no case is called `{name}`{}", kernel.name, suggestion(name, &names)))
}

/// The first case that the variant fits; standard error says which.
fn first_case(kernel: &Kernel, variant: &Variant) -> Result<Case> {
    let case = (kernel.cases)().into_iter().find(|case| (variant.fits)(case.call.params()));
    let case = case
        .with_context(|| format!("{}: variant `{}` fits no case; name one with --case", kernel.name, variant.name))?;
    aside(format_args!("note: variant `{}` with the constants of case `{}`", variant.name, case.name));
    Ok(case)
}
