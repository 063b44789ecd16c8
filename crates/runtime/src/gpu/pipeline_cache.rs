//! The driver's compiled pipelines, kept between runs where the adapter can hand them out.

use crate::choice::AdapterReport;
use crate::store;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// First bytes of a file; the number changes with its layout: this line, the sum of the rest in eight bytes, the rest.
const HEAD: &[u8] = b"tilegrad pipelines 1\n";
/// A file that has grown beyond this is begun afresh: nothing else ever removes the shapes of old networks from it.
const LARGEST: u64 = 64 << 20;
/// Pipelines of later plans are saved together, at the latest when the device is closed.
const PAUSE: Duration = Duration::from_secs(10);

/// wgpu's pipeline cache and its file.
#[derive(Debug)]
pub struct PipelineCache {
    cache: wgpu::PipelineCache,
    file: PathBuf,
    state: Mutex<State>,
}

/// What the file holds, as far as this process knows.
#[derive(Debug)]
struct State {
    /// Sum of what was last read or written.
    saved: Option<u64>,
    tried: Option<Instant>,
    /// Pipelines were compiled since.
    pending: bool,
    /// It could not be written; this was said.
    given_up: bool,
}

impl PipelineCache {
    /// The cache of this adapter; none if it has none, or the user wants none.
    pub fn open(device: &wgpu::Device, report: &AdapterReport) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let parts = [report.name.as_str(), &report.driver, &report.backend];
        let file = store::folder()?.join("pipelines").join(store::file_name(&report.name, &parts, "bin"));
        let data = read(&file);
        // SAFETY: the data is what `get_data` gave this or an earlier process on an adapter of the same name and
        // driver: it lies in the user's own folder, its sum shows that every byte is as it was written, and wgpu
        // compares its header with the adapter and the driver's version. Anything else is ignored, by `read` or by
        // `fallback`.
        let cache = unsafe {
            device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
                label: Some("tilegrad"),
                data: data.as_deref(),
                fallback: true,
            })
        };
        let saved = data.map(|data| store::sum(&data));
        Some(Self { cache, file, state: Mutex::new(State { saved, tried: None, pending: false, given_up: false }) })
    }

    /// For pipeline descriptors.
    pub fn cache(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// Keeps newly compiled pipelines, now or a little later.
    pub fn compiled(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.pending = true;
        if state.tried.is_none_or(|tried| tried.elapsed() >= PAUSE) {
            self.save(&mut state);
        }
    }

    /// Writes the file, unless it holds the same already. Of two processes the last one wins; the other's pipelines
    /// are compiled again some day.
    fn save(&self, state: &mut State) {
        (state.tried, state.pending) = (Some(Instant::now()), false);
        let Some(data) = self.cache.get_data().filter(|_| !state.given_up) else { return };
        let sum = store::sum(&data);
        if state.saved == Some(sum) {
            return;
        }
        match store::write(&self.file, &[HEAD, &sum.to_le_bytes(), &data].concat()) {
            Ok(()) => state.saved = Some(sum),
            Err(error) => {
                state.given_up = true;
                let (file, variable) = (self.file.display(), store::VARIABLE);
                log::warn!("compiled kernels are not kept: {file}: {error}; {variable}= switches this off");
            }
        }
    }
}

impl Drop for PipelineCache {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.pending {
            self.save(&mut state);
        }
    }
}

/// The data in `file`; none if there is none that is whole.
fn read(file: &Path) -> Option<Vec<u8>> {
    if std::fs::metadata(file).ok()?.len() > LARGEST {
        return None;
    }
    let bytes = std::fs::read(file).ok()?;
    let (sum, data) = bytes.strip_prefix(HEAD)?.split_first_chunk::<8>()?;
    (store::sum(data) == u64::from_le_bytes(*sum)).then(|| data.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let whole = [HEAD, &store::sum(b"data").to_le_bytes(), b"data"].concat();
        std::fs::write(&file, &whole).unwrap();
        assert_eq!(read(&file).as_deref(), Some(&b"data"[..]));
        let mut other = whole.clone();
        *other.last_mut().unwrap() ^= 1;
        for damaged in [&other, &whole[..whole.len() - 1], &whole[..HEAD.len() + 3], &[], b"something else"] {
            std::fs::write(&file, damaged).unwrap();
            assert_eq!(read(&file), None, "{damaged:?}");
        }
        assert_eq!(read(&folder.path().join("missing")), None);
    }
}
