//! What AMD's compiler makes of a kernel, without an AMD card.
//!
//! Mesa's RADV driver opens a null device for the chip named in the environment variable `RADV_FORCE_FAMILY`,
//! compiles pipelines for it with ACO and reports registers, spills, shared memory and code. Nothing runs.
//!
//! The driver reads the variable when it is loaded, and a process keeps the chip it began with. So a program that
//! wants a chip starts a child (often itself) with [`on_chip`], and the child calls [`Compiler::open`].

mod device;
mod pipeline;
mod report;

pub use report::Report;

use crate::{TranslateError, Vulkan, spirv};
use ash::vk;
use device::Device;
use pipeline::Pipeline;
use std::{fmt, path::PathBuf, process::Command, str::FromStr};
use thiserror::Error;
use tilegrad_kernels::{Halves, Kernel, Variant};

/// The variable that RADV takes the chip from.
const FAMILY: &str = "RADV_FORCE_FAMILY";

/// Where the Vulkan loader keeps the drivers' manifests.
const MANIFESTS: [&str; 3] = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

/// An AMD chip that stands for its generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chip {
    /// GCN 5: Radeon RX Vega 56 and 64.
    Vega10,
    /// RDNA 1: Radeon RX 5700.
    Navi10,
    /// RDNA 2: Radeon RX 6800 and 6900.
    Navi21,
    /// RDNA 3: Radeon RX 7900.
    Gfx1100,
}

impl Chip {
    /// Every chip, the oldest first.
    pub const ALL: [Self; 4] = [Self::Vega10, Self::Navi10, Self::Navi21, Self::Gfx1100];

    /// Mesa's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vega10 => "vega10",
            Self::Navi10 => "navi10",
            Self::Navi21 => "navi21",
            Self::Gfx1100 => "gfx1100",
        }
    }
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Chip {
    type Err = AmdError;

    fn from_str(name: &str) -> Result<Self, AmdError> {
        let chip = Self::ALL.into_iter().find(|chip| chip.name() == name);
        chip.ok_or_else(|| AmdError::UnknownChip(name.into()))
    }
}

/// A compiler that cannot be had, or that refuses a kernel.
#[derive(Debug, Error)]
pub enum AmdError {
    /// No chip has this name.
    #[error("`{0}` is not a known AMD chip; try {chips}", chips = Chip::ALL.map(Chip::name).join(", "))]
    UnknownChip(String),
    /// The machine has no Vulkan at all.
    #[error("the Vulkan loader is missing ({0}); install Debian's libvulkan1 and mesa-vulkan-drivers")]
    NoLoader(String),
    /// The machine has no driver for AMD chips.
    #[error("Mesa's RADV driver is missing ({0}); install Debian's mesa-vulkan-drivers")]
    NoDriver(String),
    /// The process was started for another chip, or for none.
    #[error("{FAMILY} is {found}, expected {wanted}; set it before the process starts")]
    WrongChip {
        /// The chip asked for.
        wanted: Chip,
        /// What the environment says, or the name of the device that came of it.
        found: String,
    },
    /// The driver lacks something that every RADV since Mesa 22 has.
    #[error("RADV offers no {0}; install a newer mesa-vulkan-drivers")]
    TooOld(String),
    /// The kernel does not get as far as the driver.
    #[error(transparent)]
    Translate(#[from] TranslateError),
    /// The driver refuses.
    #[error("RADV failed to {doing}: {result}")]
    Driver {
        /// What was asked of it.
        doing: &'static str,
        /// Its answer.
        #[source]
        result: vk::Result,
    },
}

impl AmdError {
    /// For `map_err` on a driver's answer.
    fn driver(doing: &'static str) -> impl FnOnce(vk::Result) -> Self {
        move |result| Self::Driver { doing, result }
    }
}

/// Makes `command` a process that compiles for `chip`, whichever drivers this process uses.
pub fn on_chip(command: &mut Command, chip: Chip) -> &mut Command {
    // The statistics must come from the compiler at hand, not from a cache that an older one filled.
    command.env(FAMILY, chip.name()).env("MESA_SHADER_CACHE_DISABLE", "true");
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        match manifest() {
            Some(path) => command.env(variable, path),
            None => command.env_remove(variable),
        };
    }
    command
}

/// RADV's manifest, whose name ends with the machine's architecture.
fn manifest() -> Option<PathBuf> {
    let name = format!("radeon_icd.{}.json", std::env::consts::ARCH);
    MANIFESTS.iter().map(|folder| PathBuf::from(folder).join(&name)).find(|path| path.exists())
}

/// AMD's compiler for one chip.
pub struct Compiler {
    device: Device,
}

impl Compiler {
    /// The compiler for `chip`, in a process made with [`on_chip`].
    ///
    /// # Errors
    /// If RADV is not installed, or the process was not started for this chip.
    pub fn open(chip: Chip) -> Result<Self, AmdError> {
        let family = std::env::var(FAMILY).unwrap_or_else(|_| "not set".into());
        if family != chip.name() {
            return Err(AmdError::WrongChip { wanted: chip, found: family });
        }
        Ok(Self { device: Device::open(chip)? })
    }

    /// Compiles the kernel as wgpu would for these params, and says what it takes.
    ///
    /// # Errors
    /// If the kernel cannot be translated, or the driver refuses it.
    ///
    /// # Panics
    /// If the variant is not one of the kernel's.
    pub fn compile(
        &self,
        kernel: &Kernel,
        variant: &Variant,
        params: &[u32],
        halves: Halves,
    ) -> Result<Report, AmdError> {
        self.report(kernel, variant, params, halves, vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR)
    }

    /// The same with the machine code.
    ///
    /// # Errors
    /// Those of [`Compiler::compile`].
    ///
    /// # Panics
    /// If the variant is not one of the kernel's.
    pub fn compile_with_asm(
        &self,
        kernel: &Kernel,
        variant: &Variant,
        params: &[u32],
        halves: Halves,
    ) -> Result<Report, AmdError> {
        let statistics = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR;
        let code = vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
        self.report(kernel, variant, params, halves, statistics | code)
    }

    fn report(
        &self,
        kernel: &Kernel,
        variant: &Variant,
        params: &[u32],
        halves: Halves,
        capture: vk::PipelineCreateFlags,
    ) -> Result<Report, AmdError> {
        let code = spirv(kernel, variant, params, halves, Vulkan::V1_3)?;
        let pipeline = Pipeline::build(&self.device, &code, kernel.bindings.len() as u32, capture)?;
        report::read(&pipeline)
    }
}

#[cfg(test)]
mod tests {
    use super::{Chip, on_chip};
    use std::process::Command;

    #[test]
    fn chips_are_read_by_name() {
        assert_eq!("navi21".parse::<Chip>().unwrap(), Chip::Navi21);
        let error = "navi99".parse::<Chip>().unwrap_err().to_string();
        assert_eq!(error, "`navi99` is not a known AMD chip; try vega10, navi10, navi21, gfx1100");
    }

    #[test]
    fn a_child_is_told_its_chip() {
        let mut command = Command::new("true");
        let wanted = (std::ffi::OsStr::new("RADV_FORCE_FAMILY"), Some(std::ffi::OsStr::new("gfx1100")));
        assert!(on_chip(&mut command, Chip::Gfx1100).get_envs().any(|set| set == wanted));
    }
}
