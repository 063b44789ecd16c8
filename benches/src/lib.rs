//! Criterion benches of every kernel and of a training step: `cargo bench -p tilegrad-benches`.
//!
//! `TILEGRAD_BENCH_DEVICE` picks the device, as `--device` does; the default is the CPU device.

use tilegrad_runtime::{Device, DeviceChoice, DeviceOptions, RuntimeError};

/// The device that is measured.
///
/// # Errors
/// If this machine does not have it.
pub fn device() -> Result<Device, RuntimeError> {
    let name = std::env::var("TILEGRAD_BENCH_DEVICE").unwrap_or_else(|_| "cpu".into());
    let Ok(choice) = name.parse::<DeviceChoice>();
    Device::open(&choice, DeviceOptions::default())
}
