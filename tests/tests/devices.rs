//! Every kernel, every variant, every case: the adapter against the CPU reference, every output element.

#![allow(clippy::print_stdout, reason = "what was covered is part of the result")]

use std::process::Command;
use tilegrad_kernels::KERNELS;
use tilegrad_runtime::DeviceKind;
use tilegrad_tests::{compare, devices};

#[test]
fn every_case_of_every_kernel_agrees_with_its_reference() {
    let device = devices::adapter().unwrap();
    let mut checked = 0;
    for kernel in KERNELS {
        for case in (kernel.cases)() {
            let expected = case.expected();
            for variant in kernel.variants {
                let what = format!("{} on {}, {}, case {}", kernel.name, device.info().name, variant.name, case.name);
                let got =
                    devices::run_case(&device, &case, kernel, variant).unwrap_or_else(|e| panic!("{what}: {e:#}"));
                compare::assert_case(&case, &got, &expected, &what);
                checked += 1;
            }
        }
    }
    println!("{checked} cases agree on {}", device.info().name);
    assert!(checked > 100, "only {checked} cases were checked");
}

/// `fast_cpu` is one more device: it must agree with the plain loops.
#[test]
fn every_fast_cpu_agrees_with_its_reference() {
    for kernel in KERNELS {
        let Some(fast) = kernel.fast_cpu else { continue };
        for case in (kernel.cases)() {
            let what = format!("{} fast on the CPU, case {}", kernel.name, case.name);
            compare::assert_case(&case, &case.run_on_cpu(fast), &case.expected(), &what);
        }
    }
}

#[test]
fn a_reduction_over_more_than_65536_terms_is_among_the_cases() {
    let longest = |name: &str, at: usize| {
        let kernel = tilegrad_kernels::find(name).unwrap();
        (kernel.cases)().iter().map(|case| case.call.params[at]).max().unwrap()
    };
    assert!(longest("column_sum", 0) > 65_536, "column_sum: rows");
    assert!(longest("matmul", 2) > 65_536, "matmul: k");
}

/// A driver with another compiler, other subgroups and no f16: a second opinion on every kernel.
///
/// The driver is chosen per process, so this test runs the first one again under it.
#[test]
fn swiftshader_agrees_too() {
    let path = std::env::var("TILEGRAD_SWIFTSHADER_ICD")
        .unwrap_or_else(|_| "/usr/lib/chromium/vk_swiftshader_icd.json".into());
    let there = std::path::Path::new(&path).exists();
    if !there && std::env::var_os("TILEGRAD_NO_SECOND_DRIVER").is_some() {
        println!("NOT COVERED: SwiftShader, because {path} is missing and TILEGRAD_NO_SECOND_DRIVER is set");
        return;
    }
    assert!(there, "{path} is missing; install Debian's chromium, or set TILEGRAD_NO_SECOND_DRIVER=1 to go without");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "every_case_of_every_kernel_agrees_with_its_reference", "--nocapture"])
        .env("VK_DRIVER_FILES", &path)
        .env("VK_ICD_FILENAMES", &path)
        .env("TILEGRAD_TEST_DEVICE", "SwiftShader")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("cases agree on SwiftShader"), "{text}");
}

#[test]
fn the_software_adapter_says_that_it_is_one() {
    let device = devices::adapter().unwrap();
    let known = ["llvmpipe", "SwiftShader"].iter().any(|name| device.info().name.contains(name));
    assert!(!known || device.info().kind == DeviceKind::Software);
}
