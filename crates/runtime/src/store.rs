//! Files kept between runs: a folder for them, whole or not there, and sums that tell damaged ones.
//!
//! Nothing here may stop a training: whatever goes wrong with these files costs time only.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Names another folder than the user's cache folder; empty, nothing is kept or read.
pub const VARIABLE: &str = "TILEGRAD_CACHE_DIR";

/// The folder for what is kept between runs; none if the user wants none or has no place for it.
pub fn folder() -> Option<PathBuf> {
    chosen(std::env::var_os(VARIABLE), dirs::cache_dir())
}

fn chosen(variable: Option<OsString>, user: Option<PathBuf>) -> Option<PathBuf> {
    match variable {
        Some(named) if named.is_empty() => None,
        Some(named) => Some(named.into()),
        None => user.map(|user| user.join("tilegrad")),
    }
}

/// Writes `bytes` to a temporary file beside `path` and renames it, so that another process sees the old contents
/// or the new, never a part. A crash of the machine may leave a file that its reader must find damaged.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".").suffix(".unfinished").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// A sum over `bytes`, the same on every machine and in every build: FNV-1a in 64 bits.
///
/// Source: Fowler, Noll and Vo, "The FNV Non-Cryptographic Hash Algorithm", draft-eastlake-fnv.
pub fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A file name that starts like `name` and differs whenever one of `parts` does.
pub fn file_name(name: &str, parts: &[&str], extension: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let start: String = words.collect::<Vec<_>>().join("-").chars().take(40).collect();
    format!("{}-{:016x}.{extension}", start.to_ascii_lowercase(), sum(parts.join("\n").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_switches_it_off() {
        let user = || Some(PathBuf::from("cache"));
        assert_eq!(chosen(None, user()), Some("cache/tilegrad".into()));
        assert_eq!(chosen(Some("elsewhere".into()), user()), Some("elsewhere".into()));
        assert_eq!(chosen(Some(OsString::new()), user()), None);
        assert_eq!(chosen(None, None), None);
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn sums_and_names_are_those_of_the_published_function() {
        assert_eq!(sum(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(sum(b"foobar"), 0x8594_4171_f739_67e8);
        let name = file_name("llvmpipe (LLVM 15.0.6)", &["a", "b"], "json");
        assert!(name.starts_with("llvmpipe-llvm-15-0-6-") && name.ends_with(".json"), "{name}");
        assert_ne!(name, file_name("llvmpipe (LLVM 15.0.6)", &["a", "c"], "json"));
    }
}
