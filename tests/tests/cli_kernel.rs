//! `tilegrad kernel` as a compiler: every language of a driver, and AMD's machine code.

mod cli_common;

use cli_common::*;
use std::fs;

const SPIRV_MAGIC: [u8; 4] = 0x0723_0203_u32.to_le_bytes();

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn every_language_is_printed_for_a_case() {
    let dir = folder();
    for (language, token) in [("wgsl", "@compute"), ("msl", "kernel void"), ("hlsl", "[numthreads(")] {
        let text = succeed(dir.path(), &["kernel", "relu", "--emit", language, "--case", "4200000"]).out;
        assert!(text.contains(token) && text.contains("4200000u"), "{language}: {text}");
    }
}

#[test]
fn the_case_taken_by_default_is_named() {
    let dir = folder();
    let said = run(dir.path(), &["kernel", "relu", "--variant", "line64", "--emit", "wgsl"]);
    let case = &(tilegrad_kernels::find("relu").expect("it is in the list").cases)()[0];
    let note = format!("note: variant `line64` with the constants of case `{}`\n", case.name);
    assert_eq!((said.code, said.err), (Some(0), note));
}

#[test]
fn spirv_is_disassembled_or_the_way_out_is_named() {
    let dir = folder();
    let args = ["kernel", "relu", "--emit", "spirv", "--case", "4200000"];
    let said = run(dir.path(), &args);
    if said.code == Some(0) {
        assert!(said.out.contains("OpEntryPoint GLCompute"), "{said:?}");
    }
    let mut without = command(dir.path(), &args);
    let said = Said::from(without.env("PATH", dir.path()).output().expect("the binary starts"));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("install spirv-tools") && said.err.contains("--out FILE"), "{said:?}");
}

#[test]
fn modules_are_written_to_files() {
    let dir = folder();
    let emit = |language: &str, file: &str| {
        let args = ["kernel", "relu", "--emit", language, "--case", "4200000", "--out", file];
        let said = succeed(dir.path(), &args).out;
        let bytes = fs::read(dir.path().join(file)).expect("the module");
        assert!(said.starts_with(file) && said.contains(&format!("{} bytes", bytes.len())), "{said}");
        bytes
    };
    assert_eq!(emit("spirv", "relu.spv")[..4], SPIRV_MAGIC);
    assert!(String::from_utf8(emit("msl", "relu.metal")).expect("text").contains("kernel void"));
    assert_eq!(fs::read_dir(dir.path()).expect("the folder").count(), 2, "nothing unfinished is left");
    let args = ["kernel", "relu", "--emit", "wgsl", "--case", "4200000", "--out", "none/relu.wgsl"];
    fail(dir.path(), &args, &["none/relu.wgsl"]);
}

#[test]
fn unknown_names_are_answered_with_the_choices() {
    let dir = folder();
    fail(dir.path(), &["kernel", "relu", "--emit", "glsl"], &["'glsl'", "wgsl, spirv, msl, hlsl"]);
    fail(dir.path(), &["kernel", "relu", "--emit", "wgsl", "--case", "no such shape"], &["`no such shape`", "4200000"]);
    fail(dir.path(), &["kernel", "relu", "--case", "4200000"], &["--emit", "--isa"]);
    fail(dir.path(), &["kernel", "relu", "--emit", "wgsl", "--isa", "navi21"], &["cannot be used with"]);
}

#[test]
fn a_build_without_the_compiler_says_which_has_it() {
    let dir = folder();
    let said = run(dir.path(), &["kernel", "relu", "--isa", "navi21", "--asm"]);
    let done = said.code == Some(0) && said.out.contains("VGPRs") && said.out.contains("s_endpgm");
    let refused = said.err.contains("cargo build --release -p tilegrad --features amd");
    // A build with the feature on a machine without the driver.
    let missing = said.err.contains("mesa-vulkan-drivers");
    assert!(done || (said.code == Some(1) && (refused || missing)), "{said:?}");
}
