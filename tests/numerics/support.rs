//! Small models and readers of fixtures.

use mlx_repl::mlx::{Array, Dtype, random};
use mlx_repl::models::{Config, Qwen3};
use mlx_repl::nn::Params;
use mlx_repl::tensor::{item, to_f32};
use mlx_repl::text::{LanguageModel, SharedModel, Tokenizer};
use mlx_repl::train::{Batch, completion_logprobs, loss_and_grads};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Says that a test looks at nothing. Not by `eprintln`, which is shown of tests that fail only.
pub fn skipped(reason: &str) {
    let said = format!("SKIPPED: {reason}\n");
    std::io::stderr().write_all(said.as_bytes()).unwrap();
}

pub fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

pub fn fixture(name: &str) -> Value {
    let path = vectors().join(name);
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

/// Nested lists of numbers as an f32 array.
pub fn array(value: &Value) -> Array {
    let (mut flat, mut shape) = (Vec::new(), Vec::new());
    let mut at = value;
    while let Value::Array(list) = at {
        shape.push(list.len() as i32);
        at = &list[0];
    }
    fn collect(value: &Value, flat: &mut Vec<f32>) {
        match value {
            Value::Array(list) => list.iter().for_each(|item| collect(item, flat)),
            number => flat.push(number.as_f64().unwrap() as f32),
        }
    }
    collect(value, &mut flat);
    Array::from_slice(&flat, &shape)
}

pub fn ids(value: &Value) -> Array {
    array(value).as_dtype(Dtype::Int32).unwrap()
}

/// The largest difference of two arrays of one shape.
#[track_caller]
pub fn distance(a: &Array, b: &Array) -> f32 {
    assert_eq!(a.shape(), b.shape());
    let pairs = to_f32(a).unwrap().into_iter().zip(to_f32(b).unwrap());
    pairs.map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

#[track_caller]
pub fn assert_close(a: &Array, b: &Array, tolerance: f32) {
    let off = distance(a, b);
    assert!(
        off <= tolerance,
        "they differ by {off}, allowed {tolerance}"
    );
}

/// A tiny model with a head of its own or a tied one, grouped heads and an odd head size.
pub fn tiny(tied: bool, seed: u64) -> Qwen3 {
    let config = Config::from_json(json!({
        "vocab_size": 13, "hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 24,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6,
        "tie_word_embeddings": tied, "initializer_range": 0.3,
    }));
    Qwen3::random(config.unwrap(), seed, Dtype::Float32).unwrap()
}

/// A tiny model over the digits.
pub fn tiny_language_model(seed: u64) -> LanguageModel {
    LanguageModel {
        network: tiny(true, seed),
        tokenizer: Some(Tokenizer::characters("0123456789=").unwrap()),
        eos_token_ids: vec![1],
        generation: serde_json::Map::new(),
    }
}

pub fn shared(model: LanguageModel) -> SharedModel {
    Rc::new(RefCell::new(model))
}

/// The gradient of every trained array but those that are passed over, against central differences
/// along a random direction; how far they may be apart is relative.
pub fn check_gradients(
    kind: &str,
    model: &Qwen3,
    temperature: f32,
    tolerance: f32,
    passed_over: impl Fn(&str) -> bool,
) {
    let pairs: [(&[i32], &[i32]); 2] = [(&[3, 7], &[1, 12, 4]), (&[5], &[9, 2])];
    let batch = Batch::new(&pairs);
    let loss = |model: &Qwen3| -> mlx_repl::Result<Array> {
        Ok(completion_logprobs(model, &batch, temperature)?.sum(false)?)
    };
    let (_, grads) = loss_and_grads(model, |m| Ok(vec![loss(m)?])).unwrap();
    let trained = model.trained();
    assert_eq!(grads.len(), trained.len());
    for (i, (name, weight)) in trained.iter().enumerate() {
        if passed_over(name) {
            continue;
        }
        let key = random::key(i as u64).unwrap();
        let direction = mlx_rs::random::normal::<f32>(weight.shape(), None, 1.0, &key).unwrap();
        let at = |step: f32| {
            let moved = direction.multiply(Array::from_f32(step)).unwrap();
            let mut arrays = model.trained_arrays();
            arrays[i] = weight.add(moved).unwrap();
            item(&loss(&model.with_trained(&arrays)).unwrap()).unwrap()
        };
        let h = 1e-3;
        let numeric = (at(h) - at(-h)) / (2.0 * h);
        let product = grads[i].multiply(&direction).unwrap();
        let analytic = item(&product.sum(false).unwrap()).unwrap();
        let off = (numeric - analytic).abs() / (1.0 + numeric.abs());
        assert!(
            off < tolerance,
            "{kind}, {name}: {analytic}, by differences {numeric}"
        );
    }
}
