//! `cargo xtask check`: formatting, lints and docs with warnings as errors, then the repository's rules.

use anyhow::Result;

use crate::{process, tidy};

/// Runs every check; the first that fails ends it.
///
/// Clippy and rustdoc run in release: they share each other's artefacts, and build scripts and macros with the tests.
pub fn run() -> Result<()> {
    process::run(process::cargo("fmt").args(["--all", "--check"]))?;
    process::run(process::cargo("clippy").args(["--workspace", "--all-targets", "--release", "--", "-D", "warnings"]))?;
    let mut doc = process::cargo("doc");
    process::run(doc.args(["--workspace", "--no-deps", "--release"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    tidy::run()
}
