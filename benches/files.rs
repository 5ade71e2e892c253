//! The work of `cargo xtask bench files`: reading and loading a checkpoint, and tokenising, timed,
//! as a line of JSON.
//!
//!     cargo bench --bench files -- make FOLDER
//!     cargo bench --bench files -- read|load FOLDER [DTYPE]
//!     cargo bench --bench files -- tokenize FOLDER TEXT REPEATS

use mlx_repl::mlx::{Dtype, memory};
use mlx_repl::models::{Config, Qwen3, SHARD_BYTES};
use mlx_repl::tensor::dtype;
use mlx_repl::text::Tokenizer;
use mlx_repl::{checkpoint::ModelDir, mlx};
use serde_json::{Value, json};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["make", folder] => make(Path::new(folder))?,
        ["read", folder] => read(Path::new(folder))?,
        ["load", folder, name] => load(Path::new(folder), name)?,
        ["tokenize", folder, text, repeats] => tokenize(folder, text, repeats.parse()?)?,
        // `cargo test --benches` starts every benchmark without arguments.
        _ => return Ok(()),
    };
    println!("{result}");
    Ok(())
}

/// A checkpoint of the 0.6B's shape in half precision, 1.2 GB.
fn make(folder: &Path) -> Result<Value, Box<dyn Error>> {
    let model = Qwen3::random(Config::preset("0.6b")?, 1, Dtype::Bfloat16)?;
    model.save(&ModelDir::create(folder)?, SHARD_BYTES)?;
    Ok(json!({}))
}

/// What any program needs at least: the bytes of the file, in memory.
fn read(folder: &Path) -> Result<Value, Box<dyn Error>> {
    let start = Instant::now();
    let bytes = std::fs::read(folder.join("model.safetensors"))?;
    Ok(json!({ "seconds": start.elapsed().as_secs_f64(), "bytes": bytes.len() }))
}

fn load(folder: &Path, name: &str) -> Result<Value, Box<dyn Error>> {
    memory::reset_peak()?;
    let start = Instant::now();
    let model = Qwen3::load(folder, Some(dtype::parse(name)?))?;
    let seconds = start.elapsed().as_secs_f64();
    // What is left to compute would show here.
    let again = Instant::now();
    mlx::eval(&mlx_repl::nn::Params::arrays(&model))?;
    let seconds = seconds + again.elapsed().as_secs_f64();
    Ok(json!({ "seconds": seconds, "bytes": memory::memory()?.peak }))
}

fn tokenize(folder: &str, text: &str, repeats: usize) -> Result<Value, Box<dyn Error>> {
    let tokenizer = Tokenizer::load(Path::new(folder))?;
    let text = std::fs::read_to_string(text)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (mut whole, mut by_line, mut tokens) = (Vec::new(), Vec::new(), 0);
    for _ in 0..repeats {
        let start = Instant::now();
        tokens = tokenizer.encode(&text)?.len();
        whole.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        for line in &lines {
            tokenizer.encode(line)?;
        }
        by_line.push(start.elapsed().as_secs_f64());
    }
    Ok(json!({ "whole": whole, "by_line": by_line, "tokens": tokens }))
}
