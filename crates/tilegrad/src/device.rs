//! The options `--device`, `--checked` and `--tune`, and what is said about the device that it comes to.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use tilegrad_runtime::{Device, DeviceChoice, DeviceKind, DeviceOptions, UseTuning};

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

/// A device and why it was taken, in one line.
pub fn line(device: &Device) -> String {
    let info = device.info();
    match info.kind {
        DeviceKind::Cpu => format!("{} ({}): {}", info.name, info.driver, info.reason),
        kind => format!("{} ({kind}, {}): {}", info.name, info.driver, info.reason),
    }
}
