//! `cargo xtask bench training`: a whole GRPO step against TRL and against our own plain way, as
//! ratios of time and of peak memory of one run.
//!
//! All do the same: sample, reward, loss, gradient, AdamW, with random weights in float32 on the
//! CPU, in turn. The plain way is `benches/step.rs` without what saves memory in `src/train`: a
//! single gradient trace of everything. Each turn is a process of its own, since a peak of memory
//! is one of a process.

use crate::Outcome;
use crate::bench::{MIDDLE, Shape, config, installed_python, median, our_program};
use crate::shell::{output, root, step};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const FOLDER: &str = "trl-1.16.0";
/// PyTorch's own index has wheels without CUDA, which pip takes for the newer ones; where it cannot
/// be reached, those of PyPI do the same.
const PIP: [&str; 5] = [
    "trl==1.16.0",
    "transformers==5.23.0",
    "torch==2.15.0",
    "--extra-index-url",
    "https://download.pytorch.org/whl/cpu",
];
/// How often the sides take turns.
const ROUNDS: usize = 2;
/// Prompts, completions of each, tokens of a prompt, tokens of a completion.
const SIZES: [usize; 4] = [4, 8, 128, 64];
/// How many arrays as large as all logits a plain gradient has at once: measured, 5 to 6.
const COPIES: usize = 6;

/// A model, and how many steps of it are timed in one turn.
const MODELS: [(Shape, usize); 3] = [
    (MIDDLE, 3),
    (("2 layers, V = 32,000", [2, 128, 384, 4, 2, 32_000]), 3),
    (("2 layers, V = 151,936", [2, 128, 384, 4, 2, 151_936]), 2),
];

/// Measures with a peer's Python, or one that is installed below `native/`.
pub fn run(python: Option<&str>) -> Outcome {
    let python = installed_python(python, FOLDER, &PIP)?;
    let ours = step("building the benchmark", || our_program("step"))?;
    let [prompts, samples, prompt, completion] = SIZES;
    println!(
        "\na GRPO step of {prompts} prompts of {prompt} tokens with {samples} completions of \
        {completion} each, float32, CPU\n\n\
        time: seconds of the clock (of all processors together), the median of {ROUNDS} turns\n\
        memory: MB that the steps took beyond what was resident before them (the most that was \
        resident at all, program and model included), the larger of the turns\n\
        ratios above 1: mlx-repl is faster or takes less\n"
    );
    println!(
        "| model | mlx-repl s | plain s | TRL s | plain / ours | TRL / ours \
        | mlx-repl MB | plain MB | TRL MB | plain / ours | TRL / ours |"
    );
    println!("|{}", "---|".repeat(11));
    for (shape, repeats) in MODELS {
        let sides = measured(&ours, &python, shape, repeats)?;
        println!("{}", row(shape.0, &sides));
    }
    Ok(())
}

/// A line of the table.
fn row(name: &str, [us, plain, trl]: &[Side; 3]) -> String {
    let others = [plain, trl];
    let cells: Vec<String> = std::iter::once(name.to_string())
        .chain([us, plain, trl].map(Side::time))
        .chain(others.map(|other| ratio(other.seconds(), us.seconds())))
        .chain([us, plain, trl].map(Side::memory))
        .chain(others.map(|other| {
            let of_step = ratio(other.step_mb, us.step_mb);
            format!("{of_step} ({})", ratio(other.peak_mb, us.peak_mb))
        }))
        .collect();
    format!("| {} |", cells.join(" | "))
}

fn ratio(other: f64, us: f64) -> String {
    match other.is_nan() || other == 0.0 {
        true => "-".into(),
        false => format!("{:.2}", other / us),
    }
}

/// Ours, the plain way, TRL; one that was not measured is empty.
fn measured(ours: &Path, python: &Path, shape: Shape, repeats: usize) -> Outcome<[Side; 3]> {
    let (name, keys) = shape;
    let [prompts, samples, _, completion] = SIZES;
    let logits = prompts * samples * completion * keys[5] as usize * size_of::<f32>();
    let needed = COPIES * logits;
    // TRL 1.16 has its head in tiles, as we have: what could take too much is the plain way.
    let fits = available_memory().is_none_or(|bytes| needed < bytes);
    if !fits {
        let needed = needed as f64 / 1e9;
        println!("{name}: the plain way is left out: it needs about {needed:.1} GB");
    }
    let config = config(keys);
    let mut sides = [Side::default(), Side::default(), Side::default()];
    for _ in 0..ROUNDS {
        let [us, plain, trl] = &mut sides;
        us.take(&output(&mut step_of(ours, &config, "lean", repeats))?)?;
        if fits {
            plain.take(&output(&mut step_of(ours, &config, "plain", repeats))?)?;
        }
        trl.take(&output(&mut trl_step(python, &config, repeats))?)?;
    }
    same(name, &sides)?;
    Ok(sides)
}

/// Memory that programs can have without swapping, where the system says so.
fn available_memory() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: usize = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn step_of(program: &Path, config: &str, mode: &str, repeats: usize) -> Command {
    let mut command = Command::new(program);
    command.args([config, mode]);
    command.args(SIZES.iter().chain([&repeats]).map(ToString::to_string));
    command
}

fn trl_step(python: &Path, config: &str, repeats: usize) -> Command {
    let script: PathBuf = root().join("xtask/bench/trl_step.py");
    let mut command = Command::new(python);
    command.arg(script).args(["--config", config]);
    let names = ["--prompts", "--samples", "--prompt", "--completion"];
    for (name, size) in names.iter().zip(SIZES) {
        command.arg(name).arg(size.to_string());
    }
    command.arg("--repeat").arg(repeats.to_string());
    command
}

/// What one side did in all of its turns.
#[derive(Default)]
struct Side {
    seconds: Vec<f64>,
    /// Of all processors together, the mean of a turn's steps.
    cpu_seconds: Vec<f64>,
    tokens: Vec<f64>,
    step_mb: f64,
    peak_mb: f64,
}

impl Side {
    /// Takes in a turn, from a line of JSON.
    fn take(&mut self, text: &str) -> Outcome {
        let line = text.lines().last().unwrap_or_default();
        let json: Value = serde_json::from_str(line).map_err(|e| format!("`{line}`: {e}"))?;
        let number = |key: &str| json[key].as_f64().ok_or(format!("no `{key}` in `{line}`"));
        let seconds = json["seconds"].as_array().ok_or("no `seconds`")?;
        self.seconds
            .extend(seconds.iter().filter_map(Value::as_f64));
        self.cpu_seconds.push(number("cpu_seconds")?);
        self.tokens.push(number("tokens")?);
        let peak = number("peak_rss_mb")?;
        self.step_mb = self.step_mb.max(peak - number("start_rss_mb")?);
        self.peak_mb = self.peak_mb.max(peak);
        Ok(())
    }

    fn seconds(&self) -> f64 {
        median(self.seconds.clone())
    }

    fn time(&self) -> String {
        let cpu = median(self.cpu_seconds.clone());
        match self.seconds.is_empty() {
            true => "not measured".into(),
            false => format!("{:.2} ({cpu:.2})", self.seconds()),
        }
    }

    fn memory(&self) -> String {
        match self.seconds.is_empty() {
            true => "not measured".into(),
            false => format!("{:.0} ({:.0})", self.step_mb, self.peak_mb),
        }
    }
}

/// A comparison means nothing unless all sampled as many tokens.
fn same(name: &str, sides: &[Side]) -> Outcome {
    let mut tokens: Vec<f64> = sides.iter().flat_map(|s| &s.tokens).copied().collect();
    tokens.dedup();
    match tokens.len() {
        1 => Ok(()),
        _ => Err(format!("{name}: {tokens:?} tokens in different turns")),
    }
}
