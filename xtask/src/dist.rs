//! `cargo xtask dist`: the binary that is given away, without symbols.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::{forward, process};

/// Builds `tilegrad` in the profile `dist`, and says where it lies and how large it is.
pub fn run() -> Result<()> {
    process::run(process::cargo("build").args(["--profile", "dist", "--package", "tilegrad"]))?;
    let binary = forward::beside_xtask("dist")?;
    let size =
        fs::metadata(&binary).with_context(|| format!("cargo built tilegrad, but not at {}", binary.display()))?;
    let size = size.len();
    ensure!(runs(&binary), "{} was built, but does not start", binary.display());
    println!("{}: {}", binary.display(), megabytes(size));
    println!("It needs {}; a Vulkan, Metal or DX12 driver is loaded if there is one.", needs());
    Ok(())
}

fn runs(binary: &Path) -> bool {
    std::process::Command::new(binary).arg(OsStr::new("--version")).output().is_ok_and(|said| said.status.success())
}

/// What the system must bring.
fn needs() -> &'static str {
    if cfg!(all(target_os = "linux", target_env = "gnu")) {
        "glibc as new as this machine's and nothing else"
    } else {
        "what every system of this kind has"
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 * 1e-6)
}

#[cfg(test)]
mod tests {
    use super::megabytes;

    #[test]
    fn sizes_are_in_millions() {
        assert_eq!([0, 13_949_999, 85_000_000].map(megabytes), ["0.0 MB", "13.9 MB", "85.0 MB"]);
    }
}
