//! The options `--device`, `--checked` and `--tune`, and what is said about the device that it comes to.

use crate::output::{Loudness, loudness};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use tilegrad_runtime::{Device, DeviceChoice, DeviceInfo, DeviceKind, DeviceOptions, UseTuning};

/// Where the work is done.
#[derive(Debug, Clone, Args)]
pub struct DeviceArgs {
    /// auto (a hardware GPU if there is one, else the CPU), gpu, software (lavapipe, SwiftShader), cpu, or part of an
    /// adapter's name
    #[arg(long, value_name = "D", value_parser = NonEmptyStringValueParser::new())]
    pub device: Option<String>,
    /// Keep wgpu's own bounds checks in every shader: slower, for finding bugs
    #[arg(long)]
    pub checked: bool,
    /// auto takes the variant of each kernel that `tilegrad tune` found the fastest on this adapter, off the same as
    /// everywhere; the results are the same, bit for bit
    #[arg(long, value_name = "T", value_enum, default_value_t)]
    pub tune: Tune,
}

/// Values of `--tune`.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum Tune {
    /// What was tuned, if there is any
    #[default]
    Auto,
    /// The defaults
    Off,
}

impl DeviceArgs {
    /// What was asked for, or `auto`.
    pub fn choice(&self) -> &str {
        self.device.as_deref().unwrap_or("auto")
    }

    /// Opens the device.
    pub fn open(&self) -> anyhow::Result<Device> {
        let Ok(choice) = self.choice().parse::<DeviceChoice>();
        Ok(Device::open(&choice, self.options())?)
    }

    /// How any device is opened.
    pub fn options(&self) -> DeviceOptions {
        let tuning = match self.tune {
            Tune::Auto => UseTuning::Auto,
            Tune::Off => UseTuning::Off,
        };
        DeviceOptions { checked: self.checked, tuning }
    }
}

/// A device and why it was taken: in a short line, or with `--verbose` in full.
pub fn line(device: &Device) -> String {
    let info = device.info();
    let verbose = loudness() == Loudness::Verbose;
    match info.kind {
        _ if !verbose => short(info),
        DeviceKind::Cpu => format!("{} ({}): {}", info.name, info.driver, info.reason),
        kind => format!("{} ({kind}, {}): {}", info.name, info.driver, info.reason),
    }
}

fn short(info: &DeviceInfo) -> String {
    // Of the CPU device's reason, what stands in brackets or behind a semicolon is detail; of an adapter's, the option.
    let (what, ends) = match info.kind {
        DeviceKind::Cpu => (info.driver.clone(), &[" (", "; "][..]),
        kind => (kind.to_string(), &[" with --device"][..]),
    };
    let end = ends.iter().filter_map(|end| info.reason.find(end)).min().unwrap_or(info.reason.len());
    format!("{} ({what}): {}", info.name, &info.reason[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_short() {
        let info = |name: &str, kind, driver: &str, reason: &str| DeviceInfo {
            name: name.into(),
            kind,
            driver: driver.into(),
            reason: reason.into(),
        };
        let cpu = info("cpu", DeviceKind::Cpu, "2 threads", "no hardware GPU was found (found: x); for one, install");
        assert_eq!(short(&cpu), "cpu (2 threads): no hardware GPU was found");
        let asked = info("llvmpipe (256 bits)", DeviceKind::Software, "Mesa", "asked for with --device software");
        assert_eq!(short(&asked), "llvmpipe (256 bits) (software adapter): asked for");
        let named = info("llvmpipe (256 bits)", DeviceKind::Software, "Mesa", "its name contains `pipe (2`");
        assert_eq!(short(&named), "llvmpipe (256 bits) (software adapter): its name contains `pipe (2`");
    }
}
