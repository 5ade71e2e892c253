//! The work of `cargo xtask bench`: generation and one training step, timed, as a line of JSON.
//!
//!     cargo bench --bench peer -- CONFIG decode BATCH PROMPT TOKENS REPEATS
//!     cargo bench --bench peer -- CONFIG prefill LENGTH REPEATS
//!     cargo bench --bench peer -- CONFIG rollout PROMPTS SAMPLES PROMPT TOKENS REPEATS
//!     cargo bench --bench peer -- CONFIG ragged PROMPTS ROWS REPEATS
//!     cargo bench --bench peer -- CONFIG train BATCH LENGTH REPEATS
//!
//! CONFIG is the JSON of a Qwen3 configuration; weights are random, float32 or of its `dtype`. `xtask/bench/peer.py` does the
//! same work with mlx-lm.

use mlx_repl::generate::{EngineSettings, GenerateSettings, Request, Silent, complete, generate};
use mlx_repl::mlx::{self, Array, Dtype};
use mlx_repl::models::{Config, Qwen3};
use mlx_repl::nn::Params;
use mlx_repl::sampling::RowSettings;
use mlx_repl::train::{Batch, OptimSettings, Stepper, completion_logprobs, loss_and_grads};
use serde_json::json;
use std::error::Error;
use std::time::Instant;

const USAGE: &str = "decode BATCH PROMPT TOKENS REPEATS, prefill LENGTH REPEATS, \
    rollout PROMPTS SAMPLES PROMPT TOKENS REPEATS, ragged PROMPTS ROWS REPEATS, or train BATCH LENGTH REPEATS";

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (config, work, numbers) = match words.as_slice() {
        [config, work, numbers @ ..] => (*config, *work, numbers),
        // `cargo test --benches` starts every benchmark without arguments.
        _ => return Ok(()),
    };
    let numbers: Vec<usize> = numbers
        .iter()
        .map(|n| n.parse())
        .collect::<Result<_, _>>()?;
    let keys: serde_json::Value = serde_json::from_str(config)?;
    let dtype = match keys["dtype"].as_str() {
        Some("bfloat16") => Dtype::Bfloat16,
        _ => Dtype::Float32,
    };
    let model = Qwen3::random(Config::from_json(keys)?, 0, dtype)?;
    let (seconds, tokens) = match (work, numbers.as_slice()) {
        ("decode", &[batch, prompt, tokens, repeats]) => {
            sample(&model, [batch, 1, prompt, tokens], repeats)?
        }
        // The tokens that count are those of the prompt.
        ("prefill", &[length, repeats]) => (sample(&model, [1, 1, length, 1], repeats)?.0, length),
        ("rollout", &[prompts, samples, prompt, tokens, repeats]) => {
            sample(&model, [prompts, samples, prompt, tokens], repeats)?
        }
        ("ragged", &[prompts, rows, repeats]) => ragged(&model, prompts, rows, repeats)?,
        ("train", &[batch, length, repeats]) => {
            (train(model, batch, length, repeats)?, batch * length)
        }
        _ => return Err(USAGE.into()),
    };
    println!(
        "{}",
        json!({ "work": work, "seconds": seconds, "tokens": tokens })
    );
    Ok(())
}

/// Different prompts, so that none is forwarded for two rows: the first id is the row's number.
fn ids(rows: usize, length: usize, vocab: usize) -> Vec<Vec<i32>> {
    let id = |row: usize, i: usize| match i {
        0 => (row % vocab) as i32,
        _ => (((row * length + i) * 7919 + 13) % vocab) as i32,
    };
    let prompt = |row| (0..length).map(|i| id(row, i)).collect();
    (0..rows).map(prompt).collect()
}

/// Sampling at temperature 1 without stop tokens; the time includes the prefill. Gives the seconds
/// of each repeat and how many tokens one sampled.
fn sample(
    model: &Qwen3,
    [prompts, samples, prompt, tokens]: [usize; 4],
    repeats: usize,
) -> mlx_repl::Result<(Vec<f64>, usize)> {
    let prompts = ids(prompts, prompt, model.config.vocab_size as usize);
    let settings = GenerateSettings {
        max_tokens: tokens,
        num_samples: samples,
        ..GenerateSettings::default()
    };
    let mut sampled = 0;
    let seconds = timed(repeats, || {
        let rows = generate(model, &prompts, &settings, &mut Silent)?;
        sampled = rows.iter().map(|row| row.token_ids.len()).sum();
        Ok(())
    })?;
    Ok((seconds, sampled))
}

/// Prompts and completions of many lengths, more of them than are decoded at once; the lengths are
/// those of `peer.py`.
fn ragged(
    model: &Qwen3,
    prompts: usize,
    rows: usize,
    repeats: usize,
) -> mlx_repl::Result<(Vec<f64>, usize)> {
    let vocab = model.config.vocab_size as usize;
    let requests: Vec<Request> = (0..prompts)
        .map(|i| Request {
            prompt: ids(prompts, 8 + (37 * i + 11) % 57, vocab).swap_remove(i),
            max_tokens: 8 + (53 * i + 29) % 89,
            sampling: RowSettings::default(),
            stop_token_ids: Vec::new(),
            seed: i as u64,
        })
        .collect();
    let settings = EngineSettings {
        max_batch_size: rows,
        ..EngineSettings::default()
    };
    let sampled = requests.iter().map(|request| request.max_tokens).sum();
    let seconds = timed(repeats, || {
        complete(model, &requests, &settings, &mut Silent).map(drop)
    })?;
    Ok((seconds, sampled))
}

/// Forward, cross-entropy of every position, backward, AdamW, as `peer.py` does it.
fn train(
    mut model: Qwen3,
    batch: usize,
    length: usize,
    repeats: usize,
) -> mlx_repl::Result<Vec<f64>> {
    let rows = ids(batch, length + 1, model.config.vocab_size as usize);
    let pairs: Vec<(&[i32], &[i32])> = rows.iter().map(|row| row.split_at(1)).collect();
    let batch = Batch::new(&pairs);
    let mut settings = OptimSettings::at(1e-4);
    settings.max_grad_norm = 0.0;
    let mut stepper = Stepper::new(settings)?;
    let mut step = 0;
    timed(repeats, || {
        let (values, grads) = loss_and_grads(&model, |network| {
            let logprobs = completion_logprobs(network, &batch, 1.0)?;
            Ok(vec![logprobs.mean(false)?.multiply(Array::from_f32(-1.0))?])
        })?;
        stepper.accumulate(grads)?;
        stepper.apply(&mut model, true, step, u64::MAX)?;
        step += 1;
        let mut all = values;
        all.extend(model.arrays());
        mlx::eval(&all)
    })
}

/// Seconds of each repeat, after two that are not counted.
fn timed(
    repeats: usize,
    mut work: impl FnMut() -> mlx_repl::Result<()>,
) -> mlx_repl::Result<Vec<f64>> {
    work()?;
    work()?;
    (0..repeats)
        .map(|_| {
            let start = Instant::now();
            work()?;
            Ok(start.elapsed().as_secs_f64())
        })
        .collect()
}
