//! `cargo xtask bench`: speed against mlx-lm, as ratios of one run.
//!
//! Both sides do the same work on the same shapes with random weights, in turn, several times; the
//! ratio is that of the medians. The peer is mlx-lm as it is installed, and mlx-lm with an OpenBLAS
//! loaded before it where MLX_REPL_OPENBLAS names the library (and its folder is enough to load
//! what it needs).

use crate::Outcome;
use crate::shell::{cargo, output, root, step};
use std::path::{Path, PathBuf};
use std::process::Command;

const PEER: &str = "mlx-lm==0.32.2";
const PEER_MLX: &str = "mlx[cpu]==0.32.2";
const REPEATS: &str = "3";
/// How often the sides take turns.
const ROUNDS: usize = 2;

/// Sizes: layers, hidden, feed-forward, heads, key-value heads, vocabulary.
const SHAPES: [(&str, [u32; 6]); 2] = [
    ("0.8 M", [4, 128, 384, 4, 2, 512]),
    ("3.3 M", [4, 256, 768, 8, 4, 512]),
];

/// What is measured: a name, our words, the peer's words.
struct Work {
    name: &'static str,
    ours: &'static [&'static str],
    peers: &'static [&'static str],
}

const WORKS: [Work; 3] = [
    Work {
        name: "decode, batch 1",
        ours: &["decode", "1", "16", "64"],
        peers: &[
            "--work", "decode", "--batch", "1", "--prompt", "16", "--tokens", "64",
        ],
    },
    Work {
        name: "decode, batch 64",
        ours: &["decode", "64", "16", "64"],
        peers: &[
            "--work", "decode", "--batch", "64", "--prompt", "16", "--tokens", "64",
        ],
    },
    Work {
        name: "train step, 64 x 32",
        ours: &["train", "64", "32"],
        peers: &["--work", "train", "--batch", "64", "--length", "32"],
    },
];

/// Measures everything with a peer's Python, or one that is installed below `native/`.
pub fn run(python: Option<&str>) -> Outcome {
    let python = peer_python(python)?;
    let ours = step("building the benchmark", || our_program("peer"))?;
    let blas = std::env::var_os("MLX_REPL_OPENBLAS").map(PathBuf::from);
    println!(
        "\ntokens/s: the median of {ROUNDS} turns of {REPEATS}; ratios above 1: mlx-repl is faster\n"
    );
    println!("| model | work | mlx-repl | mlx-lm | ratio | mlx-lm + OpenBLAS | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for (model, shape) in SHAPES {
        for work in &WORKS {
            let config = config(shape);
            let (mut us, mut plain, mut tuned) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                us.extend(measure_ours(&ours, &config, work)?);
                plain.extend(measure_peer(&python, &config, work, None)?);
                if let Some(blas) = &blas {
                    tuned.extend(measure_peer(&python, &config, work, Some(blas))?);
                }
            }
            let (us, plain) = (median(us), median(plain));
            let tuned = match blas {
                Some(_) => {
                    let tuned = median(tuned);
                    format!("{tuned:.0} | {:.2}", us / tuned)
                }
                None => "not measured | ".into(),
            };
            println!(
                "| {model} | {} | {us:.0} | {plain:.0} | {:.2} | {tuned} |",
                work.name,
                us / plain
            );
        }
    }
    Ok(())
}

fn config(shape: [u32; 6]) -> String {
    let [layers, hidden, feed, heads, kv, vocab] = shape;
    serde_json::json!({
        "model_type": "qwen3", "num_hidden_layers": layers, "hidden_size": hidden,
        "intermediate_size": feed, "num_attention_heads": heads, "num_key_value_heads": kv,
        "head_dim": hidden / heads, "vocab_size": vocab, "tie_word_embeddings": true,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 4096,
    })
    .to_string()
}

/// Builds the benchmark and asks Cargo where it is.
pub fn our_program(name: &str) -> Outcome<PathBuf> {
    let args = [
        "bench",
        "--bench",
        name,
        "--no-run",
        "--message-format",
        "json",
    ];
    let text = output(&mut cargo(&args))?;
    let found = text.lines().rev().find_map(|line| {
        let json: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_ours = json["target"]["name"] == name;
        is_ours.then(|| json["executable"].as_str().map(PathBuf::from))?
    });
    found.ok_or_else(|| "cargo did not say where the benchmark is".into())
}

/// The peer's Python: the one that is named, or one installed apart from everything else.
pub fn peer_python(named: Option<&str>) -> Outcome<PathBuf> {
    if let Some(path) = named {
        return Ok(PathBuf::from(path));
    }
    let home = root().join("native/mlx-lm-0.32.2");
    // Written last: an environment cannot be made aside and renamed, it knows its own place.
    let whole = home.join("whole");
    if !whole.is_file() {
        step("installing mlx-lm", || {
            let mut make = Command::new("python3");
            output(make.args(["-m", "venv", "--clear"]).arg(&home))?;
            let mut pip = Command::new(home.join("bin/pip"));
            output(pip.args(["install", "--quiet", PEER, PEER_MLX]))?;
            std::fs::write(&whole, "").map_err(|e| e.to_string())
        })?;
    }
    Ok(home.join("bin/python"))
}

fn measure_ours(program: &Path, config: &str, work: &Work) -> Outcome<Vec<f64>> {
    let mut command = Command::new(program);
    command.arg(config).args(work.ours).arg(REPEATS);
    speeds(&output(&mut command)?)
}

fn measure_peer(
    python: &Path,
    config: &str,
    work: &Work,
    blas: Option<&Path>,
) -> Outcome<Vec<f64>> {
    let mut command = Command::new(python);
    command.arg(root().join("xtask/bench/peer.py"));
    command.args(["--config", config, "--repeat", REPEATS]);
    command.args(work.peers);
    if let Some(library) = blas {
        let folder = library.parent().unwrap_or(Path::new("."));
        let above = folder.parent().unwrap_or(folder);
        command.env("LD_PRELOAD", library);
        command.env(
            "LD_LIBRARY_PATH",
            format!("{}:{}", folder.display(), above.display()),
        );
    }
    speeds(&output(&mut command)?)
}

/// Tokens per second of each repeat, from a line of JSON.
fn speeds(text: &str) -> Outcome<Vec<f64>> {
    let line = text.lines().last().unwrap_or_default();
    let json: serde_json::Value =
        serde_json::from_str(line).map_err(|e| format!("`{line}`: {e}"))?;
    let tokens = json["tokens"].as_f64().ok_or("no `tokens`")?;
    let seconds = json["seconds"].as_array().ok_or("no `seconds`")?;
    Ok(seconds
        .iter()
        .filter_map(serde_json::Value::as_f64)
        .map(|seconds| tokens / seconds)
        .collect())
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
