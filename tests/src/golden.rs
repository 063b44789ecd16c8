//! Golden numbers: PyTorch in float64, from the folder in `GOLDEN_DIR` or the project's own.

use anyhow::{Context, Result};
use safetensors::SafeTensors;
use std::collections::HashMap;
use std::path::PathBuf;

/// A tensor of the golden files.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Dimensions.
    pub shape: Vec<u32>,
    /// Elements.
    pub values: Vec<f32>,
}

/// The project's root folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of the golden files.
pub fn folder() -> PathBuf {
    std::env::var_os("GOLDEN_DIR").map_or_else(|| root().join("assets/golden"), PathBuf::from)
}

/// All tensors of a golden file.
///
/// # Errors
/// If the file is missing, broken, or holds anything but f32.
pub fn tensors(name: &str) -> Result<HashMap<String, Tensor>> {
    let path = folder().join(name);
    let bytes = std::fs::read(&path).with_context(|| format!("golden file {}", path.display()))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let mut all = HashMap::new();
    for (name, view) in file.tensors() {
        anyhow::ensure!(view.dtype() == safetensors::Dtype::F32, "{name} is not f32");
        let shape = view.shape().iter().map(|&dim| dim as u32).collect();
        let chunks = view.data().chunks_exact(4);
        let values = chunks.map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect();
        all.insert(name, Tensor { shape, values });
    }
    Ok(all)
}

/// The cases of ops.json.
///
/// # Errors
/// If the file is missing or no list of objects.
pub fn cases() -> Result<Vec<serde_json::Value>> {
    let path = folder().join("ops.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("golden file {}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}
