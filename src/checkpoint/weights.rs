//! The tensors of a checkpoint, from one file or several.

use super::safetensors::read;
use crate::error::{Error, Result};
use crate::mlx::Array;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

/// The file that says where each tensor of a sharded checkpoint is.
pub const INDEX: &str = "model.safetensors.index.json";

/// The file of a checkpoint that is not sharded.
pub const SINGLE: &str = "model.safetensors";

/// Tensors by name, and where they came from, for errors.
#[derive(Clone, Debug)]
pub struct Weights {
    pub arrays: HashMap<String, Array>,
    path: PathBuf,
}

impl Weights {
    /// Tensors that came from `path`.
    pub fn new(arrays: HashMap<String, Array>, path: &Path) -> Self {
        Self {
            arrays,
            path: path.to_path_buf(),
        }
    }

    /// The tensors of a folder in Hugging Face layout: of `model.safetensors`, or of the files that
    /// its index names, or, if it has neither, of all `model*.safetensors`. Nothing is read before it is used.
    ///
    /// # Errors
    /// No such file, a shard that is missing, an index that does not fit its shards, a tensor
    /// that is in two of them; and those of [`read`].
    pub fn read(dir: &Path) -> Result<Self> {
        let (index, single) = (dir.join(INDEX), dir.join(SINGLE));
        // As in transformers, one whole file comes before an index that may be older.
        let arrays = if single.is_file() {
            read(&single)?
        } else if index.is_file() {
            sharded(dir, &index)?
        } else {
            joined(dir)?
        };
        Ok(Self::new(arrays, dir))
    }

    /// Where they came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.arrays.contains_key(name)
    }

    /// Takes a tensor out.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn take(&mut self, name: &str) -> Result<Array> {
        self.arrays
            .remove(name)
            .ok_or_else(|| Error::MissingWeight {
                name: name.to_string(),
                path: self.path.clone(),
            })
    }

    /// Takes a tensor out that must have a shape.
    ///
    /// # Errors
    /// There is none of this name, or it has another shape.
    pub fn take_shaped(&mut self, name: &str, shape: &[i32]) -> Result<Array> {
        let found = self.take(name)?;
        if found.shape() == shape {
            return Ok(found);
        }
        Err(Error::WeightShape {
            name: name.to_string(),
            path: self.path.clone(),
            expected: shape.to_vec(),
            found: found.shape().to_vec(),
        })
    }

    /// An error if tensors are left over.
    pub fn finish(self) -> Result<()> {
        let mut names: Vec<&String> = self.arrays.keys().collect();
        names.sort();
        match names.first() {
            None => Ok(()),
            Some(first) => Err(Error::file(
                &self.path,
                format!(
                    "{} weights have no place in this configuration, the first is `{first}`",
                    names.len()
                ),
            )),
        }
    }
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

fn sharded(dir: &Path, index: &Path) -> Result<HashMap<String, Array>> {
    let text = std::fs::read_to_string(index).map_err(Error::io(index))?;
    let map: Index = serde_json::from_str(&text)
        .map_err(|e| Error::file(index, format!("not an index of shards: {e}")))?;
    let files: BTreeSet<&String> = map.weight_map.values().collect();
    let mut shards = HashMap::new();
    for name in files {
        // A name that leads out of the folder is not the name of a shard.
        let mut parts = Path::new(name).components();
        if !matches!(
            (parts.next(), parts.next()),
            (Some(Component::Normal(_)), None)
        ) {
            return Err(Error::file(index, format!("`{name}` is not a file name")));
        }
        let path = dir.join(name);
        if !path.is_file() {
            let reason = format!("shard `{name}` is missing; fetch it again, the index names it");
            return Err(Error::file(dir, reason));
        }
        shards.insert(name, read(&path)?);
    }
    let mut arrays = HashMap::new();
    for (name, file) in &map.weight_map {
        let found = shards.get_mut(file).and_then(|shard| shard.remove(name));
        let found = found.ok_or_else(|| {
            let reason = format!("`{name}` is not in {file}, where the index says it is");
            Error::file(index, reason)
        })?;
        arrays.insert(name.clone(), found);
    }
    Ok(arrays)
}

fn joined(dir: &Path) -> Result<HashMap<String, Array>> {
    let names = file_names(dir)?;
    let is_model = |name: &&String| name.starts_with("model") && name.ends_with(".safetensors");
    let mut arrays = HashMap::new();
    for name in names.iter().filter(is_model) {
        for (tensor, array) in read(&dir.join(name))? {
            if arrays.insert(tensor.clone(), array).is_some() {
                let reason = format!(
                    "`{tensor}` is in two of its files, {name} the second; files of two \
                     checkpoints lie together, or {INDEX} is missing"
                );
                return Err(Error::file(dir, reason));
            }
        }
    }
    if !arrays.is_empty() {
        return Ok(arrays);
    }
    let other = names.iter().find(|name| {
        let kinds = [".bin", ".pt", ".pth", ".gguf", ".safetensors"];
        kinds.iter().any(|kind| name.ends_with(kind))
    });
    let hint = match other {
        Some(name) if name.ends_with(".gguf") => format!("; it has {name}: load that file itself"),
        Some(name) if name.ends_with(".safetensors") => format!("; it has {name}"),
        Some(name) => format!("; it has {name}, in PyTorch's format: convert it to safetensors"),
        None => String::new(),
    };
    let reason = format!("no model*.safetensors in this folder{hint}");
    Err(Error::file(dir, reason))
}

/// The names of the files of a folder, in order.
fn file_names(dir: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(dir).map_err(Error::io(dir))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.file_name()))
        .filter_map(|name| name.into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}
