//! Kernels that are wrong on purpose must be found, with the right place.

use super::sweep::{Findings, Job, sweep};
use super::{check::Outcome, text};
use tilegrad_kernels::{Kernel, Operand, Variant, relu};
use tilegrad_runtime::{Device, DeviceChoice, DeviceOptions};

/// The rectifier, but for its last element.
static BROKEN: Kernel = relu::KERNEL
    .variation(
        "relu_short_of_one",
        "override count: u32;
alias StoredX = f32; // or f16
alias StoredY = f32; // or f16
        @group(0) @binding(0) var<storage, read> x: array<StoredX>;
        @group(0) @binding(1) var<storage, read_write> y: array<StoredY>;
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
            let i = id.y * (groups.x * 64u) + id.x;
            if i + 1u >= count {
                return;
            }
            y[i] = StoredY(select(f32(x[i]), 0.0, f32(x[i]) < 0.0));
        }",
    )
    .with_fast_cpu(short_of_one);

/// The rectifier by way of two other lanes; software adapters have subgroups of 4 or of 8, none of 2.
static LANES: Kernel = relu::KERNEL
    .variation(
        "relu_lanes",
        "const LANES: u32 = 4u;
alias StoredX = f32; // or f16
alias StoredY = f32; // or f16
        override count: u32;
        @group(0) @binding(0) var<storage, read> x: array<StoredX>;
        @group(0) @binding(1) var<storage, read_write> y: array<StoredY>;
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
                @builtin(subgroup_size) size: u32) {
            let i = id.y * (groups.x * 64u) + id.x;
            let value = f32(x[min(i, count - 1u)]);
            let others = subgroupShuffle(value, 0u) + subgroupShuffle(value, 1u);
            if i >= count {
                return;
            }
            y[i] = StoredY(max(value, 0.0) + select(others - others, 1.0, size != LANES));
        }",
    )
    .with_variants(&[
        Variant { name: "of 2", constants: &[("LANES", 2)], subgroup: Some(2), ..Variant::LINE[0] },
        Variant { name: "of 4", constants: &[("LANES", 4)], subgroup: Some(4), ..Variant::LINE[0] },
        Variant { name: "of 8", constants: &[("LANES", 8)], subgroup: Some(8), ..Variant::LINE[0] },
    ]);

/// A shader that no driver takes.
static REFUSED: Kernel = relu::KERNEL.variation(
    "relu_refused",
    "alias StoredX = f32; // or f16\nalias StoredY = f32; // or f16\nfn main() { nonsense }",
);

fn short_of_one(_: &[u32], mut operands: Vec<Operand<'_>>) {
    let (Some(Operand::Write(y)), Some(Operand::Read(x))) = (operands.pop(), operands.pop()) else { return };
    let last = x.len() - 1;
    y[..last].iter_mut().zip(x).for_each(|(y, x)| *y = f32::from_bits(*x).max(0.0).to_bits());
}

/// The adapter of the other tests.
fn adapter() -> Device {
    let name = std::env::var("TILEGRAD_TEST_DEVICE").unwrap_or_else(|_| "software".into());
    let Ok(choice) = name.parse();
    Device::open(&choice, DeviceOptions::default()).expect("tests need an adapter")
}

fn checked(device: &Device, kernels: Vec<&'static Kernel>) -> Findings {
    sweep(device, &Job { kernels, golden: Err("this is a test".into()) })
}

fn assert_last_element_is_found(device: &Device, variant: &str) {
    let findings = checked(device, vec![&BROKEN]);
    assert!(!findings.passed);
    let halves = if device.stores_halves() { BROKEN.half_cases(1) } else { Vec::new() };
    let cases = (BROKEN.cases)().into_iter().chain(halves.into_iter().map(|(case, _)| case));
    for (result, case) in findings.kernels[0].cases.iter().zip(cases) {
        let Outcome::Compared { buffer, index, bad, bad_count: 1, .. } = &result.outcome else { panic!("{result:?}") };
        let last = case.call.params()[0] as usize - 1;
        assert_eq!((buffer.as_str(), *index, bad[0].index), ("y", last, last), "{}", case.name);
        // The largest values of the largest case are infinite in 16 bits.
        assert!(bad[0].got.is_nan() && !bad[0].expected.is_nan(), "{bad:?}");
    }
    let text = text::findings(&findings, false, None);
    let place = format!("FAILED: relu_short_of_one ({variant}), case 63: buffer `y`, 1 of 63 elements too far off");
    for part in [&place, "  y[62] is NaN, expected 31, allowed error 0e0", "FAILED on ", "golden steps, because this"] {
        assert!(text.contains(part), "`{part}` is missing: {text}");
    }
}

#[test]
fn a_broken_shader_is_found() {
    let device = adapter();
    assert!(checked(&device, vec![&relu::KERNEL]).passed);
    assert_last_element_is_found(&device, "line64");
}

#[test]
fn a_broken_fast_cpu_is_found() {
    let device = Device::open(&DeviceChoice::Cpu, DeviceOptions::default()).expect("every machine has a CPU");
    assert_last_element_is_found(&device, "fast_cpu");
}

#[test]
fn a_shader_that_is_refused_has_failed() {
    let device = adapter();
    let findings = checked(&device, vec![&REFUSED, &relu::KERNEL]);
    assert!(!findings.passed && findings.kernels[0].failed() && !findings.kernels[1].failed());
    let text = text::findings(&findings, false, None);
    assert!(text.contains("FAILED: relu_refused (line64), case 1: "), "{text}");
    assert!(serde_json::to_string(&findings).expect("JSON").contains("\"outcome\":\"refused\""));
}

#[test]
fn variants_for_other_subgroups_are_not_run_and_said() {
    let device = adapter();
    let size = device.adapter().and_then(|report| report.subgroup);
    let findings = checked(&device, vec![&LANES]);
    assert!(findings.passed, "{}", text::findings(&findings, true, None));
    let run: Vec<&str> = findings.kernels.iter().map(|row| row.variant).collect();
    assert_eq!(run, LANES.variants.iter().filter(|v| v.subgroup == size).map(|v| v.name).collect::<Vec<_>>());
    let found = size.map_or("none".into(), |size| size.to_string());
    let wanted = format!("not covered: not for this adapter (subgroups of 2 wanted, {found} found): relu_lanes of 2");
    let text = text::findings(&findings, false, None);
    assert!(text.contains(&wanted), "{text}");
    assert_eq!(text.matches("not for this adapter").count(), LANES.variants.len() - run.len(), "{text}");
}
