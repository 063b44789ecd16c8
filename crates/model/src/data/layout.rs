//! Where the class folders of each part lie: to train, to validate and to test on.

use std::path::{Path, PathBuf};

use super::error::{At, DataError, Problem, name_list};
use super::listing::{Entry, entries};

/// Names of the folder of each part, the usual one first. Upper and lower case are the same.
const TRAIN: &[&str] = &["train", "training"];
const VALIDATION: &[&str] = &["val", "valid", "validation"];
const TEST: &[&str] = &["test", "testing"];

/// The folders that hold the class folders of each part.
#[derive(Debug)]
pub(super) struct Layout {
    pub train: PathBuf,
    pub validation: Option<PathBuf>,
    pub test: Option<PathBuf>,
    /// What was left out.
    pub notes: Vec<String>,
}

impl Layout {
    /// Recognises the layout of `dir`: class folders, or folders of parts with class folders in them.
    pub fn of(dir: &Path) -> Result<Self, DataError> {
        let folders: Vec<Entry> = entries(dir)?.into_iter().filter(|entry| entry.is_dir).collect();
        let mut is_divided = false;
        for folder in folders.iter().filter(|folder| is_part(folder)) {
            // A folder `train` that holds images is a class, say of vehicles.
            is_divided |= holds_folders(&folder.path)?;
        }
        if !is_divided {
            return Ok(Self { train: dir.to_owned(), validation: None, test: None, notes: Vec::new() });
        }
        let Some(train) = part(&folders, TRAIN)? else { return Err(Problem::NoTrain.at(dir)) };
        let mut layout =
            Self { train, validation: part(&folders, VALIDATION)?, test: part(&folders, TEST)?, notes: Vec::new() };
        if let Some(test) = layout.test.take_if(|test| !holds_folders(test).unwrap_or(true)) {
            let test = name_list(&[test.file_name().unwrap_or_default().to_string_lossy()]);
            layout.notes.push(format!("left out {test}/: it has no class folders, so its images have no labels"));
        }
        let others: Vec<_> =
            folders.iter().filter(|folder| !is_part(folder)).map(|folder| folder.name.to_string_lossy()).collect();
        if !others.is_empty() {
            layout.notes.push(format!("left out folders beside the parts of the data: {}", name_list(&others)));
        }
        Ok(layout)
    }
}

/// The one folder that has one of `names`.
fn part(folders: &[Entry], names: &[&str]) -> Result<Option<PathBuf>, DataError> {
    let mut found = folders.iter().filter(|folder| is_one_of(folder, names));
    match (found.next(), found.next()) {
        (Some(first), Some(second)) => {
            Err(Problem::TwoFolders { other: name_list(&[first.name.to_string_lossy()]) }.at(&second.path))
        }
        (first, _) => Ok(first.map(|folder| folder.path.clone())),
    }
}

fn is_part(folder: &Entry) -> bool {
    [TRAIN, VALIDATION, TEST].iter().any(|names| is_one_of(folder, names))
}

fn is_one_of(folder: &Entry, names: &[&str]) -> bool {
    names.iter().any(|name| folder.name.eq_ignore_ascii_case(name))
}

fn holds_folders(dir: &Path) -> Result<bool, DataError> {
    Ok(entries(dir)?.iter().any(|entry| entry.is_dir))
}

#[cfg(test)]
mod tests {
    use super::super::testing::message;
    use super::*;
    use std::fs;

    fn layout(folders: &[&str]) -> Result<[Option<String>; 3], DataError> {
        let dir = tempfile::tempdir().unwrap();
        folders.iter().for_each(|folder| fs::create_dir_all(dir.path().join(folder)).unwrap());
        let layout = Layout::of(dir.path())?;
        let name = |path: PathBuf| path.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned();
        Ok([Some(name(layout.train)), layout.validation.map(name), layout.test.map(name)])
    }

    fn found(folders: &[&str]) -> [String; 3] {
        layout(folders).unwrap().map(|part| part.unwrap_or_else(|| "-".into()))
    }

    #[test]
    fn every_usual_layout_is_read() {
        assert_eq!(found(&["a", "b"]), ["", "-", "-"]);
        assert_eq!(found(&["train/a"]), ["train", "-", "-"]);
        assert_eq!(found(&["train/a", "test/a"]), ["train", "-", "test"]);
        assert_eq!(found(&["train/a", "val/a"]), ["train", "val", "-"]);
        assert_eq!(found(&["train/a", "valid/a", "test/a"]), ["train", "valid", "test"]);
        assert_eq!(found(&["Training/a", "validation/a", "Testing/a"]), ["Training", "validation", "Testing"]);
    }

    #[test]
    fn part_names_may_be_classes() {
        assert_eq!(found(&["train", "tram"]), ["", "-", "-"]);
        assert_eq!(found(&["test", "train", "val"]), ["", "-", "-"]);
    }

    #[test]
    fn what_cannot_be_is_named() {
        let text = message(layout(&["val/a", "test/a"]));
        assert!(text.contains("no train/ beside") && text.contains("name the folder of the part itself"), "{text}");
        let text = message(layout(&["train/a", "val/a", "valid/a"]));
        assert!(text.contains("valid: means the same as val/"), "{text}");
    }

    #[test]
    fn what_is_left_out_is_told() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["train/a", "test", "models", "extra"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("test/1.png"), "").unwrap();
        let layout = Layout::of(dir.path()).unwrap();
        assert!(layout.test.is_none());
        assert_eq!(
            layout.notes,
            [
                "left out test/: it has no class folders, so its images have no labels",
                "left out folders beside the parts of the data: extra, models"
            ]
        );
    }
}
