//! The repository's text files, read once and shared by all rules.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result};

/// Every file that belongs to the repository, by its path from the root with `/` between the parts.
#[derive(Default)]
pub struct Tree {
    /// `None` for a file that is not UTF-8.
    files: BTreeMap<String, Option<String>>,
}

impl Tree {
    /// Reads what git tracks and what it would not ignore, or without git every file outside ignored folders.
    pub fn read(root: &Path) -> Result<Self> {
        let paths = match git_paths(root) {
            Some(paths) => paths,
            None => {
                println!("tidy: git does not list the files of {}; taking those in the folder", root.display());
                walked_paths(root).with_context(|| format!("cannot list {}", root.display()))?
            }
        };
        let mut files = BTreeMap::new();
        for path in paths {
            let file = root.join(&path);
            // git also lists files that are deleted but not committed as such, and submodules.
            if file.is_file() {
                let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
                files.insert(path, String::from_utf8(bytes).ok());
            }
        }
        Ok(Self { files })
    }

    /// A made-up tree.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| ((*path).into(), Some((*text).into()))).collect() }
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Every text file as (path, text), in order of the paths.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
    }

    /// The text of one file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.as_deref()
    }

    /// Whether `path` is a file of the repository, or a folder with one in it.
    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty() || self.files.contains_key(path) || self.files.keys().any(|file| file.starts_with(&folder))
    }
}

fn git_paths(root: &Path) -> Option<Vec<String>> {
    let mut git = Command::new("git");
    git.arg("-C").arg(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = git.output().ok().filter(|output| output.status.success())?;
    let listing = String::from_utf8_lossy(&output.stdout);
    Some(listing.split_terminator('\0').map(str::to_owned).collect())
}

/// Without git, its ignore file still counts as far as it names files and folders of the root: `/NAME`.
fn walked_paths(root: &Path) -> io::Result<Vec<String>> {
    let ignore = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
    let ignored: Vec<&str> = ignore.lines().filter_map(|line| line.trim().strip_prefix('/')).collect();
    let mut paths = Vec::new();
    walk(root, "", &mut paths, &|path| path == ".git" || ignored.contains(&path))?;
    Ok(paths)
}

fn walk(folder: &Path, prefix: &str, paths: &mut Vec<String>, skip: &dyn Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if skip(&path) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &format!("{path}/"), paths, skip)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::path::PathBuf;

    use super::*;

    /// A folder outside any git repository, removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let folder = env::temp_dir().join(format!("tilegrad-tidy-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).expect("a writable temporary folder");
            Self(folder)
        }

        fn write(&self, path: &str, bytes: &[u8]) {
            let file = self.0.join(path);
            fs::create_dir_all(file.parent().expect("under the folder")).expect("a writable folder");
            fs::write(file, bytes).expect("a writable file");
        }

        fn git(&self, args: &[&str]) {
            let done = Command::new("git").arg("-C").arg(&self.0).args(args).output().expect("git starts");
            assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn paths(tree: &Tree) -> Vec<&str> {
        tree.files.keys().map(String::as_str).collect()
    }

    #[test]
    fn without_git_the_folder_is_walked() {
        let scratch = Scratch::new("walk");
        scratch.write(".gitignore", b"/target\n");
        scratch.write("target/junk.rs", b"");
        scratch.write("src/target/kept.rs", b"kept");
        scratch.write("data.gz", &[0x1f, 0x8b, 0xff]);
        let tree = Tree::read(&scratch.0).expect("a readable tree");
        assert_eq!(paths(&tree), [".gitignore", "data.gz", "src/target/kept.rs"]);
        assert_eq!(tree.text("src/target/kept.rs"), Some("kept"));
        assert_eq!(tree.text("data.gz"), None);
        assert!(tree.has("data.gz") && tree.has("src/target") && !tree.has("src/tar"));
    }

    #[test]
    fn git_lists_tracked_and_new_files_but_no_ignored_or_deleted_ones() {
        let scratch = Scratch::new("git");
        scratch.write(".gitignore", b"*.log\n");
        for path in ["tracked.rs", "deleted.rs", "new.rs", "deep/noise.log"] {
            scratch.write(path, b"");
        }
        scratch.git(&["init", "--quiet"]);
        scratch.git(&["add", "tracked.rs", "deleted.rs"]);
        fs::remove_file(scratch.0.join("deleted.rs")).expect("it exists");
        let tree = Tree::read(&scratch.0).expect("a readable tree");
        assert_eq!(paths(&tree), [".gitignore", "new.rs", "tracked.rs"]);
    }
}
