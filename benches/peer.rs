//! The work of `cargo xtask bench`: decoding and one training step, timed, as a line of JSON.
//!
//!     cargo bench --bench peer -- CONFIG decode BATCH PROMPT TOKENS REPEATS
//!     cargo bench --bench peer -- CONFIG train BATCH LENGTH REPEATS
//!
//! CONFIG is the JSON of a Qwen3 configuration; weights are random. `xtask/bench/peer.py` does the
//! same work with mlx-lm.

use mlx_repl::generate::{GenerateSettings, Silent, generate};
use mlx_repl::mlx::{self, Array, Dtype};
use mlx_repl::models::{Config, Qwen3};
use mlx_repl::nn::Params;
use mlx_repl::train::{Batch, OptimSettings, Stepper, completion_logprobs, loss_and_grads};
use serde_json::json;
use std::error::Error;
use std::time::Instant;

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
    let config = Config::from_json(serde_json::from_str(config)?)?;
    let model = Qwen3::random(config, 0, Dtype::Float32)?;
    let (seconds, tokens) = match (work, numbers.as_slice()) {
        ("decode", [batch, prompt, tokens, repeats]) => (
            decode(&model, *batch, *prompt, *tokens, *repeats)?,
            batch * tokens,
        ),
        ("train", [batch, length, repeats]) => {
            (train(model, *batch, *length, *repeats)?, batch * length)
        }
        _ => {
            return Err("decode BATCH PROMPT TOKENS REPEATS, or train BATCH LENGTH REPEATS".into());
        }
    };
    println!(
        "{}",
        json!({ "work": work, "seconds": seconds, "tokens": tokens })
    );
    Ok(())
}

/// Different prompts, so that none is forwarded for two rows.
fn ids(rows: usize, length: usize, vocab: usize) -> Vec<Vec<i32>> {
    let id = |i: usize| ((i * 7919 + 13) % vocab) as i32;
    (0..rows)
        .map(|row| (0..length).map(|i| id(row * length + i)).collect())
        .collect()
}

fn decode(
    model: &Qwen3,
    batch: usize,
    prompt: usize,
    tokens: usize,
    repeats: usize,
) -> mlx_repl::Result<Vec<f64>> {
    let prompts = ids(batch, prompt, model.config.vocab_size as usize);
    let settings = GenerateSettings {
        max_tokens: tokens,
        ..GenerateSettings::default()
    };
    timed(repeats, || {
        generate(model, &prompts, &settings, &mut Silent).map(drop)
    })
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
        stepper.apply(&mut model, step, u64::MAX)?;
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
