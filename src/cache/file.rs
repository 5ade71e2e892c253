//! Caches on disk: a safetensors file, the numbers beside the arrays as JSON with their types.

use super::store::Store;
use super::{Batch, BatchRotating, Cache, Full, LayerCache, Quantized, Rotating};
use crate::checkpoint::{read_with_metadata, write_with_metadata};
use crate::error::{Error, Result};
use crate::mlx::Array;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// Where the numbers stand among the texts of the file.
const KEY: &str = "mlx_repl_cache";

/// What a file says of its layers.
#[derive(Serialize, Deserialize)]
struct Contents {
    version: u32,
    /// Whether the layers are those of one model, or a list that somebody made.
    model: bool,
    layers: Vec<Saved>,
}

/// The numbers of one layer.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Saved {
    Full {
        offset: i32,
    },
    Rotating {
        offset: i32,
        max_size: i32,
        keep: i32,
        index: i32,
    },
    Quantized {
        offset: i32,
        bits: i32,
        group_size: i32,
    },
    Batch {
        offset: i32,
        left_padding: Vec<i32>,
    },
    BatchRotating {
        offset: Vec<i32>,
        left_padding: Vec<i32>,
        max_size: i32,
        total: i32,
        index: i32,
        rotated: bool,
    },
}

/// The names of a layer's arrays.
fn names(layer: usize, count: usize) -> Vec<String> {
    let parts: &[&str] = match count {
        2 => &["keys", "values"],
        _ => &[
            "keys.weight",
            "keys.scales",
            "keys.biases",
            "values.weight",
            "values.scales",
            "values.biases",
        ],
    };
    let name = |part: &&str| format!("layers.{layer}.{part}");
    parts.iter().map(name).collect()
}

/// Writes the layers; `model` says that they are those of one model.
///
/// # Errors
/// A cache with announced padding; the operating system's.
pub fn save(path: &Path, layers: &[&LayerCache], model: bool) -> Result<()> {
    let (mut arrays, mut saved) = (Vec::new(), Vec::new());
    for (i, layer) in layers.iter().enumerate() {
        let (numbers, store) = taken_apart(layer)?;
        saved.push(numbers);
        if let Some(store) = store {
            let list = store.arrays();
            arrays.extend(names(i, list.len()).into_iter().zip(list.to_vec()));
        }
    }
    let contents = Contents {
        version: 1,
        model,
        layers: saved,
    };
    let text = serde_json::to_string(&contents).map_err(|e| Error::file(path, e))?;
    write_with_metadata(path, &arrays, &HashMap::from([(KEY.to_string(), text)]))
}

/// The numbers of a layer, and its tokens without the room behind them.
fn taken_apart(layer: &LayerCache) -> Result<(Saved, Option<Store>)> {
    let waiting = match layer {
        LayerCache::Batch(cache) => cache.right_padding.is_some(),
        LayerCache::BatchRotating(cache) => cache.ends.is_some(),
        _ => false,
    };
    if waiting {
        return Err(Error::Unsupported(
            "this cache waits for `finalize()`; call it before saving".into(),
        ));
    }
    Ok(match layer {
        LayerCache::Full(cache) => (
            Saved::Full {
                offset: cache.offset,
            },
            cache.used()?,
        ),
        LayerCache::Rotating(cache) => (
            Saved::Rotating {
                offset: cache.offset,
                max_size: cache.max_size,
                keep: cache.keep,
                index: cache.index,
            },
            cache.store.clone(),
        ),
        LayerCache::Quantized(cache) => (
            Saved::Quantized {
                offset: cache.inner.offset,
                bits: cache.format.bits,
                group_size: cache.format.group_size,
            },
            cache.inner.used()?,
        ),
        LayerCache::Batch(cache) => (
            Saved::Batch {
                offset: cache.inner.offset,
                left_padding: cache.left_padding.clone(),
            },
            cache.inner.used()?,
        ),
        LayerCache::BatchRotating(cache) => (
            Saved::BatchRotating {
                offset: cache.offset.clone(),
                left_padding: cache.left_padding.clone(),
                max_size: cache.max_size,
                total: cache.total,
                index: cache.index,
                rotated: cache.rotated,
            },
            cache.store.clone(),
        ),
        LayerCache::Shared(_) => {
            let what = "prompts in training are not a cache to save";
            return Err(Error::Unsupported(what.into()));
        }
    })
}

/// The layers of a file, and whether they are those of one model.
///
/// # Errors
/// A file that is none of ours, truncated, or whose numbers do not fit its arrays.
pub fn load(path: &Path) -> Result<(Cache, bool)> {
    let (mut arrays, texts) = read_with_metadata(path)?;
    let text = texts.get(KEY).ok_or_else(|| {
        Error::file(
            path,
            "a safetensors file, but no cache: `cache::save` writes those",
        )
    })?;
    let damaged = |reason: String| Error::file(path, format!("damaged cache: {reason}"));
    let contents: Contents = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
    if contents.version != 1 {
        let reason = format!("a cache of version {}; this is 1", contents.version);
        return Err(Error::file(path, reason));
    }
    let mut layers = Vec::with_capacity(contents.layers.len());
    for (i, saved) in contents.layers.into_iter().enumerate() {
        let count = match saved {
            Saved::Quantized { .. } => 6,
            _ => 2,
        };
        let store = take_store(&mut arrays, names(i, count))
            .map_err(|reason| damaged(format!("layer {i}: {reason}")))?;
        let layer =
            put_together(saved, store).map_err(|reason| damaged(format!("layer {i}: {reason}")))?;
        layers.push(layer);
    }
    Ok((layers, contents.model))
}

/// The arrays of a layer: all of them or none.
fn take_store(
    arrays: &mut HashMap<String, Array>,
    names: Vec<String>,
) -> Result<Option<Store>, String> {
    let found: Vec<Array> = names
        .iter()
        .filter_map(|name| arrays.remove(name))
        .collect();
    if found.is_empty() {
        return Ok(None);
    }
    if found.len() < names.len() {
        return Err(format!("some of {} are missing", names.join(", ")));
    }
    let same = |a: &Array| a.ndim() == 4 && a.shape()[..3] == found[0].shape()[..3];
    match found.iter().all(same) {
        true => Ok(Some(Store::of(found))),
        false => Err("arrays of different shapes".into()),
    }
}

/// A layer from its numbers and arrays, if they fit one another.
fn put_together(saved: Saved, store: Option<Store>) -> Result<LayerCache, String> {
    let (length, rows) = store.as_ref().map_or((0, 0), |s| (s.length(), s.rows()));
    let fits = |holds: bool| match holds {
        true => Ok(()),
        false => Err(format!(
            "its numbers do not fit {rows} rows of {length} tokens"
        )),
    };
    let wrong = |error: Error| error.to_string();
    let padding_fits = |padding: &[i32]| length == 0 || padding.len() as i32 == rows;
    Ok(match saved {
        Saved::Full { offset } => {
            fits(offset == length)?;
            LayerCache::Full(Full::of(store, offset))
        }
        Saved::Quantized {
            offset,
            bits,
            group_size,
        } => {
            fits(offset == length)?;
            let mut cache = Quantized::new(bits, group_size).map_err(wrong)?;
            cache.inner = Full::of(store, offset);
            LayerCache::Quantized(cache)
        }
        Saved::Batch {
            offset,
            left_padding,
        } => {
            fits(offset == length && padding_fits(&left_padding))?;
            let mut cache = Batch::new(left_padding).map_err(wrong)?;
            cache.inner = Full::of(store, offset);
            LayerCache::Batch(cache)
        }
        Saved::Rotating {
            offset,
            max_size,
            keep,
            index,
        } => {
            let mut cache = Rotating::new(max_size, keep).map_err(wrong)?;
            let starts = offset == 0 && index == 0;
            fits(starts || (0 <= index && index <= length && index <= offset))?;
            // A ring that has not gone round is written where its tokens end.
            fits(offset >= max_size || index == offset)?;
            (cache.store, cache.offset, cache.index) = (store, offset, index);
            LayerCache::Rotating(cache)
        }
        Saved::BatchRotating {
            offset,
            left_padding,
            max_size,
            total,
            index,
            rotated,
        } => {
            let empty = vec![0; left_padding.len()];
            let mut cache = BatchRotating::new(max_size, empty).map_err(wrong)?;
            fits(offset.len() == left_padding.len() && padding_fits(&left_padding))?;
            fits(0 <= index && index <= length && index <= total)?;
            (cache.store, cache.offset, cache.left_padding) = (store, offset, left_padding);
            (cache.total, cache.index, cache.rotated) = (total, index, rotated);
            LayerCache::BatchRotating(cache)
        }
    })
}
