//! Every Rust file is as rustfmt writes it. `cargo fmt` alone looks only where plain `mod` lines lead, and those of the
//! kernels stand inside a macro.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Violation;
use super::tree::Tree;

/// Files that rustfmt would write otherwise.
pub fn as_rustfmt_writes(root: &Path, tree: &Tree) -> Result<Vec<Violation>> {
    let mut rustfmt = rustfmt(root, tree)?;
    rustfmt.args(["--check", "--files-with-diff"]);
    let output = rustfmt.output().context("cannot start rustfmt; `rustup component add rustfmt` installs it")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    let listing = String::from_utf8_lossy(&output.stdout);
    // It fails because of any difference; then it has listed some.
    ensure!(output.status.success() || !listing.trim().is_empty(), "rustfmt failed: {}", complaint.trim());
    Ok(listed(root, &listing))
}

/// Writes every file as rustfmt does.
pub fn write(root: &Path) -> Result<()> {
    crate::process::run(&mut rustfmt(root, &Tree::read(root)?)?)
}

/// rustfmt on every Rust file of the repository.
fn rustfmt(root: &Path, tree: &Tree) -> Result<Command> {
    let edition = edition(tree).context("Cargo.toml names no edition")?;
    let mut rustfmt = Command::new(env::var_os("RUSTFMT").unwrap_or_else(|| OsString::from("rustfmt")));
    rustfmt.current_dir(root).args(["--edition", edition]);
    rustfmt.args(tree.texts().map(|(path, _)| path).filter(|path| path.ends_with(".rs")));
    Ok(rustfmt)
}

/// The edition of the workspace: rustfmt alone reads no manifest.
fn edition(tree: &Tree) -> Option<&str> {
    let lines = tree.text("Cargo.toml")?.lines();
    lines.filter_map(|line| line.strip_prefix("edition = \"")?.strip_suffix('"')).next()
}

/// A violation per file of rustfmt's list, which names a file again for every module that leads to it.
fn listed(root: &Path, listing: &str) -> Vec<Violation> {
    let mut paths: Vec<String> = listing.lines().map(|line| within(root, line)).collect();
    paths.sort();
    paths.dedup();
    let message = "is not as rustfmt writes it; `cargo xtask fmt` does";
    paths.iter().map(|path| Violation::new(path, 1, message)).collect()
}

/// `path` from the root on, with `/` between the parts.
fn within(root: &Path, path: &str) -> String {
    let path = Path::new(path.trim());
    // rustfmt follows links on the way.
    let root = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_only_a_macro_names_is_found() {
        let root = env::temp_dir().join(format!("tilegrad-tidy-format-{}", std::process::id()));
        fs::create_dir_all(&root).expect("a writable temporary folder");
        let files = [
            ("Cargo.toml", "edition = \"2024\"\n"),
            ("lib.rs", "macro_rules! list {\n    ($name:ident) => {\n        mod $name;\n    };\n}\nlist!(inner);\n"),
            ("inner.rs", "pub fn f( ) { }\n"),
        ];
        files.iter().for_each(|(path, text)| fs::write(root.join(path), text).expect("a writable folder"));
        let found = as_rustfmt_writes(&root, &Tree::of(&files)).expect("rustfmt runs");
        fs::remove_dir_all(&root).expect("a folder of our own");
        assert_eq!(found, [Violation::new("inner.rs", 1, "is not as rustfmt writes it; `cargo xtask fmt` does")]);
    }
}
