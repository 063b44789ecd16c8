//! Every variant meant for GPUs through AMD's compiler, on RADV's null device: no card is needed.
//!
//! The driver takes its chip from the environment, so each chip gets a process of its own: this executable again.

#![cfg(target_os = "linux")] // RADV is a driver for Linux.
#![allow(clippy::print_stdout, reason = "the table is part of the result")]

use std::process::Command;
use tilegrad_compilers::amd::{Chip, Compiler, Report, on_chip};
use tilegrad_kernels::{Family, KERNELS, Kernel, Variant};

/// Tells the child which chip it is for.
const CHIP: &str = "TILEGRAD_AMD_CHIP";

/// What stands in the table for one variant.
struct Row {
    kernel: &'static Kernel,
    variant: &'static Variant,
    case: String,
    report: Report,
}

impl Row {
    fn print(&self, chip: Chip) {
        let Self { kernel, variant, case, report: r } = self;
        let head = format!("{:22} {:20} {chip:8}", kernel.name, variant.name);
        let registers = format!("{:5} {:5} {:6}", r.vgprs, r.sgprs, r.spilled_vgprs + r.spilled_sgprs);
        let memory = format!("{:6} {:7} {:6}", r.lds_bytes, r.scratch_bytes, r.code_bytes);
        println!("{head} {registers} {memory} {:14} {:5}  {case}", r.subgroups_per_simd, r.subgroup_size);
    }

    fn problem(&self) -> Option<String> {
        let Self { kernel, variant, case, report } = self;
        let spilled = report.spilled_vgprs;
        (spilled > 0)
            .then(|| format!("{}, variant `{}`, case {case}: {spilled} VGPRs spill", kernel.name, variant.name))
    }
}

fn print_head() {
    println!(
        "{:22} {:20} {:8} VGPRs SGPRs spills    LDS scratch  bytes subgroups/SIMD lanes  case",
        "kernel", "variant", "chip"
    );
}

#[test]
fn no_variant_for_gpus_spills_on_navi21() {
    in_a_process_of_its_own("no_variant_for_gpus_spills_on_navi21", Chip::Navi21, "compiled for navi21", compile_all);
}

#[test]
fn no_variant_for_gpus_spills_on_gfx1100() {
    in_a_process_of_its_own(
        "no_variant_for_gpus_spills_on_gfx1100",
        Chip::Gfx1100,
        "compiled for gfx1100",
        compile_all,
    );
}

#[test]
fn the_code_can_be_read() {
    in_a_process_of_its_own("the_code_can_be_read", Chip::Navi21, "s_endpgm", print_code);
}

/// Runs `child` in another process of the test called `test`, which is told so by the environment. It must succeed
/// and print `sign`.
fn in_a_process_of_its_own(test: &str, chip: Chip, sign: &str, child: fn(Chip)) {
    if std::env::var(CHIP).is_ok_and(|named| named == chip.name()) {
        return child(chip);
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHIP, chip.name());
    let output = on_chip(&mut command, chip).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains(sign), "`{sign}` is not in: {text}");
}

fn compile_all(chip: Chip) {
    let compiler = Compiler::open(chip).unwrap_or_else(|error| panic!("{error}"));
    print_head();
    let mut problems = Vec::new();
    let mut compiled = 0;
    for (kernel, variant) in for_gpus() {
        let rows = rows(&compiler, kernel, variant);
        compiled += rows.len();
        problems.extend(rows.iter().filter_map(Row::problem));
        widest(rows).print(chip);
    }
    println!("{compiled} cases compiled for {chip}");
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

fn for_gpus() -> impl Iterator<Item = (&'static Kernel, &'static Variant)> {
    let all = KERNELS.iter().flat_map(|kernel| kernel.variants.iter().map(move |variant| (*kernel, variant)));
    all.filter(|(_, variant)| variant.family != Family::BarrierFree)
}

/// The variant compiled for every case that suits it: shapes are constants, so each is code of its own.
fn rows(compiler: &Compiler, kernel: &'static Kernel, variant: &'static Variant) -> Vec<Row> {
    let cases = (kernel.cases)().into_iter().filter(|case| (variant.fits)(&case.call.params));
    cases
        .map(|case| {
            let report = compiler
                .compile(kernel, variant, &case.call.params)
                .unwrap_or_else(|error| panic!("{}, case {}: {error}", kernel.name, case.name));
            Row { kernel, variant, case: case.name, report }
        })
        .collect()
}

/// The case that takes most registers stands for its variant.
fn widest(rows: Vec<Row>) -> Row {
    rows.into_iter().max_by_key(|row| row.report.vgprs).expect("every variant suits some case")
}

fn print_code(chip: Chip) {
    let kernel = tilegrad_kernels::find("relu").unwrap();
    let params = (kernel.cases)()[0].call.params.clone();
    let compiler = Compiler::open(chip).unwrap_or_else(|error| panic!("{error}"));
    let report = compiler.compile_with_asm(kernel, &kernel.variants[0], &params).unwrap();
    println!("{}", report.asm.expect("Mesa has a disassembler"));
}

/// A process that was not started for the chip says so, instead of compiling for another.
#[test]
fn a_chip_that_the_process_was_not_started_for_is_an_error() {
    let error = Compiler::open(Chip::Vega10).err().expect("the tests run with no chip").to_string();
    assert_eq!(error, "RADV_FORCE_FAMILY is not set, expected vega10; set it before the process starts");
}
