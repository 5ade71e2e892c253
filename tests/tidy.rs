//! The rules of docs/architecture.md that the compiler does not know.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Files with an ending below a folder, as paths from the root, and their texts.
fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    fn walk(path: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join(folder), &mut paths);
    paths.sort();
    paths
        .into_iter()
        .filter(|path| {
            let ending = path.extension().unwrap_or_default().to_string_lossy();
            endings.contains(&ending.as_ref())
        })
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The room of a file: the first folder, or the file itself, below `src`.
fn room(path: &str) -> String {
    let rest = path.strip_prefix("src/").unwrap();
    let first = rest.split('/').next().unwrap();
    first.trim_end_matches(".rs").to_string()
}

/// Level of each room, by the table in the architecture document.
fn levels() -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let table = text.split("| room | what it is for |").nth(1).unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut levels = BTreeMap::new();
    for (level, row) in rows.enumerate() {
        let cell = row.split('|').nth(1).unwrap();
        for name in cell.split(',') {
            levels.insert(name.trim().trim_matches('`').to_string(), level);
        }
    }
    levels
}

/// Code without comments and without what stands below `#[cfg(test)]`.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn rooms_import_only_from_lower_rooms() {
    let levels = levels();
    let mut wrong = Vec::new();
    for (path, text) in files("src", &["rs"]) {
        let room = room(&path);
        if ["lib", "main"].contains(&room.as_str()) {
            continue;
        }
        let own = levels
            .get(&room)
            .unwrap_or_else(|| panic!("{path}: no room `{room}`"));
        for part in code(&text).split("crate::").skip(1) {
            let name: String = part
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            // `crate::Result` and `crate::Error` are names of the room `error`.
            let Some(level) = levels.get(&name) else {
                continue;
            };
            if name != room && level >= own {
                wrong.push(format!("{path} imports from `{name}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_is_in_the_table() {
    let levels = levels();
    for (path, _) in files("src", &["rs"]) {
        let room = room(&path);
        let known = levels.contains_key(&room) || ["lib", "main"].contains(&room.as_str());
        assert!(known, "{path}");
    }
    for room in levels.keys() {
        let folder = root().join("src").join(room);
        let file = folder.with_extension("rs");
        assert!(
            folder.is_dir() || file.is_file(),
            "`{room}` is in the table only"
        );
    }
}

#[test]
fn crates_stay_in_their_rooms() {
    let homes: [(&str, &[&str]); 14] = [
        ("ast_grep_", &["ast_grep"]),
        ("mlx_sys", &["mlx"]),
        ("unsafe ", &["mlx"]),
        ("rhai::", &["script", "session"]),
        ("rustyline", &["repl"]),
        ("indicatif", &["repl"]),
        ("clap", &["cli"]),
        ("hf_hub", &["hub"]),
        ("ureq", &["hub"]),
        ("minijinja", &["text"]),
        ("tokenizers::", &["text"]),
        ("resvg", &["plot"]),
        ("dejavu::", &["plot"]),
        ("println!", &["repl", "cli"]),
    ];
    let mut wrong = Vec::new();
    for (path, text) in files("src", &["rs"]) {
        for (word, rooms) in homes {
            let allowed = rooms.contains(&room(&path).as_str());
            if !allowed && code(&text).contains(word) {
                wrong.push(format!("{path}: `{word}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn volatile_interfaces_stay_in_one_file() {
    for (path, text) in files("src", &["rs"]) {
        for word in ["on_missing_function", "on_var("] {
            let allowed = path == "src/script/hooks.rs";
            assert!(allowed || !code(&text).contains(word), "{path}: `{word}`");
        }
    }
}

#[test]
fn files_can_be_seen_across() {
    for folder in ["src", "xtask/src", "stdlib", "scripts"] {
        for (path, text) in files(folder, &["rs", "rhai"]) {
            let lines = code(&text).lines().count();
            assert!(lines <= 400, "{path} has {lines} lines: two rooms in one?");
        }
    }
}

#[test]
fn nothing_is_left_for_later() {
    let words = ["todo!(", "unimplemented!(", "TODO", "FIXME", "XXX", "dbg!("];
    for folder in ["src", "xtask/src", "stdlib", "scripts"] {
        for (path, text) in files(folder, &["rs", "rhai"]) {
            for word in words {
                assert!(!text.contains(word), "{path}: {word}");
            }
        }
    }
}

/// `unwrap` is for tests; `expect` comes with the reason why it cannot fail.
#[test]
fn nothing_that_a_user_does_can_panic() {
    let mut wrong = Vec::new();
    let all = files("src", &["rs"]);
    for (path, text) in all.iter().filter(|(path, _)| !path.contains("/tests")) {
        for (number, line) in code(text).lines().enumerate() {
            let panics = [".unwrap()", "panic!(", "unreachable!("];
            if panics.iter().any(|word| line.contains(word)) {
                wrong.push(format!(
                    "{path}, line {number} of its code: {}",
                    line.trim()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_bound_function_is_documented() {
    let mut wrong = Vec::new();
    for (path, text) in files("src/script", &["rs"]) {
        let mut lines: Vec<&str> = Vec::new();
        for line in text.lines() {
            let plain = line.trim();
            if plain.starts_with("#[rhai_fn(") && !plain.contains("index_") {
                let documented = lines.last().is_some_and(|l| l.trim().starts_with("///"));
                if !documented {
                    wrong.push(format!("{path}: {plain}"));
                }
            }
            lines.push(line);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
