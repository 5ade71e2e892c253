//! Every `rhai` example in doc comments and documents runs; README's session is replayed.

use crate::support::{Terminal, root, run, session};
use mlx_repl::script::docs::{Index, pages};
use mlx_repl::script::{Asked, asked_by};
use mlx_repl::session::Kind;
use std::collections::BTreeSet;
use std::path::Path;

/// The blocks fenced as a language in a text, with the line that each begins at.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        let comment = line.trim_start();
        let comment = comment.strip_prefix("///").or(comment.strip_prefix("//!"));
        let plain = match comment {
            Some(text) => text.strip_prefix(' ').unwrap_or(text),
            None => line,
        };
        match &mut open {
            None if plain.trim() == format!("```{language}") => {
                open = Some((number + 2, String::new()));
            }
            None => {}
            Some(_) if plain.trim() == "```" => found.extend(open.take()),
            Some((_, body)) => {
                body.push_str(plain);
                body.push('\n');
            }
        }
    }
    found
}

fn files(folder: &Path, endings: &[&str], found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, endings, found);
        } else if path
            .extension()
            .is_some_and(|e| endings.iter().any(|x| e == *x))
        {
            found.push(path);
        }
    }
}

#[test]
fn every_example_runs() {
    let mut paths = vec![root().join("README.md")];
    files(&root().join("docs"), &["md"], &mut paths);
    // The reference is made of the examples below.
    paths.retain(|path| !path.starts_with(root().join("docs/reference")));
    let mut count = 0;
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        for (line, body) in blocks(&text, "rhai") {
            count += 1;
            if let Err(failure) = session().eval("example", &body) {
                panic!("{}:{line}\n{}", path.display(), failure.rendered);
            }
        }
    }
    assert!(count >= 1, "{count} examples");
}

#[test]
fn every_bound_function_has_an_example_that_runs() {
    let index = Index::new(session().engine());
    let (mut count, mut wrong, mut settings) = (0, Vec::new(), Asked::new());
    for entry in index.entries() {
        if entry.is_standard || entry.same_as.is_some() {
            continue;
        }
        let name = entry.full_name();
        if entry.doc.is_empty() || entry.examples.is_empty() {
            wrong.push(format!("{name}: no documentation, or no example"));
        }
        for body in &entry.examples {
            count += 1;
            let (done, asked) = asked_by(|| session().eval(&name, body));
            for (of, keys) in asked {
                settings.entry(of).or_default().extend(keys);
            }
            if let Err(failure) = done
                && !matches!(failure.kind, Kind::Exit(_))
            {
                wrong.push(failure.rendered);
            }
        }
    }
    let (done, asked) = asked_by(|| session().eval("nested", NESTED));
    assert!(done.is_ok(), "{:?}", done.err());
    settings.extend(
        asked
            .into_iter()
            .filter(|(of, _)| ["cache", "lora"].contains(of)),
    );
    settings_are_listed(&settings);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 150, "{count} examples");
}

/// Settings that are maps themselves, which no example has.
const NESTED: &str = "
let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer(\"01=\") });
model.generate(\"1=\", #{ max_tokens: 1, cache: #{} });
rl::grpo(model, #{ lora: #{ rank: 2 } });
";

/// The list of settings, from which they are completed, is what the functions ask for.
fn settings_are_listed(asked: &Asked) {
    let path = root().join("src/script/docs/settings.txt");
    let line = |(of, keys): (&&str, &BTreeSet<&str>)| {
        let keys: Vec<&str> = keys.iter().copied().collect();
        format!("{of}: {}\n", keys.join(" "))
    };
    let text: String = asked.iter().map(line).collect();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written == text, "{} is not up to date", path.display());
}

/// `UPDATE_SNAPSHOTS=1 cargo nextest run reference` writes it anew.
#[test]
fn the_reference_is_what_the_program_says() {
    let folder = root().join("docs/reference");
    let pages = pages(&Index::new(session().engine()));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("types")).unwrap();
        for (name, text) in &pages {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
    let mut there = Vec::new();
    files(&folder, &["md"], &mut there);
    assert_eq!(there.len(), pages.len(), "docs/reference has other pages");
    for (name, text) in &pages {
        let written = std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(written == *text, "docs/reference/{name} is not up to date");
    }
}

#[test]
fn stdlib_and_scripts_compile() {
    let mut paths = Vec::new();
    for folder in ["stdlib", "scripts", "datasets"] {
        files(&root().join(folder), &["rhai"], &mut paths);
    }
    assert!(paths.len() >= 4);
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.display().to_string();
        if let Err(failure) = session().check(&name, &text) {
            panic!("{}", failure.rendered);
        }
    }
}

/// A step of each kind; what it reaches in its hundreds of steps stands in the script.
#[test]
fn the_script_of_ast_grep_runs() {
    let dir = tempfile::tempdir().unwrap();
    let run_dir = dir.path().join("run").display().to_string();
    let args = ["--warmup", "1", "--steps", "1", "--run", &run_dir].map(String::from);
    let path = root().join("scripts/ast_grep_grpo.rhai");
    if let Err(text) = run(&path, &args) {
        panic!("{text}");
    }
    assert!(dir.path().join("run/metrics.csv").is_file());
    let args = ["--steps"].map(String::from);
    let text = run(&path, &args).unwrap_err();
    assert!(text.contains("--steps needs a value"), "{text}");
}

/// The transcript in the README: lines after `> ` are typed, the others are what is shown.
#[test]
fn the_readme_s_session_is_what_happens() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let sessions = blocks(&readme, "text");
    let mut replayed = 0;
    for (line, body) in sessions.iter().filter(|(_, body)| body.starts_with("> ")) {
        let mut terminal = Terminal::new();
        let mut shown = String::new();
        for cell in body.lines().filter_map(|text| text.strip_prefix("> ")) {
            shown.push_str(&format!("> {cell}\n"));
            match terminal.shown(cell).as_str() {
                "" => {}
                text => shown.push_str(&format!("{text}\n")),
            }
            replayed += 1;
        }
        assert_eq!(*body, shown, "README.md:{line}");
    }
    assert!(replayed >= 5, "{replayed} lines");
}
