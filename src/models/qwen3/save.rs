//! Weights to a directory in Hugging Face layout.

use super::{Quantization, Qwen3, names};
use crate::checkpoint::{INDEX, ModelDir};
use crate::error::{Error, Result};
use crate::mlx::Array;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::path::Path;

/// Files are at most so long, as in transformers and mlx-lm.
pub const SHARD_BYTES: usize = 5_000_000_000;

impl Qwen3 {
    /// Writes `config.json` and `model.safetensors`, or several such files of up to `shard_bytes`
    /// and their index; transformers and mlx-lm load the folder. Adapters are merged into what is
    /// written.
    pub fn save(&self, dir: &ModelDir, shard_bytes: usize) -> Result<()> {
        let merged = self.merged()?;
        let mut config = merged.config.clone();
        Quantization::write(Quantization::of(&merged).as_ref(), &mut config.other);
        let mut config = config.to_json();
        // transformers 5 reads the first, those before it and mlx-lm the second.
        for key in ["dtype", "torch_dtype"] {
            config[key] = crate::tensor::dtype::name(self.dtype()).into();
        }
        let shards = shards(names::of_checkpoint(&merged)?, shard_bytes);
        let kept = match shards.as_slice() {
            [whole] => {
                dir.write_weights("model.safetensors", whole)?;
                HashSet::from(["model.safetensors".to_string()])
            }
            _ => {
                // Shards take the places of others one by one: until all are there the folder is
                // no model, and says so.
                remove(&dir.path().join("config.json"))?;
                write_shards(dir, &shards)?
            }
        };
        remove_others(dir, &kept)?;
        dir.write_json("config.json", &config)
    }
}

/// Consecutive tensors of up to `limit` bytes; one that is larger is alone.
fn shards(arrays: Vec<(String, Array)>, limit: usize) -> Vec<Vec<(String, Array)>> {
    let (mut shards, mut size) = (vec![Vec::new()], 0);
    for (name, array) in arrays {
        let bytes = array.nbytes();
        if size > 0 && size + bytes > limit {
            shards.push(Vec::new());
            size = 0;
        }
        size += bytes;
        if let Some(last) = shards.last_mut() {
            last.push((name, array));
        }
    }
    shards
}

/// Writes shards, and the index when they are all there.
fn write_shards(dir: &ModelDir, shards: &[Vec<(String, Array)>]) -> Result<HashSet<String>> {
    let (mut map, mut total, mut kept) = (Map::new(), 0, HashSet::new());
    for (i, shard) in shards.iter().enumerate() {
        let file = format!("model-{:05}-of-{:05}.safetensors", i + 1, shards.len());
        dir.write_weights(&file, shard)?;
        for (name, array) in shard {
            map.insert(name.clone(), file.as_str().into());
            total += array.nbytes();
        }
        kept.insert(file);
    }
    map.sort_keys();
    let index = json!({ "metadata": { "total_size": total }, "weight_map": Value::Object(map) });
    dir.write_json(INDEX, &index)?;
    kept.insert(INDEX.into());
    Ok(kept)
}

/// Removes the files of an earlier save that a loader would take for parts of this one.
fn remove_others(dir: &ModelDir, kept: &HashSet<String>) -> Result<()> {
    for entry in std::fs::read_dir(dir.path()).map_err(Error::io(dir.path()))? {
        let path = entry.map_err(Error::io(dir.path()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_ours(&name) && !kept.contains(name.as_ref()) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes a file that may be there.
fn remove(path: &Path) -> Result<()> {
    match path.exists() {
        true => std::fs::remove_file(path).map_err(Error::io(path)),
        false => Ok(()),
    }
}

/// Whether a save makes files of this name; what else lies in the folder is somebody's.
fn is_ours(name: &str) -> bool {
    let numbers = name
        .strip_prefix("model-")
        .and_then(|rest| rest.strip_suffix(".safetensors"))
        .and_then(|rest| rest.split_once("-of-"));
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    let is_shard = numbers.is_some_and(|(i, of)| is_number(i) && is_number(of));
    is_shard || name == "model.safetensors" || name == INDEX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_save_makes_is_removed() {
        for ours in [
            "model.safetensors",
            "model-00001-of-00003.safetensors",
            INDEX,
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in [
            "model_a.safetensors",
            "model-best.safetensors",
            "models.safetensors",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
