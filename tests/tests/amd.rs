//! Every variant meant for GPUs through AMD's compiler, on RADV's null device: no card is needed.
//!
//! The driver takes its chip from the environment, so each chip gets a process of its own: this executable again.

#![cfg(target_os = "linux")] // RADV is a driver for Linux.
#![allow(clippy::print_stdout, reason = "the table is part of the result")]

use std::{collections::BTreeMap, process::Command};
use tilegrad_compilers::amd::{Chip, Compiler, Report, on_chip};
use tilegrad_kernels::{Family, Halves, KERNELS, Kernel, Variant};

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
fn matrix_loops_are_mostly_multiply_adds_on_navi21() {
    let test = "matrix_loops_are_mostly_multiply_adds_on_navi21";
    in_a_process_of_its_own(test, Chip::Navi21, "loops read for navi21", read_loops);
}

#[test]
fn matrix_loops_are_mostly_multiply_adds_on_gfx1100() {
    let test = "matrix_loops_are_mostly_multiply_adds_on_gfx1100";
    in_a_process_of_its_own(test, Chip::Gfx1100, "loops read for gfx1100", read_loops);
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

/// The variant compiled for every case, in 32 and in 16 bits, also those that are too small for it to be chosen: shapes are
/// constants, so each is code of its own.
fn rows(compiler: &Compiler, kernel: &'static Kernel, variant: &'static Variant) -> Vec<Row> {
    let halves = kernel.half_cases(1).into_iter().map(|(case, _)| case);
    (kernel.cases)()
        .into_iter()
        .chain(halves)
        .map(|case| {
            let report = compiler
                .compile(kernel, variant, case.call.params(), Halves::of(&case.call))
                .unwrap_or_else(|error| panic!("{}, case {}: {error}", kernel.name, case.name));
            Row { kernel, variant, case: case.name, report }
        })
        .collect()
}

/// The case that takes most registers stands for its variant.
fn widest(rows: Vec<Row>) -> Row {
    rows.into_iter().max_by_key(|row| row.report.vgprs).expect("every kernel has a case")
}

fn print_code(chip: Chip) {
    let kernel = tilegrad_kernels::find("relu").unwrap();
    let params = (kernel.cases)()[0].call.params().to_vec();
    let compiler = Compiler::open(chip).unwrap_or_else(|error| panic!("{error}"));
    let report = compiler.compile_with_asm(kernel, &kernel.variants[0], &params, Halves::NONE).unwrap();
    println!("{}", report.asm.expect("Mesa has a disassembler"));
}

/// A process that was not started for the chip says so, instead of compiling for another.
#[test]
fn a_chip_that_the_process_was_not_started_for_is_an_error() {
    let error = Compiler::open(Chip::Vega10).err().expect("the tests run with no chip").to_string();
    assert_eq!(error, "RADV_FORCE_FAMILY is not set, expected vega10; set it before the process starts");
}

/// Params by name.
type Given = &'static [(&'static str, u32)];

/// What the reference network asks of each kernel at batch 64, and the params as the kernel names them.
const NETWORK: &[(&str, &str, Given)] = &[
    ("matmul_shared", "conv2 forward", &[("m", 7744), ("n", 64), ("k", 288)]),
    ("matmul_shared", "conv2 weights", &[("m", 288), ("n", 64), ("k", 7744), ("trans_a", 1), ("splits", 8)]),
    ("matmul_shared", "conv2 images", &[("m", 7744), ("n", 288), ("k", 64), ("trans_b", 1)]),
    ("matmul_shared", "dense1 forward", &[("m", 64), ("n", 64), ("k", 576)]),
    ("matmul_shared", "dense2 forward", &[("m", 64), ("n", 10), ("k", 64)]),
    ("conv2d_shared", "conv1", CONV1),
    ("conv2d_shared", "conv2", CONV2),
    ("conv2d_shared", "conv3", CONV3),
    ("conv2d_shared", "dense1", DENSE1),
    ("conv2d_pool_shared", "conv1", CONV1),
    ("conv2d_pool_shared", "conv2", CONV2),
    ("conv2d_grad_input_shared", "conv2 pooled", CONV2),
    ("conv2d_grad_input_shared", "conv3", CONV3),
    ("conv2d_grad_input_shared", "dense1", DENSE1),
    ("conv2d_grad_weight_shared", "conv1 pooled", CONV1),
    ("conv2d_grad_weight_shared", "conv2 pooled", CONV2),
    ("conv2d_grad_weight_shared", "conv3", CONV3),
    ("conv2d_grad_weight_shared", "dense1", DENSE1),
];

const CONV1: Given = &[
    ("height", 28),
    ("width", 28),
    ("channels", 1),
    ("kernel_height", 3),
    ("kernel_width", 3),
    ("out_height", 26),
    ("out_width", 26),
    ("filters", 32),
    ("splits", 128),
    ("bias_offset", 320),
];
const CONV2: Given = &[
    ("height", 13),
    ("width", 13),
    ("channels", 32),
    ("kernel_height", 3),
    ("kernel_width", 3),
    ("out_height", 11),
    ("out_width", 11),
    ("filters", 64),
    ("splits", 8),
    ("bias_offset", 18_432),
];
const CONV3: Given = &[
    ("height", 5),
    ("width", 5),
    ("channels", 64),
    ("kernel_height", 3),
    ("kernel_width", 3),
    ("out_height", 3),
    ("out_width", 3),
    ("filters", 64),
    ("splits", 3),
    ("bias_offset", 36_864),
];
const DENSE1: Given = &[("channels", 576), ("filters", 64), ("bias_offset", 36_864)];

/// The params in the kernel's order; what is not given is what an image of one pixel has, at batch 64.
fn params(kernel: &Kernel, case: &str, given: Given) -> Vec<u32> {
    let value = |name: &str| match (name, given.iter().find(|(given, _)| *given == name)) {
        (_, Some((_, value))) => *value,
        ("batch", _) => 64,
        ("pooled", _) => u32::from(case.ends_with("pooled")),
        ("pad_top" | "pad_left" | "trans_a" | "trans_b", _) => 0,
        _ => 1,
    };
    kernel.params.iter().map(|field| value(field.name)).collect()
}

/// The variant that a GPU gets when nothing was measured, for each shape of the reference network: nothing spills, eight
/// subgroups fit, and of the vector instructions in its loop over the tiles, staging included, 70 % are multiply-adds.
fn read_loops(chip: Chip) {
    let compiler = Compiler::open(chip).unwrap_or_else(|error| panic!("{error}"));
    let mut problems = Vec::new();
    for (name, case, given) in NETWORK {
        let kernel = tilegrad_kernels::find(name).unwrap();
        let params = params(kernel, case, given);
        // Widening takes a vector instruction per element that is staged.
        for (halves, least) in [(Halves::NONE, 70), (Halves::all(kernel), 60)] {
            let (line, held) = read_loop(&compiler, kernel, &params, halves, least);
            let bits = if halves.is_none() { 32 } else { 16 };
            println!("{chip:8} {bits} bits {case:14} {line}");
            problems.extend((!held).then_some(line));
        }
    }
    println!("loops read for {chip}");
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// What the default variant's loop is made of, and whether that is enough.
fn read_loop(
    compiler: &Compiler,
    kernel: &'static Kernel,
    params: &[u32],
    halves: Halves,
    least: u64,
) -> (String, bool) {
    let variant = kernel.variants.iter().find(|variant| (variant.fits)(params)).unwrap();
    let report = compiler.compile_with_asm(kernel, variant, params, halves).unwrap();
    let asm = report.asm.as_deref().expect("Mesa has a disassembler");
    let [fmas, all] = matrix_loop(asm, variant.tile().get("BLOCK_K"));
    let share = 100 * fmas / all;
    let [vgprs, subgroups] = [report.vgprs, report.subgroups_per_simd];
    let spilled = report.spilled_vgprs + report.spilled_sgprs;
    let text = format!("{vgprs:4} VGPRs, {spilled} spilled, {subgroups:2} subgroups, {share} % of {all} are FMAs");
    let line = format!("{:26} {:14} {:6} bytes LDS, {text}", kernel.name, variant.name, report.lds_bytes);
    (line, spilled == 0 && subgroups >= 8 && share >= least)
}

/// One line of machine code: a vector instruction, of which RDNA 3 may join two, or another.
struct Instruction {
    multiply_adds: u64,
    vector: u64,
}

/// Multiply-adds and vector instructions that one pass of the loop over the tiles executes. Loops within it make a pass per
/// inner index of the tile, if they were not unrolled.
fn matrix_loop(asm: &str, inner: u64) -> [u64; 2] {
    let (code, loops) = read(asm);
    let fmas = |&(first, last): &(usize, usize)| code[first..=last].iter().map(|i| i.multiply_adds).sum::<u64>();
    let heavy: Vec<_> = loops.into_iter().filter(|found| fmas(found) >= 16).collect();
    let whole = *heavy.iter().max_by_key(|(first, last)| last - first).expect("the kernel has a loop of multiply-adds");
    let within = |at: usize| heavy.iter().any(|found| *found != whole && (found.0..=found.1).contains(&at));
    let mut counts = [0; 2];
    for (at, instruction) in code.iter().enumerate().take(whole.1 + 1).skip(whole.0) {
        let passes = if within(at) { inner } else { 1 };
        counts[0] += passes * instruction.multiply_adds;
        counts[1] += passes * instruction.vector;
    }
    counts
}

/// The code, and first and last instruction of each loop: from the target of a jump back to the last jump there.
fn read(asm: &str) -> (Vec<Instruction>, Vec<(usize, usize)>) {
    let mut code = Vec::new();
    let mut labels = BTreeMap::new();
    let mut ends = BTreeMap::new();
    for line in asm.lines() {
        let text = line.split(';').next().unwrap_or_default().trim();
        if let Some(label) = text.strip_suffix(':') {
            labels.insert(label, code.len());
            continue;
        }
        let Some(name) = text.split_whitespace().next() else { continue };
        let target = text.split_whitespace().nth(1).and_then(|label| labels.get(label));
        if let (Some(&target), true) = (target, name.contains("branch")) {
            ends.insert(target, code.len());
        }
        let parts = text.split("::").filter_map(|part| part.split_whitespace().next());
        let vector: Vec<_> = parts.filter(|part| part.starts_with("v_")).collect();
        let is_fma = |part: &&&str| ["v_fma", "v_pk_fma", "v_dual_fma"].iter().any(|fma| part.starts_with(fma));
        code.push(Instruction {
            multiply_adds: vector.iter().filter(is_fma).count() as u64,
            vector: vector.len() as u64,
        });
    }
    (code, whole_loops(ends))
}

/// A loop may jump back to the one around it from its own middle, so the outer one reaches to the end of the inner one.
fn whole_loops(ends: BTreeMap<usize, usize>) -> Vec<(usize, usize)> {
    let reach = |first: usize, last: usize| ends.range(first..=last).map(|(_, &end)| end).max().unwrap_or(last);
    ends.iter().map(|(&first, &last)| (first, reach(first, last.max(reach(first, last))))).collect()
}
