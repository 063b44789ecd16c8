//! The devices that tests run on. A missing adapter fails a test, it never skips one.

use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;
use tilegrad_kernels::{Case, CaseBuffer, Kernel, Variant};
use tilegrad_runtime::{Device, DeviceChoice, DeviceOptions, Graph, Purpose};

/// The CPU device.
///
/// # Errors
/// Never, but the callers want one type.
pub fn cpu() -> Result<Device> {
    Ok(Device::open(&DeviceChoice::Cpu, DeviceOptions::default())?)
}

/// A Vulkan, Metal or DX12 adapter: the one named in `TILEGRAD_TEST_DEVICE`, else a software adapter.
///
/// # Errors
/// If this machine has none; says what to install.
pub fn adapter() -> Result<Device> {
    let name = std::env::var("TILEGRAD_TEST_DEVICE").unwrap_or_else(|_| "software".into());
    let Ok(choice) = name.parse::<DeviceChoice>();
    Device::open(&choice, DeviceOptions::default()).context("tests need an adapter; run `cargo xtask test`")
}

/// The file that makes the Vulkan loader take SwiftShader and nothing else. None where it is missing and the environment says that
/// this is known.
///
/// # Panics
/// If it is missing otherwise.
pub fn swiftshader() -> Option<String> {
    let path = std::env::var("TILEGRAD_SWIFTSHADER_ICD")
        .unwrap_or_else(|_| "/usr/lib/chromium/vk_swiftshader_icd.json".into());
    let there = Path::new(&path).is_file();
    let known = std::env::var_os("TILEGRAD_NO_SECOND_DRIVER").is_some();
    assert!(
        there || known,
        "{path} is missing; install Debian's chromium, or set TILEGRAD_NO_SECOND_DRIVER=1 to go without"
    );
    there.then_some(path)
}

/// `command` with no other Vulkan driver than that of the file `path`: the driver is chosen per process.
pub fn under_driver<'a>(command: &'a mut Command, path: &str) -> &'a mut Command {
    command.env("VK_DRIVER_FILES", path).env("VK_ICD_FILENAMES", path)
}

/// The variants of `kernel` that `device` can run, and a line for each that it cannot.
pub fn variants(device: &Device, kernel: &'static Kernel) -> (Vec<&'static Variant>, Vec<String>) {
    let mut refused = Vec::new();
    let runs = kernel.variants.iter().filter(|variant| match device.refuses(variant) {
        None => true,
        Some(reason) => {
            refused.push(format!("not for this adapter ({reason}): {} {}", kernel.name, variant.name));
            false
        }
    });
    (runs.collect(), refused)
}

/// Runs `case` on `device` with the given variant and returns its buffers afterwards.
///
/// # Errors
/// Whatever the device met.
pub fn run_case(
    device: &Device,
    case: &Case,
    kernel: &'static Kernel,
    variant: &'static Variant,
) -> Result<Vec<CaseBuffer>> {
    let mut graph = Graph::new();
    let call = case.call.rebound(|slice| graph.external(&slice.name, slice.len, slice.element, Purpose::Scratch));
    let call = if kernel.is_listed() { call } else { call.with_kernel(kernel)? };
    graph.push("case", call.clone());
    let memories = case.buffers.iter().map(|buffer| device.upload(&buffer.slice.name, &buffer.words));
    let memories = memories.collect::<Result<Vec<_>, _>>()?;
    let external: Vec<_> = call.buffers().iter().zip(&memories).collect();
    let plan = device.prepare_with(&graph, &external, &|_| Ok((kernel, variant)))?;
    plan.run(1)?;
    let after = case
        .buffers
        .iter()
        .zip(&memories)
        .map(|(buffer, memory)| Ok(CaseBuffer { slice: buffer.slice.clone(), words: device.read(memory)? }));
    after.collect()
}
