//! A class folder: which of its files are images, and what else lies there.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use image::{ImageFormat, ImageReader};

use super::error::{At, DataError, Problem, name_list, one_line};
use super::idx::is_idx_name;
use super::listing::{Entry, check_file, entries};

/// A sub-folder with the images of one class.
#[derive(Debug)]
pub(super) struct ClassFolder {
    pub name: String,
    /// The images, sorted by name.
    pub images: Vec<PathBuf>,
}

/// What lies in class folders and is no image.
#[derive(Debug, Default)]
pub(super) struct Skipped {
    /// Files that are no images, by their endings.
    files: BTreeMap<String, usize>,
    /// Folders within class folders, as `class/folder`.
    folders: Vec<String>,
}

impl ClassFolder {
    /// Lists `folder`; what is no image is added to `skipped`.
    pub fn of(folder: Entry, skipped: &mut Skipped) -> Result<Self, DataError> {
        let found = entries(&folder.path)?;
        if found.iter().any(|entry| is_idx_name(&entry.name)) {
            return Err(Problem::IdxInside.at(&folder.path));
        }
        let name = folder.name.into_string().map_err(|_| Problem::ClassName.at(&folder.path))?;
        let mut images = Vec::new();
        for entry in found {
            if entry.is_dir {
                skipped.folders.push(format!("{name}/{}", entry.name.to_string_lossy()));
            } else if is_image(&entry.path) {
                images.push(entry.path);
            } else {
                *skipped.files.entry(ending(&entry.path)).or_default() += 1;
            }
        }
        Ok(Self { name, images })
    }
}

impl Skipped {
    /// What was skipped in the class folders of `part`, a sentence each.
    pub fn notes(&self, part: &str) -> Vec<String> {
        let mut notes = Vec::new();
        let count: usize = self.files.values().sum();
        if count > 0 {
            let mut kinds: Vec<_> = self.files.iter().collect();
            kinds.sort_by_key(|&(_, &count)| std::cmp::Reverse(count));
            let kinds: Vec<String> = kinds.into_iter().map(|(ending, count)| format!("{count} {ending}")).collect();
            let files =
                if count == 1 { "1 file that is no image" } else { &format!("{count} files that are no images") };
            notes.push(format!("skipped {files} in {part}: {}", name_list(&kinds)));
        }
        if !self.folders.is_empty() {
            notes.push(format!(
                "skipped what lies in folders within class folders of {part}: {}",
                name_list(&self.folders)
            ));
        }
        notes
    }

    /// Folders within class folders, as `class/folder`.
    pub fn folders(&self) -> &[String] {
        &self.folders
    }
}

/// `.ini`, or what to say of a file without an ending.
fn ending(path: &Path) -> String {
    match path.extension() {
        Some(ending) => format!(".{}", one_line(&ending.to_string_lossy().to_lowercase())),
        None => "without an ending".to_owned(),
    }
}

/// Whether the file's name or its first bytes say that it is an image of a kind that can be read. Whether it can be
/// read in fact is seen later.
pub(super) fn is_image(path: &Path) -> bool {
    if path.extension().and_then(ImageFormat::from_extension).is_some_and(|format| format.reading_enabled()) {
        return true;
    }
    match first_bytes(path).map(|start| image::guess_format(&start)) {
        // Two letters are a weak sign: a text may begin with them.
        Ok(Ok(format @ (ImageFormat::Bmp | ImageFormat::Pnm))) => has_header(path, format),
        Ok(Ok(format)) => format.reading_enabled(),
        // Unknown, or not to be read: nothing says that it is an image.
        Ok(Err(_)) | Err(_) => false,
    }
}

fn first_bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    // A pipe would be waited for.
    check_file(path)?;
    let mut start = Vec::new();
    File::open(path).at(path)?.take(16).read_to_end(&mut start).at(path)?;
    Ok(start)
}

fn has_header(path: &Path, format: ImageFormat) -> bool {
    let Ok(file) = File::open(path) else { return false };
    ImageReader::with_format(std::io::BufReader::new(file), format).into_dimensions().is_ok()
}

/// Whether an archiver or a system left this beside the user's own.
pub(super) fn is_litter(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".") || name == "__MACOSX"
}

#[cfg(test)]
mod tests {
    use super::super::testing::{colour, grey};
    use super::*;
    use std::fs;

    #[test]
    fn images_are_known_by_their_names_or_their_first_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        let written = |name: &str, bytes: &[u8]| {
            fs::write(file(name), bytes).unwrap();
            is_image(&file(name))
        };
        grey(&file("a.png"), 2, 2, 9);
        colour(&file("a.bmp"), 2, 2, [1, 2, 3]);
        let (png, bmp) = (fs::read(file("a.png")).unwrap(), fs::read(file("a.bmp")).unwrap());
        assert!(written("no-ending", &png) && written("wrong.dat", &png) && written("UPPER.PNG", &png));
        assert!(written("picture", &bmp) && written("grey", b"P5 1 1 255\n0"));
        assert!(written("empty.png", b"") && written("text.jpg", b"dear diary"), "they claim to be images");
        for (name, bytes) in [
            ("notes.txt", &b"dear diary"[..]),
            ("cars.txt", b"BMW and others"),
            ("list.csv", b"P5 is the fifth"),
            ("desktop.ini", b"[.ShellClassInfo]"),
            ("Thumbs.db", &[0xd0, 0xcf, 0x11, 0xe0]),
            ("empty", b""),
            ("scene.hdr", b"#?RADIANCE\n"),
        ] {
            assert!(!written(name, bytes), "{name}");
        }
    }
}
