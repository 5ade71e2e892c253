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
use std::path::PathBuf;
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
type Sizes = [usize; 4];

const SIZES: Sizes = [4, 8, 128, 64];
/// What `--quick` takes: enough to see that all sides run, and nothing to compare by.
const SMALL: Sizes = [2, 4, 16, 8];
/// How many times the size of all logits a step of the plain way needs at most, as measured with
/// V = 32,000 (6.4) and 151,936 (5.6).
const PLAIN_COPIES: usize = 7;
/// What a step of TRL needs at most: 5.5 GB with V = 32,000, 5.9 GB with V = 151,936.
const TRL_BYTES: usize = 6_500_000_000;

/// A model, and how many steps of it are timed in one turn.
const MODELS: [(Shape, usize); 3] = [
    (MIDDLE, 3),
    (("2 layers, V = 32,000", [2, 128, 384, 4, 2, 32_000]), 3),
    (("2 layers, V = 151,936", [2, 128, 384, 4, 2, 151_936]), 2),
];

/// Measures with a peer's Python, or one that is installed below `native/`; `quick` is one turn of
/// one small step.
pub fn run(python: Option<&str>, quick: bool) -> Outcome {
    let programs = Programs {
        python: installed_python(python, FOLDER, &PIP)?,
        ours: step("building the benchmark", || our_program("step"))?,
    };
    let (sizes, rounds) = match quick {
        true => (SMALL, 1),
        false => (SIZES, ROUNDS),
    };
    let [prompts, samples, prompt, completion] = sizes;
    println!(
        "\na GRPO step of {prompts} prompts of {prompt} tokens with {samples} completions of \
        {completion} each, float32, CPU\n\n\
        time: seconds of the clock (of all processors together), the median of {rounds} turns\n\
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
        let repeats = if quick { 1 } else { repeats };
        let sides = programs.measured(shape, sizes, repeats, rounds)?;
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

/// Who is compared.
struct Programs {
    ours: PathBuf,
    python: PathBuf,
}

impl Programs {
    /// Ours, the plain way, TRL; one that was not measured is empty.
    fn measured(
        &self,
        (name, keys): Shape,
        sizes: Sizes,
        repeats: usize,
        rounds: usize,
    ) -> Outcome<[Side; 3]> {
        let [prompts, samples, _, completion] = sizes;
        let logits = prompts * samples * completion * keys[5] as usize * size_of::<f32>();
        let fits = |side: &str, needed: usize| {
            // A quarter stays free, for others at work and for what the estimate is wrong by.
            let fits = available_memory().is_none_or(|bytes| needed < bytes / 4 * 3);
            if !fits {
                let needed = needed as f64 / 1e9;
                eprintln!("{name}: {side} is left out: it could need {needed:.1} GB");
            }
            fits
        };
        let with_plain = fits("plain", PLAIN_COPIES * logits);
        let with_trl = fits("TRL", TRL_BYTES);
        let config = config(keys);
        let mut sides = [Side::default(), Side::default(), Side::default()];
        for _ in 0..rounds {
            let [us, plain, trl] = &mut sides;
            let our = |mode| output(&mut self.step_of(&config, mode, sizes, repeats));
            us.take(&our("lean")?)?;
            if with_plain {
                plain.take(&our("plain")?)?;
            }
            if with_trl {
                trl.take(&output(&mut self.trl_step(&config, sizes, repeats))?)?;
            }
        }
        same(name, &sides)?;
        Ok(sides)
    }

    fn step_of(&self, config: &str, mode: &str, sizes: Sizes, repeats: usize) -> Command {
        let mut command = Command::new(&self.ours);
        command.args([config, mode]);
        command.args(sizes.iter().chain([&repeats]).map(ToString::to_string));
        command
    }

    fn trl_step(&self, config: &str, sizes: Sizes, repeats: usize) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(root().join("xtask/bench/trl_step.py"));
        command.args(["--config", config]);
        let names = ["--prompts", "--samples", "--prompt", "--completion"];
        for (name, size) in names.iter().zip(sizes) {
            command.arg(name).arg(size.to_string());
        }
        command.arg("--repeat").arg(repeats.to_string());
        command
    }
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
