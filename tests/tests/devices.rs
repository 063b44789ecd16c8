//! Every kernel, every variant, every case: the adapter against the CPU reference, every output element.

#![allow(clippy::print_stdout, reason = "what was covered is part of the result")]

use std::process::Command;
use tilegrad_kernels::{KERNELS, Kernel, Variant, relu};
use tilegrad_runtime::{DeviceKind, RuntimeError};
use tilegrad_tests::{compare, devices};

#[test]
fn every_case_of_every_kernel_agrees_with_its_reference() {
    let device = devices::adapter().unwrap();
    let (mut checked, mut refused) = (0, Vec::new());
    for kernel in KERNELS {
        let (variants, other) = devices::variants(&device, kernel);
        refused.extend(other);
        for case in (kernel.cases)() {
            let expected = case.expected();
            for variant in &variants {
                let what = format!("{} on {}, {}, case {}", kernel.name, device.info().name, variant.name, case.name);
                let got =
                    devices::run_case(&device, &case, kernel, variant).unwrap_or_else(|e| panic!("{what}: {e:#}"));
                compare::assert_case(&case, &got, &expected, &what);
                checked += 1;
            }
        }
    }
    refused.iter().for_each(|line| println!("{line}"));
    if !device.stores_halves() {
        println!("NOT COVERED on {}: 16-bit floats, which its shaders do not know", device.info().name);
    }
    let but = match refused.len() {
        0 => String::new(),
        count => format!("; {count} variants are not for this adapter"),
    };
    println!("{checked} cases agree on {}{but}", device.info().name);
    assert!(checked > 100, "only {checked} cases were checked");
}

/// The same with 16-bit floats.
#[test]
fn every_case_agrees_in_16_bits_too() {
    let device = devices::adapter().unwrap();
    assert!(device.stores_halves(), "{} has no shader-f16", device.info().name);
    let mut checked = 0;
    for kernel in KERNELS {
        let (variants, _) = devices::variants(&device, kernel);
        for (case, turn) in kernel.half_cases(variants.len()) {
            let variant = variants[turn];
            let what = format!("{} on {}, {}, case {}", kernel.name, device.info().name, variant.name, case.name);
            let got = devices::run_case(&device, &case, kernel, variant).unwrap_or_else(|e| panic!("{what}: {e:#}"));
            compare::assert_case(&case, &got, &case.expected(), &what);
            checked += 1;
        }
    }
    println!("{checked} cases with 16-bit floats agree on {}", device.info().name);
    assert!(checked > 100, "only {checked} cases were checked");
}

/// `fast_cpu` is one more device: it must agree with the plain loops.
#[test]
fn every_fast_cpu_agrees_with_its_reference() {
    for kernel in KERNELS {
        let Some(fast) = kernel.fast_cpu() else { continue };
        let halves = kernel.half_cases(1).into_iter().map(|(case, _)| case);
        for case in (kernel.cases)().into_iter().chain(halves) {
            let what = format!("{} fast on the CPU, case {}", kernel.name, case.name);
            compare::assert_case(&case, &case.run_on_cpu(fast), &case.expected(), &what);
        }
    }
}

#[test]
fn a_reduction_over_more_than_65536_terms_is_among_the_cases() {
    let longest = |name: &str, at: usize| {
        let kernel = tilegrad_kernels::find(name).unwrap();
        (kernel.cases)().iter().map(|case| case.call.params()[at]).max().unwrap()
    };
    assert!(longest("column_sum", 0) > 65_536, "column_sum: rows");
    assert!(longest("matmul", 2) > 65_536, "matmul: k");
}

/// A driver with another compiler, other subgroups and no f16: a second opinion on every kernel.
///
/// The driver is chosen per process, so this test runs the first one again under it.
#[test]
fn swiftshader_agrees_too() {
    let Some(path) = devices::swiftshader() else {
        return println!("NOT COVERED: SwiftShader, which is missing, as TILEGRAD_NO_SECOND_DRIVER says");
    };
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = devices::under_driver(&mut again, &path)
        .args(["--exact", "every_case_of_every_kernel_agrees_with_its_reference", "--nocapture"])
        .env("TILEGRAD_TEST_DEVICE", "SwiftShader")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("cases agree on SwiftShader"), "{text}");
    text.lines()
        .filter(|line| ["not for this adapter", " agree on ", "NOT COVERED"].iter().any(|part| line.contains(part)))
        .for_each(|line| {
            println!("{line}");
        });
    let neither = only_refused(&text);
    assert!(neither.is_empty(), "neither adapter can run {neither:?}");
}

/// The variants that neither this adapter nor the one that said `text` can run.
fn only_refused(text: &str) -> Vec<String> {
    let name = |line: &str| line.split_once("): ").map(|(_, name)| name.trim().to_owned());
    let device = devices::adapter().unwrap();
    let here: Vec<String> = KERNELS.iter().flat_map(|kernel| devices::variants(&device, kernel).1).collect();
    let there: Vec<String> = text.lines().filter(|line| line.starts_with("not for this")).filter_map(name).collect();
    here.iter().filter_map(|line| name(line)).filter(|name| there.contains(name)).collect()
}

/// A kernel that reads other lanes, in one variant for each size that software adapters have.
static LANES: Kernel = relu::KERNEL
    .variation(
        "relu_lanes",
        "override count: u32;
        @group(0) @binding(0) var<storage, read> x: array<f32>;
        @group(0) @binding(1) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
            let i = id.y * (groups.x * 64u) + id.x;
            let value = x[min(i, count - 1u)];
            let other = subgroupShuffle(value, 3u);
            if i < count {
                y[i] = max(value, 0.0) + (other - other);
            }
        }",
    )
    .with_variants(&[
        Variant { name: "of 4", subgroup: Some(4), ..Variant::LINE[0] },
        Variant { name: "of 8", subgroup: Some(8), ..Variant::LINE[0] },
    ]);

#[test]
fn a_variant_for_other_subgroups_is_refused() {
    let device = devices::adapter().unwrap();
    let case = (LANES.cases)().pop().unwrap();
    let (runs, refused) = devices::variants(&device, &LANES);
    let size = device.adapter().and_then(|report| report.subgroup);
    assert!(runs.iter().all(|variant| variant.subgroup == size) && runs.len() + refused.len() == 2, "{refused:?}");
    for variant in LANES.variants {
        let outcome = devices::run_case(&device, &case, &LANES, variant);
        if runs.iter().any(|able| able.name == variant.name) {
            compare::assert_case(&case, &outcome.unwrap(), &case.expected(), variant.name);
        } else {
            let error = outcome.unwrap_err();
            assert!(matches!(error.downcast_ref(), Some(RuntimeError::Variant { .. })), "{error:#}");
            println!("{error}");
        }
    }
}

#[test]
fn the_software_adapter_says_that_it_is_one() {
    let device = devices::adapter().unwrap();
    let known = ["llvmpipe", "SwiftShader"].iter().any(|name| device.info().name.contains(name));
    assert!(!known || device.info().kind == DeviceKind::Software);
}
