//! `cargo xtask train …` and every other command of the engine: builds `tilegrad` in release and becomes it.

use std::env::{self, consts::EXE_SUFFIX};
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process;

/// Builds the release binary and hands this process over to it.
pub fn run(args: &[OsString]) -> Result<()> {
    let binary = build()?;
    become_child(Command::new(&binary).args(args)).with_context(|| format!("cannot start {}", binary.display()))
}

/// Builds the release binary and says where it is. Cargo's progress is for a person; a pipe or a log gets errors only.
pub fn build() -> Result<PathBuf> {
    let mut cargo = process::cargo("build");
    cargo.args(["--release", "--package", "tilegrad"]);
    if !io::stderr().is_terminal() {
        cargo.arg("--quiet");
    }
    process::run(&mut cargo)?;
    let binary = beside_xtask("release")?;
    ensure!(binary.is_file(), "cargo built tilegrad, but not at {}; run xtask as `cargo xtask`", binary.display());
    Ok(binary)
}

/// Where cargo puts the binary of `profile`.
pub fn beside_xtask(profile: &str) -> Result<PathBuf> {
    beside(&env::current_exe().context("cannot find xtask's own file")?, profile)
}

/// `target/PROFILE/tilegrad` from `target/debug/xtask`: right for any target folder and any target triple.
fn beside(xtask: &Path, profile: &str) -> Result<PathBuf> {
    let target = xtask.parent().and_then(Path::parent).context("xtask does not lie in a target folder")?;
    Ok(target.join(profile).join(format!("tilegrad{EXE_SUFFIX}")))
}

/// Replaces this process, so that signals and the exit status are the binary's own. Returns only on failure.
#[cfg(unix)]
fn become_child(command: &mut Command) -> Result<()> {
    Err(std::os::unix::process::CommandExt::exec(command).into())
}

/// Runs the binary to its end and exits as it did.
#[cfg(not(unix))]
fn become_child(command: &mut Command) -> Result<()> {
    std::process::exit(process::code(command.status()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_lies_beside_xtask() {
        let name = format!("tilegrad{EXE_SUFFIX}");
        for (xtask, folder) in [
            ("target/debug/xtask", "target/release"),
            ("target/release/xtask", "target/release"),
            ("build/riscv64gc-unknown-linux-gnu/debug/xtask", "build/riscv64gc-unknown-linux-gnu/release"),
        ] {
            assert_eq!(beside(Path::new(xtask), "release").expect("two parents"), Path::new(folder).join(&name));
        }
        assert!(beside(Path::new("xtask"), "dist").is_err());
    }
}
