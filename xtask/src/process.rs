//! Child processes: cargo on this workspace, and what a failed child means for our own exit code.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result};

/// A child that ended without success. It has said why itself; this adds which one it was.
#[derive(Debug)]
pub struct Failed {
    command: String,
    status: ExitStatus,
}

impl Failed {
    /// The child's exit code, or 128 + n if signal n ended it.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(u8::try_from(code(self.status)).unwrap_or(1))
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` failed: {}", self.command, self.status)
    }
}

impl Error for Failed {}

/// The folder with the workspace's manifest.
pub fn root() -> PathBuf {
    let xtask = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    xtask.parent().map_or(xtask.clone(), Path::to_path_buf)
}

/// `cargo SUBCOMMAND` on this workspace, from the caller's own folder and with nothing to read.
pub fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.arg(subcommand).arg("--manifest-path").arg(root().join("Cargo.toml")).stdin(Stdio::null());
    command
}

/// Runs `command` to its end; anything but success is a [`Failed`].
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", shown(command)))?;
    if status.success() { Ok(()) } else { Err(Failed { command: shown(command), status }.into()) }
}

/// The command as one would type it: no folder before the program, no manifest path.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or(command.get_program());
    let mut words = vec![program.to_string_lossy().into_owned()];
    let mut args = command.get_args();
    while let Some(arg) = args.next() {
        if arg == "--manifest-path" {
            args.next();
        } else {
            words.push(arg.to_string_lossy().into_owned());
        }
    }
    words.join(" ")
}

/// A status as a shell would number it.
pub fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + signal(status))
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> i32 {
    std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> i32 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_without_folders() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["test", "--manifest-path", "/a/Cargo.toml", "--release"]);
        assert_eq!(shown(&command), "cargo test --release");
    }

    #[cfg(unix)]
    #[test]
    fn exit_codes_are_the_shells() {
        let status = |script: &str| Command::new("sh").args(["-c", script]).status().expect("sh starts");
        assert_eq!(code(status("exit 7")), 7);
        assert_eq!(code(status("kill -9 $$")), 137);
    }

    #[test]
    fn a_failed_child_is_named() {
        let error = run(cargo("no-such-subcommand").stderr(Stdio::null())).expect_err("cargo knows no such subcommand");
        let failed = error.downcast_ref::<Failed>().expect("a child that failed");
        assert_eq!(failed.to_string(), "`cargo no-such-subcommand` failed: exit status: 101");
        assert_eq!(format!("{:?}", failed.exit_code()), format!("{:?}", ExitCode::from(101)));
    }
}
