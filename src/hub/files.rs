//! Which files of a repository make a model: configuration, tokenizer and safetensors, all at its
//! top. Other formats of the same weights (`*.bin`, `original/`, `onnx/`) stay where they are.

use super::folder::Folder;
use crate::error::{Error, Result};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

/// Everything that is not weights. `adapter_config.json` is the one of a LoRA.
const TEXTS: [&str; 11] = [
    "config.json",
    "adapter_config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
];

/// The files without which a snapshot may be half of one.
pub(super) const MARKS: [&str; 2] = ["config.json", "tokenizer.json"];

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The small files that are wanted of those that are there, the index of the weights among them.
pub(super) fn texts(listing: &[String]) -> Vec<&str> {
    let has = |name: &str| listing.iter().any(|known| known == name);
    // A model in one file needs no index, and one that lists other files would be in its way.
    let index = (!has(SINGLE)).then_some(INDEX);
    TEXTS
        .into_iter()
        .chain(index)
        .filter(|name| has(name))
        .collect()
}

/// The weights that are wanted: one file, or those that the index names, or all at the top.
///
/// # Errors
/// An index that is none, or that names files which are not there.
pub(super) fn weights(listing: &[String], snapshot: &Path) -> Result<BTreeSet<String>> {
    let has = |name: &str| listing.iter().any(|known| known == name);
    if has(SINGLE) {
        return Ok([SINGLE.to_string()].into());
    }
    if !has(INDEX) {
        let all = listing.iter().filter(|name| is_weights(name));
        return Ok(all.cloned().collect());
    }
    let index = snapshot.join(INDEX);
    let shards = shards(&index)?;
    match shards.iter().find(|shard| !has(shard)) {
        None => Ok(shards),
        Some(shard) => Err(Error::file(
            &index,
            format!("it names `{shard}`, which the repository does not have"),
        )),
    }
}

/// Whether a file of a repository is weights that can be read.
pub(super) fn is_weights(name: &str) -> bool {
    name.ends_with(".safetensors") && !name.contains('/')
}

/// Whether a snapshot holds a model: a configuration and all weights that belong together.
pub(super) fn is_usable(snapshot: &Path) -> bool {
    let has = |name: &str| snapshot.join(name).is_file();
    let configured = has("config.json") || has("adapter_config.json");
    configured && (has(SINGLE) || has_shards(snapshot))
}

/// Whether a snapshot holds a tokenizer.
pub(super) fn has_tokenizer(snapshot: &Path) -> bool {
    snapshot.join("tokenizer.json").is_file()
}

/// Whether a usable snapshot also holds, or is known to lack, what a program may have passed over
/// that downloaded file by file.
pub(super) fn is_whole(folder: &Folder, commit: &str) -> bool {
    MARKS
        .iter()
        .all(|name| folder.has(commit, name) || folder.lacks(commit, name))
}

fn has_shards(snapshot: &Path) -> bool {
    let index = snapshot.join(INDEX);
    if index.is_file() {
        let here = |shard: &String| snapshot.join(shard).is_file();
        return shards(&index).is_ok_and(|shards| shards.iter().all(here));
    }
    let Ok(entries) = fs::read_dir(snapshot) else {
        return false;
    };
    let names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_weights(name) && snapshot.join(name).is_file())
        .collect();
    !names.is_empty() && all_of_them(&names)
}

/// Whether files without an index are as many as their names say: `…-00002-of-00003.safetensors`.
fn all_of_them(names: &[String]) -> bool {
    let mut series: HashMap<(&str, &str), usize> = HashMap::new();
    for name in names {
        let stem = name.trim_end_matches(".safetensors");
        if let Some((front, of)) = stem.rsplit_once("-of-")
            && let Some((base, _)) = front.rsplit_once('-')
        {
            *series.entry((base, of)).or_default() += 1;
        }
    }
    series
        .into_iter()
        .all(|((_, of), count)| of.parse() == Ok(count))
}

/// The files that an index names.
fn shards(index: &Path) -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(index).map_err(Error::io(index))?;
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| Error::file(index, format!("not JSON: {e}")))?;
    let map = json["weight_map"].as_object();
    let shards: Option<BTreeSet<String>> = map.and_then(|map| {
        let names = map.values().map(|name| name.as_str().map(String::from));
        names.collect()
    });
    match shards {
        Some(shards) if !shards.is_empty() => Ok(shards),
        _ => Err(Error::file(
            index,
            "it has no `weight_map` that names files",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn only_what_a_model_needs_is_wanted() {
        let listing = list(&[
            ".gitattributes",
            "README.md",
            "config.json",
            "merges.txt",
            "model.safetensors",
            "model.safetensors.index.json",
            "original/model.safetensors",
            "pytorch_model.bin",
        ]);
        assert_eq!(texts(&listing), ["config.json", "merges.txt"]);
        let wanted = weights(&listing, Path::new("")).unwrap();
        assert_eq!(wanted, [SINGLE.to_string()].into());
    }

    #[test]
    fn weights_without_an_index_are_counted() {
        let shard = |i: usize| format!("model-0000{i}-of-00003.safetensors");
        assert!(!all_of_them(&[shard(1), shard(3)]));
        assert!(all_of_them(&[shard(1), shard(2), shard(3)]));
        assert!(all_of_them(&list(&["weights.00.safetensors"])));
    }

    #[test]
    fn an_index_decides_when_a_snapshot_is_usable() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("config.json", "{}");
        assert!(!is_usable(folder.path()));
        write(
            INDEX,
            r#"{"weight_map": {"a": "x.safetensors", "b": "y.safetensors"}}"#,
        );
        write("x.safetensors", "");
        assert!(!is_usable(folder.path()));
        write("y.safetensors", "");
        assert!(is_usable(folder.path()));
        write(INDEX, "{}");
        assert!(!is_usable(folder.path()));
    }

    #[test]
    fn an_index_names_only_files_that_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join(INDEX);
        fs::write(&index, r#"{"weight_map": {"a": "../../../x.safetensors"}}"#).unwrap();
        let error = weights(&list(&[INDEX]), folder.path()).unwrap_err();
        assert!(error.to_string().contains("does not have"), "{error}");
    }
}
