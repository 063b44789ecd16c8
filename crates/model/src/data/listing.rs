//! What lies in a folder.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::class_folder::{is_image, is_litter};
use super::error::{At, DataError, Problem};

/// A file or folder.
#[derive(Debug)]
pub(super) struct Entry {
    /// Last part of the path.
    pub name: OsString,
    /// Where it lies.
    pub path: PathBuf,
    /// Whether it is a folder, or a link to one.
    pub is_dir: bool,
}

/// What lies in `dir`, without hidden files and archivers' litter, sorted by name: the operating system's order differs between machines.
pub(super) fn entries(dir: &Path) -> Result<Vec<Entry>, DataError> {
    let metadata = dir.metadata().map_err(|cause| missing_or(cause).at(dir))?;
    if !metadata.is_dir() {
        return Err(Problem::NotFolder.at(dir));
    }
    let mut entries = Vec::new();
    for entry in dir.read_dir().at(dir)? {
        let entry = entry.at(dir)?;
        let (name, path) = (entry.file_name(), entry.path());
        if !is_litter(&name) {
            // A link to nothing is no folder; whether it matters is seen when it is read.
            let is_dir = path.metadata().is_ok_and(|metadata| metadata.is_dir());
            entries.push(Entry { name, path, is_dir });
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// The images in `dir` and in the folders within it, known by their names or their first bytes: those of a folder sorted
/// by name, then those of the folders within it. Links to folders are not followed: they may lead in a circle.
///
/// # Errors
/// If `dir` or a folder in it can't be read.
pub fn image_files(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let (mut images, mut folders) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        let (inner, files): (Vec<_>, Vec<_>) = entries(&folder)?.into_iter().partition(|entry| entry.is_dir);
        images.extend(files.into_iter().map(|entry| entry.path).filter(|path| is_image(path)));
        folders.extend(inner.into_iter().rev().map(|entry| entry.path).filter(|path| !path.is_symlink()));
    }
    Ok(images)
}

/// That `path` is a regular file; to open a pipe would wait for its writer for ever.
pub(super) fn check_file(path: &Path) -> Result<(), DataError> {
    if path.metadata().at(path)?.is_file() { Ok(()) } else { Err(Problem::NotFile.at(path)) }
}

fn missing_or(cause: io::Error) -> Problem {
    if cause.kind() == io::ErrorKind::NotFound { Problem::Missing } else { cause.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn entries_are_sorted_and_hidden_ones_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a", ".hidden", "c"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("B")).unwrap();
        fs::create_dir(dir.path().join("__MACOSX")).unwrap();
        let found = entries(dir.path()).unwrap();
        let names: Vec<_> = found.iter().map(|entry| (entry.name.to_str().unwrap(), entry.is_dir)).collect();
        assert_eq!(names, [("B", true), ("a", false), ("b", false), ("c", false)]);
    }

    #[test]
    fn images_are_found_at_any_depth_and_circles_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        for name in ["b.png", "a.png", "y/z/1.png", "y/0.png", "x/2.png"] {
            super::super::testing::grey(&file(name), 2, 2, 9);
        }
        fs::write(file("y/notes.txt"), "dear diary").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(dir.path(), file("x/round")).unwrap();
        let found = image_files(dir.path()).unwrap();
        assert_eq!(found, ["a.png", "b.png", "x/2.png", "y/0.png", "y/z/1.png"].map(file));
        assert!(matches!(image_files(&file("none")).unwrap_err().problem, Problem::Missing));
    }

    #[test]
    fn folder_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(check_file(dir.path()).unwrap_err().problem, Problem::NotFile));
        assert!(matches!(check_file(&dir.path().join("x")).unwrap_err().problem, Problem::Io { .. }));
    }
}
