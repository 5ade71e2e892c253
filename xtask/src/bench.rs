//! `cargo xtask bench models` and `generation`: speed against mlx-lm, as ratios of one run.
//!
//! Both sides do the same work on the same shapes with random weights, in turn, several times; the
//! ratio is that of the medians. The peer is mlx-lm as it is installed, and mlx-lm with another BLAS
//! loaded before it, because the slow one of MLX's Linux build says nothing about mlx-lm: for
//! `models` an OpenBLAS, where MLX_REPL_OPENBLAS names the library (and its folder is enough to load
//! what it needs); for `generation`, on Linux, the matrix products of mlx-repl itself (`xtask/blas`).

use crate::Outcome;
use crate::shell::{cargo, output, root, step};
use std::path::{Path, PathBuf};
use std::process::Command;

const PEER: &str = "mlx-lm==0.32.2";
const PEER_MLX: &str = "mlx[cpu]==0.32.2";
/// How often a work is done in one turn, and how often one that takes long.
const REPEATS: [&str; 2] = ["3", "2"];
/// How often the sides take turns.
const ROUNDS: usize = 2;

/// A model: its name, then layers, hidden, feed-forward, heads, key-value heads, vocabulary.
pub type Shape = (&'static str, [u32; 6]);

const SMALL: Shape = ("0.8 M", [4, 128, 384, 4, 2, 512]);
pub const MIDDLE: Shape = ("3.3 M", [4, 256, 768, 8, 4, 512]);
const LARGE: Shape = ("30 M", [8, 512, 1792, 8, 4, 4096]);
/// Many small operations: most of the time is the host's.
const DEEP: Shape = ("28 layers of width 64", [28, 64, 192, 2, 2, 512]);

/// What is measured: a name, our words, the peer's words.
struct Work {
    name: &'static str,
    ours: &'static str,
    peers: &'static str,
    /// It takes long: minutes with the reference BLAS in all but the smallest model.
    heavy: bool,
}

impl Work {
    fn repeats(&self) -> &'static str {
        REPEATS[usize::from(self.heavy)]
    }
}

const DECODE: Work = Work {
    name: "decode, batch 1",
    ours: "decode 1 16 64",
    peers: "--work decode --batch 1 --prompt 16 --tokens 64",
    heavy: false,
};

const MODELS: [Work; 3] = [
    DECODE,
    Work {
        name: "decode, batch 64",
        ours: "decode 64 16 64",
        peers: "--work decode --batch 64 --prompt 16 --tokens 64",
        heavy: false,
    },
    Work {
        name: "train step, 64 x 32",
        ours: "train 64 32",
        peers: "--work train --batch 64 --length 32",
        heavy: false,
    },
];

const GENERATION: [Work; 4] = [
    DECODE,
    Work {
        name: "prefill 512",
        ours: "prefill 512",
        peers: "--work prefill --length 512",
        heavy: true,
    },
    Work {
        name: "rollout 8 x 8",
        ours: "rollout 8 8 64 64",
        peers: "--work rollout --prompts 8 --samples 8 --prompt 64 --tokens 64",
        heavy: true,
    },
    Work {
        name: "48 ragged, 16 at once",
        ours: "ragged 48 16",
        peers: "--work ragged --prompts 48 --batch 16",
        heavy: true,
    },
];

/// Decoding and a training step, with a peer's Python or one that is installed below `native/`.
pub fn models(python: Option<&str>) -> Outcome {
    let blas = std::env::var_os("MLX_REPL_OPENBLAS").map(PathBuf::from);
    let sides = Sides::ready(python, "mlx-lm + OpenBLAS", blas)?;
    let [often, _] = REPEATS;
    println!(
        "\ntokens/s: the median of {ROUNDS} turns of {often}; ratios above 1: mlx-repl is faster\n"
    );
    sides.table(&[SMALL, MIDDLE], &MODELS, |speed| speed)
}

/// Generation, with both sides on the same matrix products.
pub fn generation(python: Option<&str>) -> Outcome {
    let sides = Sides::ready(python, "mlx-lm, same BLAS", same_blas()?)?;
    let [often, rarely] = REPEATS;
    println!(
        "\ntokens/s (of the prompt for prefill, sampled ones otherwise): the median of {ROUNDS} \
        turns of {often} for decode, {rarely} otherwise; ratios above 1: mlx-repl is faster\n"
    );
    sides.table(&[SMALL, MIDDLE, LARGE], &GENERATION, |speed| speed)?;
    println!("\nthe host's time: microseconds per token; ratios above 1: mlx-repl is faster\n");
    sides.table(&[DEEP], &[DECODE], |speed| 1e6 / speed)
}

/// The matrix products of mlx-repl as a library, where the loader can put one before Python.
fn same_blas() -> Outcome<Option<PathBuf>> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    let args = ["build", "--release", "--package", "gemm-blas"];
    step("building the BLAS for mlx-lm", || {
        built(&args, "gemm_blas").map(Some)
    })
}

/// Who is compared.
struct Sides {
    ours: PathBuf,
    python: PathBuf,
    /// How the table calls the peer with the library below.
    tuned: &'static str,
    blas: Option<PathBuf>,
}

impl Sides {
    fn ready(python: Option<&str>, tuned: &'static str, blas: Option<PathBuf>) -> Outcome<Self> {
        Ok(Self {
            python: peer_python(python)?,
            ours: step("building the benchmark", || our_program("peer"))?,
            tuned,
            blas,
        })
    }

    /// Measures every work in every model; `cell` makes of tokens per second what is printed.
    fn table(&self, shapes: &[Shape], works: &[Work], cell: fn(f64) -> f64) -> Outcome {
        println!(
            "| model | work | mlx-repl | mlx-lm | ratio | {} | ratio |",
            self.tuned
        );
        println!("|---|---|---|---|---|---|---|");
        for shape in shapes {
            for work in works {
                // The peer as it is installed is left out where that would take minutes, unless
                // nothing else is there to compare with.
                let plain = !work.heavy || *shape == SMALL || self.blas.is_none();
                let [us, plain, tuned] = self.speeds(&config(shape.1), work, plain)?;
                println!(
                    "| {} | {} | {:.0} | {} | {} |",
                    shape.0,
                    work.name,
                    cell(us),
                    against(us, plain, cell),
                    against(us, tuned, cell)
                );
            }
        }
        Ok(())
    }

    /// Median speeds: ours, mlx-lm's, mlx-lm's with the other BLAS. NaN is one not measured.
    fn speeds(&self, config: &str, work: &Work, plain: bool) -> Outcome<[f64; 3]> {
        let (mut us, mut own, mut tuned) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            us.push(measure_ours(&self.ours, config, work)?);
            if plain {
                own.push(measure_peer(&self.python, config, work, None)?);
            }
            if let Some(blas) = &self.blas {
                tuned.push(measure_peer(&self.python, config, work, Some(blas))?);
            }
        }
        same(us.iter().chain(&own).chain(&tuned), work)?;
        Ok([us, own, tuned].map(|turns| {
            let turns = turns.iter();
            median(turns.flat_map(Turn::speeds).collect())
        }))
    }
}

/// The peer's cell and ours against it.
fn against(us: f64, peer: f64, cell: fn(f64) -> f64) -> String {
    match peer.is_nan() {
        true => "not measured | ".into(),
        false => format!("{:.0} | {:.2}", cell(peer), us / peer),
    }
}

/// A comparison of speed means nothing unless all did the same.
fn same<'a>(turns: impl Iterator<Item = &'a Turn>, work: &Work) -> Outcome {
    let mut tokens: Vec<f64> = turns.map(|turn| turn.tokens).collect();
    tokens.dedup();
    match tokens.len() {
        1 => Ok(()),
        _ => Err(format!(
            "{}: {tokens:?} tokens in different turns",
            work.name
        )),
    }
}

/// The JSON of a configuration.
pub fn config(shape: [u32; 6]) -> String {
    let [layers, hidden, feed, heads, kv, vocab] = shape;
    serde_json::json!({
        "model_type": "qwen3", "num_hidden_layers": layers, "hidden_size": hidden,
        "intermediate_size": feed, "num_attention_heads": heads, "num_key_value_heads": kv,
        "head_dim": hidden / heads, "vocab_size": vocab, "tie_word_embeddings": true,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 4096,
    })
    .to_string()
}

/// Builds a benchmark and says where it is.
pub fn our_program(name: &str) -> Outcome<PathBuf> {
    built(&["bench", "--bench", name, "--no-run"], name)
}

/// Builds a target and asks Cargo where it is.
fn built(words: &[&str], name: &str) -> Outcome<PathBuf> {
    let text = output(cargo(words).args(["--message-format", "json"]))?;
    let found = text.lines().rev().find_map(|line| {
        let json: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_ours = json["target"]["name"] == name;
        // Only what can be started has an `executable`.
        let file = json["executable"]
            .as_str()
            .or(json["filenames"][0].as_str());
        is_ours.then(|| file.map(PathBuf::from))?
    });
    found.ok_or_else(|| format!("cargo did not say where `{name}` is"))
}

/// The peer's Python: the one that is named, or one installed apart from everything else.
pub fn peer_python(named: Option<&str>) -> Outcome<PathBuf> {
    installed_python(named, "mlx-lm-0.32.2", &[PEER, PEER_MLX])
}

/// The Python that is named, or one in a folder of `native/` with what pip makes of `words`.
pub fn installed_python(named: Option<&str>, folder: &str, words: &[&str]) -> Outcome<PathBuf> {
    if let Some(path) = named {
        return Ok(PathBuf::from(path));
    }
    let home = root().join("native").join(folder);
    // Written last: an environment cannot be made aside and renamed, it knows its own place.
    let whole = home.join("whole");
    if !whole.is_file() {
        step(&format!("installing {folder}"), || {
            let mut make = Command::new("python3");
            output(make.args(["-m", "venv", "--clear"]).arg(&home))?;
            let mut pip = Command::new(home.join("bin/pip"));
            output(pip.args(["install", "--quiet"]).args(words))?;
            std::fs::write(&whole, "").map_err(|e| e.to_string())
        })?;
    }
    Ok(home.join("bin/python"))
}

fn measure_ours(program: &Path, config: &str, work: &Work) -> Outcome<Turn> {
    let mut command = Command::new(program);
    command
        .arg(config)
        .args(work.ours.split(' '))
        .arg(work.repeats());
    Turn::read(&output(&mut command)?)
}

fn measure_peer(python: &Path, config: &str, work: &Work, blas: Option<&Path>) -> Outcome<Turn> {
    let mut command = Command::new(python);
    command.arg(root().join("xtask/bench/peer.py"));
    command.args(["--config", config, "--repeat", work.repeats()]);
    command.args(work.peers.split(' '));
    if let Some(library) = blas {
        let folder = library.parent().unwrap_or(Path::new("."));
        let above = folder.parent().unwrap_or(folder);
        command.env("LD_PRELOAD", library);
        command.env(
            "LD_LIBRARY_PATH",
            format!("{}:{}", folder.display(), above.display()),
        );
    }
    Turn::read(&output(&mut command)?)
}

/// What one side did in one turn.
struct Turn {
    /// Of one repeat.
    tokens: f64,
    /// Of each repeat.
    seconds: Vec<f64>,
}

impl Turn {
    /// From a line of JSON.
    fn read(text: &str) -> Outcome<Self> {
        let line = text.lines().last().unwrap_or_default();
        let json: serde_json::Value =
            serde_json::from_str(line).map_err(|e| format!("`{line}`: {e}"))?;
        let seconds = json["seconds"].as_array().ok_or("no `seconds`")?;
        Ok(Self {
            tokens: json["tokens"].as_f64().ok_or("no `tokens`")?,
            seconds: seconds
                .iter()
                .filter_map(serde_json::Value::as_f64)
                .collect(),
        })
    }

    /// Tokens per second of each repeat.
    fn speeds(&self) -> impl Iterator<Item = f64> {
        self.seconds.iter().map(|seconds| self.tokens / seconds)
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
