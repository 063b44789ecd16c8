//! `cargo xtask check`: lints and docs with warnings as errors, and the repository's rules, formatting among them.

use anyhow::Result;

use crate::{process, tidy};

/// Runs every check; the first that fails ends it.
///
/// Clippy and rustdoc run in release: they share each other's artefacts, and build scripts and macros with the tests.
pub fn run() -> Result<()> {
    tidy::run()?;
    process::run(process::cargo("clippy").args(["--workspace", "--all-targets", "--release", "--", "-D", "warnings"]))?;
    let mut doc = process::cargo("doc");
    process::run(doc.args(["--workspace", "--no-deps", "--release"]).env("RUSTDOCFLAGS", "-D warnings"))
}
