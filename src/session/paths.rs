//! File paths in strings, completed.

use crate::script::STDLIB;
use std::path::{Path, PathBuf};

/// Where the last part of a path begins, and the files that continue it, folders with a `/`.
///
/// Hidden ones are there for who types the dot.
pub fn complete(path: &str) -> (usize, Vec<String>) {
    let start = path.rfind('/').map_or(0, |slash| slash + 1);
    let (folder, word) = path.split_at(start);
    let Ok(entries) = std::fs::read_dir(expanded(folder)) else {
        return (start, Vec::new());
    };
    let names = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let fits = name.starts_with(word) && (word.starts_with('.') || !name.starts_with('.'));
        let slash = if entry.path().is_dir() { "/" } else { "" };
        fits.then(|| format!("{name}{slash}"))
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    (start, names)
}

/// The same for the path of an import, which has no ending: scripts, folders, and what is in the
/// binary.
pub fn complete_import(path: &str) -> (usize, Vec<String>) {
    let (start, files) = complete(path);
    let scripts = files.iter().filter_map(|name| {
        let folder = name.ends_with('/').then_some(name.as_str());
        name.strip_suffix(".rhai").or(folder)
    });
    let built_in = STDLIB.iter().filter(|(name, _)| name.starts_with(path));
    let built_in = built_in.map(|(name, _)| &name[start..]);
    let mut names: Vec<String> = scripts.chain(built_in).map(String::from).collect();
    names.sort();
    names.dedup();
    (start, names)
}

/// A folder as the system knows it: here if it is empty, at home behind `~`.
pub fn expanded(folder: &str) -> PathBuf {
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    match (folder, folder.strip_prefix("~/")) {
        ("", _) => PathBuf::from("."),
        ("~", _) => home().unwrap_or_else(|| folder.into()),
        (_, Some(rest)) => home().map_or_else(|| folder.into(), |home| home.join(rest)),
        _ => Path::new(folder).to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_end_in_a_slash() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
        assert_eq!(
            complete(&format!("{root}sr")),
            (root.len(), vec!["src/".to_string()])
        );
        let (_, found) = complete(&format!("{root}Cargo.t"));
        assert_eq!(found, ["Cargo.toml"]);
        assert_eq!(complete("/no/such/fo"), (9, Vec::new()));
    }

    #[test]
    fn imports_have_no_ending() {
        assert_eq!(complete_import("std/re"), (4, vec!["rewards".to_string()]));
        let (_, found) = complete_import(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/quick"));
        assert_eq!(found, ["quickstart"]);
    }
}
