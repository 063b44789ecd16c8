//! Criterion benches of every kernel and of a training step: `cargo bench -p tilegrad-benches`.
//!
//! They run on the CPU device, and on the one that `TILEGRAD_BENCH_DEVICE` names, as `--device` does.

use tilegrad_runtime::{Device, DeviceChoice, DeviceKind, DeviceOptions, RuntimeError};

/// The devices that are measured.
///
/// # Errors
/// If this machine does not have the one that is named.
pub fn devices() -> Result<Vec<Device>, RuntimeError> {
    let open = |choice: &DeviceChoice| Device::open(choice, DeviceOptions::default());
    let mut devices = vec![open(&DeviceChoice::Cpu)?];
    if let Ok(name) = std::env::var("TILEGRAD_BENCH_DEVICE") {
        let Ok(choice) = name.parse::<DeviceChoice>();
        devices.push(open(&choice)?);
    }
    // `cpu`, or `auto` where there is nothing else.
    if devices.len() > 1 && devices[1].info().kind == DeviceKind::Cpu {
        devices.truncate(1);
    }
    Ok(devices)
}
