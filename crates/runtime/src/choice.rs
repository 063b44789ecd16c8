//! Which device a user gets, and why.

use crate::RuntimeError;
use std::{convert::Infallible, fmt, str::FromStr};

/// What the user asked for with `--device`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A hardware GPU if there is one, otherwise the CPU device; never a software adapter.
    #[default]
    Auto,
    /// A hardware GPU or an error.
    Gpu,
    /// A software adapter such as Mesa's lavapipe or SwiftShader, or an error.
    Software,
    /// The CPU references.
    Cpu,
    /// The adapter whose name contains this, ignoring case.
    Named(String),
}

impl FromStr for DeviceChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "auto" => Self::Auto,
            "gpu" => Self::Gpu,
            "software" => Self::Software,
            "cpu" => Self::Cpu,
            _ => Self::Named(text.into()),
        })
    }
}

/// Kind of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// A GPU.
    Hardware,
    /// A Vulkan driver that runs on the processor.
    Software,
    /// The CPU references, without any driver.
    Cpu,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hardware => "hardware GPU",
            Self::Software => "software adapter",
            Self::Cpu => "CPU device",
        })
    }
}

/// An adapter of this machine.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterReport {
    /// The driver's name for it.
    pub name: String,
    /// Hardware or software.
    pub kind: DeviceKind,
    /// wgpu's word for its type, such as `DiscreteGpu`.
    pub device_type: String,
    /// Vulkan, Metal, Dx12 or Gl.
    pub backend: String,
    /// Driver and version.
    pub driver: String,
    /// Optional features that the engine makes use of.
    pub features: Vec<&'static str>,
    /// Limits that decide what fits, by name.
    pub limits: Vec<(&'static str, u64)>,
    /// The size of its subgroups, if it has them and every one has this size.
    pub subgroup: Option<u32>,
}

/// What a choice comes to on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picked {
    /// The CPU device, with the reason.
    Cpu(String),
    /// The adapter at this place in the list, with the reason.
    Adapter(usize, String),
}

/// How to get an adapter on a machine that has none.
pub const INSTALL_HINT: &str = "install your GPU's Vulkan driver (on Debian or Ubuntu: apt-get install \
    mesa-vulkan-drivers, which also brings the software adapter lavapipe), or choose --device cpu";

/// Finds the device for `choice` among `adapters`.
///
/// # Errors
/// [`RuntimeError::NoAdapter`] with what was found and what to try.
pub fn pick(choice: &DeviceChoice, adapters: &[AdapterReport]) -> Result<Picked, RuntimeError> {
    let first = |kind| adapters.iter().position(|adapter| adapter.kind == kind);
    let missing = |wanted: &str| {
        Err(RuntimeError::NoAdapter { wanted: wanted.into(), found: found(adapters), hint: INSTALL_HINT.into() })
    };
    match choice {
        DeviceChoice::Cpu => Ok(Picked::Cpu("asked for with --device cpu".into())),
        DeviceChoice::Gpu => match best_hardware(adapters) {
            Some(at) => Ok(Picked::Adapter(at, "asked for with --device gpu".into())),
            None => missing("hardware GPU"),
        },
        DeviceChoice::Software => match first(DeviceKind::Software) {
            Some(at) => Ok(Picked::Adapter(at, "asked for with --device software".into())),
            None => missing("software adapter"),
        },
        DeviceChoice::Named(name) => {
            let wanted = name.to_lowercase();
            match adapters.iter().position(|adapter| adapter.name.to_lowercase().contains(&wanted)) {
                Some(at) => Ok(Picked::Adapter(at, format!("its name contains `{name}`"))),
                None => missing(&format!("device called auto, gpu, software or cpu, nor an adapter named `{name}`")),
            }
        }
        DeviceChoice::Auto => Ok(match best_hardware(adapters) {
            Some(at) => Picked::Adapter(at, "a hardware GPU is there".into()),
            None => Picked::Cpu(
                format!("no hardware GPU was found ({}); for one, {INSTALL_HINT}", found(adapters))
                    .replace(", or choose --device cpu", ""),
            ),
        }),
    }
}

/// A discrete GPU before an integrated one before anything else that is hardware.
fn best_hardware(adapters: &[AdapterReport]) -> Option<usize> {
    let rank = |adapter: &AdapterReport| match adapter.device_type.as_str() {
        "DiscreteGpu" => 0,
        "IntegratedGpu" => 1,
        _ => 2,
    };
    (0..adapters.len()).filter(|&at| adapters[at].kind == DeviceKind::Hardware).min_by_key(|&at| rank(&adapters[at]))
}

fn found(adapters: &[AdapterReport]) -> String {
    if adapters.is_empty() {
        return "this machine has no adapter".into();
    }
    let names: Vec<String> = adapters.iter().map(|adapter| format!("{}, a {}", adapter.name, adapter.kind)).collect();
    format!("found: {}", names.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(name: &str, kind: DeviceKind, device_type: &str) -> AdapterReport {
        AdapterReport {
            name: name.into(),
            kind,
            device_type: device_type.into(),
            backend: "Vulkan".into(),
            driver: String::new(),
            features: vec![],
            limits: vec![],
            subgroup: None,
        }
    }

    fn machine() -> Vec<AdapterReport> {
        vec![
            adapter("llvmpipe", DeviceKind::Software, "Cpu"),
            adapter("Iris Xe", DeviceKind::Hardware, "IntegratedGpu"),
            adapter("Radeon", DeviceKind::Hardware, "DiscreteGpu"),
        ]
    }

    fn place(choice: &str, adapters: &[AdapterReport]) -> Option<usize> {
        let Ok(choice) = choice.parse();
        match pick(&choice, adapters) {
            Ok(Picked::Adapter(at, _)) => Some(at),
            _ => None,
        }
    }

    #[test]
    fn each_word_picks_its_kind() {
        let all = machine();
        assert_eq!(place("auto", &all), Some(2));
        assert_eq!(place("GPU", &all), Some(2));
        assert_eq!(place("software", &all), Some(0));
        assert_eq!(place("iris", &all), Some(1));
        assert_eq!(place("cpu", &all), None);
    }

    #[test]
    fn auto_never_lands_on_a_software_adapter() {
        let software = &machine()[..1];
        let Ok(Picked::Cpu(reason)) = pick(&DeviceChoice::Auto, software) else { panic!("not the CPU device") };
        assert!(reason.contains("llvmpipe, a software adapter"), "{reason}");
    }

    #[test]
    fn a_missing_device_says_what_was_found_and_what_to_try() {
        for (choice, wanted) in [("gpu", "hardware GPU"), ("software", "software adapter"), ("voodoo", "voodoo")] {
            let Ok(choice) = choice.parse();
            let error = pick(&choice, &[]).unwrap_err().to_string();
            assert!(error.contains(wanted) && error.contains("no adapter") && error.contains("apt-get"), "{error}");
        }
    }
}
