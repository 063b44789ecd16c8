//! `cargo xtask tidy`: the repository's rules as code. Every broken rule is one line, `file:line: message`.

mod format;
mod links;
mod rooms;
mod text;
mod tree;

use std::fmt;

use anyhow::{Context, Result, ensure};

use crate::process;
use tree::Tree;

/// A broken rule, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    /// Counted from one.
    line: usize,
    message: String,
}

impl Violation {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.into(), line, message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Everything that holds for the files alone.
const RULES: &[fn(&Tree) -> Vec<Violation>] = &[
    text::file_length,
    text::architecture_length,
    text::loose_ends,
    text::machine_paths,
    text::registry_hosts,
    rooms::kernel_in_three_files,
    rooms::runtime_names_no_kernel,
    rooms::model_names_no_wgpu,
    links::point_at_files,
];

/// Checks every rule and prints what is broken.
pub fn run() -> Result<()> {
    let tree = Tree::read(&process::root())?;
    let mut violations: Vec<Violation> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    violations.extend(format::as_rustfmt_writes(&process::root(), &tree)?);
    violations.extend(rooms::kernels_without_wgpu(&kernels_dependencies()?));
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    ensure!(violations.is_empty(), "tidy: {} broken rules in {} files read", violations.len(), tree.len());
    println!("tidy: {} files, no rule broken", tree.len());
    Ok(())
}

/// Formats every Rust file of the repository.
pub fn write_format() -> Result<()> {
    format::write(&process::root())
}

fn kernels_dependencies() -> Result<String> {
    let mut tree = process::cargo("tree");
    tree.args(["--package", "tilegrad-kernels", "--edges", "normal", "--prefix", "none"]);
    let output = tree.output().context("cannot start cargo")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{}` failed: {}", process::shown(&tree), complaint.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
