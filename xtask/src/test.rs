//! `cargo xtask test`: drivers first, then every test of the workspace in release.

use std::ffi::OsString;
use std::path::Path;
use std::{env, fs, io};

use anyhow::{Context, Result};

use crate::{drivers, forward, process};

/// Makes sure of the drivers, then runs `cargo test --release --workspace ARGS`.
pub fn run(args: &[OsString]) -> Result<()> {
    let environment = Environment::new()?;
    let binary = forward::build()?;
    drivers::ensure(&binary, environment.variables())?;
    let mut cargo = process::cargo("test");
    cargo.arg("--release");
    if !names_package(args) {
        cargo.arg("--workspace");
    }
    cargo.args(args).envs(environment.variables().iter().cloned()).env("TILEGRAD_REQUIRE_ADAPTER", "1");
    // Tests run the default variants: what the user has tuned is neither used nor touched.
    cargo.env("TILEGRAD_CACHE_DIR", "");
    if Path::new(drivers::SWIFTSHADER_ICD).is_file() {
        cargo.env("TILEGRAD_SWIFTSHADER_ICD", drivers::SWIFTSHADER_ICD);
    } else if env::var_os("CI").is_none() {
        // In CI the test of the second driver fails instead.
        cargo.env("TILEGRAD_NO_SECOND_DRIVER", "1");
    }
    process::run(&mut cargo)
}

/// Whether the arguments for cargo (those before `--`) choose packages themselves.
fn names_package(args: &[OsString]) -> bool {
    args.iter()
        .take_while(|arg| *arg != "--")
        .filter_map(|arg| arg.to_str())
        .any(|arg| arg.starts_with("-p") || arg == "--package" || arg.starts_with("--package="))
}

/// What the Vulkan loader wants around it. Without `XDG_RUNTIME_DIR` it prints an error line per process.
struct Environment {
    variables: Vec<(&'static str, OsString)>,
}

impl Environment {
    fn new() -> Result<Self> {
        if env::var_os("XDG_RUNTIME_DIR").is_some() {
            return Ok(Self { variables: Vec::new() });
        }
        let folder = env::temp_dir().join(format!("tilegrad-xtask-{}", std::process::id()));
        create_private(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self { variables: vec![("XDG_RUNTIME_DIR", folder.into_os_string())] })
    }

    fn variables(&self) -> &[(&'static str, OsString)] {
        &self.variables
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        for (_, folder) in &self.variables {
            // A leftover folder in the system's temporary folder harms nobody.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn create_private(folder: &Path) -> io::Result<()> {
    #[cfg_attr(not(unix), allow(unused_mut, reason = "only unix has a mode to set"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_chosen_only_before_the_dashes() {
        let chosen = |line: &str| names_package(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(chosen("-p xtask"));
        assert!(chosen("-pxtask"));
        assert!(chosen("--package=xtask tidy"));
        assert!(!chosen("--test golden"));
        assert!(!chosen("-- -p"));
    }

    #[cfg(unix)]
    #[test]
    fn a_private_folder_is_nobody_elses() {
        use std::os::unix::fs::PermissionsExt;
        let folder = env::temp_dir().join(format!("tilegrad-xtask-test-{}", std::process::id()));
        create_private(&folder).expect("a new folder");
        let mode = fs::metadata(&folder).expect("it exists").permissions().mode();
        fs::remove_dir(&folder).expect("it is empty");
        assert_eq!(mode & 0o777, 0o700);
    }
}
