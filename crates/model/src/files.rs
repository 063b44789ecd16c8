//! Files that are either whole or not there.

use crate::ModelError;
use std::io::Write;
use std::path::Path;

/// Suffix of files that are being written; what a killed process leaves under it is never read.
const UNFINISHED: &str = ".unfinished";

/// Writes `bytes` to a temporary file beside `path`, flushes it to the disk and renames it, so that whatever
/// `path` held before stays whole until the new contents are.
///
/// # Errors
/// [`ModelError::File`] with what the system said.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let attempt = || -> std::io::Result<()> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".").suffix(UNFINISHED);
        // As any new file: whoever the umask lets read it may.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    attempt().map_err(|error| ModelError::File { path: path.into(), problem: format!("could not be written: {error}") })
}

/// Removes what killed processes left behind in `folder`.
pub fn remove_unfinished(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().ends_with(UNFINISHED) {
            // A file that cannot be removed does no harm: it is never read.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
