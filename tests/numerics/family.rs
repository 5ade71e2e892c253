//! Every architecture, layout and packing of weights against transformers and mlx-lm;
//! `tests/vectors/README.md` says how the values were made.

use crate::support::{array, distance, fixture, ids, vectors};
use mlx_repl::generate::{GenerateSettings, Silent, generate, prefill};
use mlx_repl::mlx::{Array, Dtype, slice};
use mlx_repl::models::{Config, Qwen3};
use mlx_repl::nn::Params;
use mlx_repl::sampling::SamplerSettings;
use mlx_repl::tensor::{item, to_i32};
use mlx_repl::text::LanguageModel;
use mlx_repl::train::{Batch, completion_logits, completion_logprobs, loss_and_grads, router_loss};
use mlx_repl::{cache, tensor};
use serde_json::Value;
use std::path::Path;

struct Case {
    name: String,
    model: Qwen3,
    values: Value,
}

/// The checkpoint of an entry, with the changes to its configuration that the entry asks for.
fn load(name: &str, values: &Value) -> LanguageModel {
    if let Some(file) = values["file"].as_str() {
        return LanguageModel::load(&vectors().join(file), None).unwrap();
    }
    let folder = vectors().join(values["folder"].as_str().unwrap_or(name));
    let Some(change) = values["change"].as_object() else {
        return LanguageModel::load(&folder, None).unwrap();
    };
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = dir.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (key, value) in change {
        config[key] = value.clone();
    }
    std::fs::write(&path, config.to_string()).unwrap();
    LanguageModel::load(dir.path(), None).unwrap()
}

/// The entries of both files that have a key.
fn cases(key: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for file in ["qwen3.json", "family.json"] {
        for (name, values) in fixture(file)["models"].as_object().unwrap() {
            // A file that is refused has a test of its own.
            if values[key].is_null() || name == "gguf_llama3" {
                continue;
            }
            cases.push(Case {
                name: name.clone(),
                model: load(name, values).network,
                values: values.clone(),
            });
        }
    }
    cases
}

#[test]
fn logits_are_those_of_transformers_and_mlx_lm() {
    for (oracle, least) in [("logits_transformers", 16), ("logits_mlx_lm", 14)] {
        let cases = cases(oracle);
        assert!(cases.len() >= least, "{oracle}: {}", cases.len());
        for case in cases {
            let ids = ids(&case.values["ids"]);
            let logits = case.model.forward(&ids, None).unwrap();
            let off = distance(&logits, &array(&case.values[oracle]));
            assert!(off < 1e-4, "{}, {oracle}: {off}", case.name);
        }
    }
}

#[test]
fn greedy_tokens_are_those_of_the_oracles() {
    for case in cases("greedy") {
        let prompt = to_i32(&ids(&case.values["ids"][0])).unwrap();
        let expected = to_i32(&ids(&case.values["greedy"])).unwrap();
        let settings = GenerateSettings {
            max_tokens: expected.len(),
            sampler: SamplerSettings {
                temperature: 0.0,
                ..SamplerSettings::default()
            },
            ..GenerateSettings::default()
        };
        let got = generate(&case.model, &[prompt], &settings, &mut Silent).unwrap();
        assert_eq!(got[0].token_ids, expected, "{}", case.name);
    }
}

/// Both rows as prompts of one token and completions of the rest: next-token prediction.
fn next_tokens(values: &Value) -> Batch {
    let rows = values["ids"].as_array().unwrap();
    let rows: Vec<Vec<i32>> = rows.iter().map(|row| to_i32(&ids(row)).unwrap()).collect();
    let pairs: Vec<(&[i32], &[i32])> = rows.iter().map(|row| row.split_at(1)).collect();
    Batch::new(&pairs)
}

fn norm(grad: &Array) -> f32 {
    item(&grad.square().unwrap().sum(false).unwrap())
        .unwrap()
        .sqrt()
}

/// The norm of the gradient by every weight.
fn check_norms(case: &Case, grads: &[Array], expected: &Value) {
    let names = case.model.trained();
    assert_eq!(
        names.len(),
        expected.as_object().unwrap().len(),
        "{}",
        case.name
    );
    for ((name, _), grad) in names.iter().zip(grads) {
        let norm = norm(grad);
        let expected = expected[name].as_f64().unwrap() as f32;
        let off = (norm - expected).abs() / expected.max(1e-3);
        assert!(off < 2e-4, "{}, {name}: {norm}, not {expected}", case.name);
    }
}

#[test]
fn loss_and_gradients_are_those_of_transformers() {
    for case in cases("grad_norms") {
        let batch = next_tokens(&case.values);
        let (value, grads) = loss_and_grads(&case.model, |model| {
            let logprobs = completion_logprobs(model, &batch, 1.0)?;
            Ok(vec![logprobs.mean(false)?.negative()?])
        })
        .unwrap();
        let expected = case.values["loss"].as_f64().unwrap() as f32;
        let off = (item(&value[0]).unwrap() - expected).abs();
        assert!(off < 1e-5, "{}: {off}", case.name);
        check_norms(&case, &grads, &case.values["grad_norms"]);
    }
}

/// Half precision keeps eight bits of a number: logits are off by some of the largest one.
#[test]
fn half_precision_stays_within_its_bits() {
    for case in cases("grad_norms") {
        // A token near the border between two experts may change sides.
        if case.model.config.num_experts > 0 || case.values["change"].is_object() {
            continue;
        }
        let folder = vectors().join(case.values["folder"].as_str().unwrap_or(&case.name));
        let half = Qwen3::load(&folder, Some(Dtype::Bfloat16)).unwrap();
        assert_eq!(half.dtype(), Dtype::Bfloat16);
        let logits = half.forward(&ids(&case.values["ids"]), None).unwrap();
        assert_eq!(logits.dtype(), Dtype::Bfloat16, "{}", case.name);
        let expected = array(&case.values["logits_transformers"]);
        let largest = distance(&expected, &expected.multiply(Array::from_f32(0.0)).unwrap());
        let off = distance(&logits.as_dtype(Dtype::Float32).unwrap(), &expected);
        assert!(off < 0.04 * largest, "{}: {off} of {largest}", case.name);
    }
}

/// The published 0.6B has 310 weights, and 311 with a head of its own. Here they are smaller, and
/// as many.
#[test]
fn every_weight_of_a_deep_model_has_a_gradient() {
    for (tied, count) in [(true, 310), (false, 311)] {
        let mut json = Config::preset("0.6b").unwrap().to_json();
        for (key, size) in [
            ("vocab_size", 32),
            ("hidden_size", 16),
            ("intermediate_size", 24),
            ("num_attention_heads", 4),
            ("num_key_value_heads", 2),
            ("head_dim", 4),
        ] {
            json[key] = size.into();
        }
        json["tie_word_embeddings"] = tied.into();
        json["initializer_range"] = 0.2.into();
        let config = Config::from_json(json).unwrap();
        let model = Qwen3::random(config, 5, Dtype::Float32).unwrap();
        let batch = Batch::new(&[(&[3, 7, 1], &[12, 4, 9])]);
        let (_, grads) = loss_and_grads(&model, |model| {
            Ok(vec![completion_logprobs(model, &batch, 1.0)?.sum(false)?])
        })
        .unwrap();
        let trained = model.trained();
        assert_eq!((trained.len(), grads.len()), (count, count));
        for ((name, _), grad) in trained.iter().zip(&grads) {
            let norm = norm(grad);
            assert!(norm > 0.0 && norm.is_finite(), "{name}: {norm}");
        }
    }
}

/// The load-balancing loss takes in the last token too, as in transformers.
#[test]
fn the_loss_of_the_router_is_that_of_transformers() {
    let cases = cases("aux_loss");
    assert_eq!(cases.len(), 3);
    for case in cases {
        let rows = ids(&case.values["ids"]);
        let mut routed = Vec::new();
        case.model
            .hidden_routed(&rows, None, Some(&mut routed))
            .unwrap();
        let top_k = case.model.config.num_experts_per_tok;
        let got = item(&mlx_repl::nn::load_balancing_loss(&routed, top_k).unwrap()).unwrap();
        let expected = case.values["aux_loss"].as_f64().unwrap() as f32;
        assert!(
            (got - expected).abs() < 1e-5,
            "{}: {got}, {expected}",
            case.name
        );
    }
}

/// Padding has no part in the balance: a row alone and beside a longer one has the same.
#[test]
fn padding_has_no_part_in_the_balance() {
    let model = Qwen3::load(&vectors().join("qwen3_moe"), None).unwrap();
    let of = |pairs: &[(&[i32], &[i32])]| {
        let batch = Batch::new(pairs);
        let mut routed = Vec::new();
        completion_logits(&model, &batch, 1.0, Some(&mut routed)).unwrap();
        item(&router_loss(&model, &batch, &routed).unwrap()).unwrap()
    };
    let (a, b): ((&[i32], &[i32]), _) = ((&[3, 4], &[5, 6]), (&[7][..], &[8][..]));
    let (alone, padded) = (of(&[a, a, b]), of(&[a, b, a]));
    assert!((alone - padded).abs() < 1e-6);
    assert!((of(&[a]) - of(&[a, a])).abs() < 1e-6);
}

#[test]
fn a_cache_and_prefill_in_chunks_change_nothing() {
    for case in cases("greedy") {
        let ids = ids(&case.values["ids"]);
        let whole = case.model.forward(&ids, None).unwrap();
        let [b, l, v] = tensor::dims3(&whole, "logits").unwrap();
        let last = slice(&whole, &[0, l - 1, 0], &[b, l, v]).unwrap();
        let last = last.squeeze_axes(&[1]).unwrap();
        for chunk in [1, 5, 64] {
            let mut cache = cache::full(case.model.layers.len(), 0);
            let got = prefill(&case.model, &mut cache, &ids, chunk).unwrap();
            let off = distance(&got, &last);
            assert!(off < 1e-4, "{}, chunks of {chunk}: {off}", case.name);
            let best = |logits: &Array| {
                to_i32(&mlx_rs::ops::indexing::argmax_axis(logits, -1, false).unwrap()).unwrap()
            };
            assert_eq!(best(&got), best(&last), "{}, chunks of {chunk}", case.name);
        }
    }
}

/// A GGUF file brings its tokenizer and its chat template.
#[test]
fn the_tokenizer_of_a_gguf_file_is_that_of_its_maker() {
    let values = &fixture("family.json")["models"]["gguf_qwen3"];
    let model = load("gguf_qwen3", values);
    let tokenizer = model.tokenizer().unwrap();
    let texts = values["texts"].as_array().unwrap();
    assert_eq!(texts.len(), 10);
    for case in texts {
        let text = case["text"].as_str().unwrap();
        let got = tokenizer.encode(text).unwrap();
        assert_eq!(got, to_i32(&ids(&case["ids"])).unwrap(), "{text:?}");
        // Special tokens are left out of what is decoded.
        if !text.contains("<|") {
            assert_eq!(tokenizer.decode(&got).unwrap(), text, "{text:?}");
        }
    }
    let messages = serde_json::json!([{ "role": "user", "content": "Hello" }]);
    let options = mlx_repl::text::TemplateOptions::default();
    let rendered = tokenizer.render(&messages, &options).unwrap();
    assert!(rendered.contains("Hello"), "{rendered}");
    assert_eq!(
        model.eos_token_ids,
        tokenizer.eos_token_id().into_iter().collect::<Vec<_>>()
    );
}

#[test]
fn what_is_saved_is_loaded_again() {
    for case in cases("ids") {
        let dir = tempfile::tempdir().unwrap();
        let model = LanguageModel {
            network: case.model.clone(),
            tokenizer: None,
            eos_token_ids: Vec::new(),
            generation: serde_json::Map::new(),
        };
        // In one file, then in several of them in the same folder, then in one again.
        for shard_bytes in [usize::MAX, 20_000, usize::MAX] {
            model.save_sharded(dir.path(), shard_bytes).unwrap();
            let loaded = Qwen3::load(dir.path(), None).unwrap();
            same_weights(&case, &loaded);
            let index = dir.path().join("model.safetensors.index.json").exists();
            assert_eq!(index, shard_bytes == 20_000, "{}", case.name);
        }
        assert_eq!(
            experts_apart(dir.path()),
            case.model.config.num_experts > 0 && dense(&case.model)
        );
    }
}

fn dense(model: &Qwen3) -> bool {
    model
        .named()
        .iter()
        .all(|(name, _)| !name.ends_with(".scales"))
}

fn experts_apart(dir: &Path) -> bool {
    let weights = mlx_repl::checkpoint::Weights::read(dir).unwrap();
    weights
        .arrays
        .keys()
        .any(|name| name.contains(".mlp.experts.0."))
}

#[track_caller]
fn same_weights(case: &Case, loaded: &Qwen3) {
    let (before, after) = (case.model.named(), loaded.named());
    assert_eq!(before.len(), after.len(), "{}", case.name);
    for ((name, a), (other, b)) in before.iter().zip(&after) {
        assert_eq!(name, other, "{}", case.name);
        assert_eq!(a.dtype(), b.dtype(), "{}, {name}", case.name);
        assert_eq!(distance(&whole(a), &whole(b)), 0.0, "{}, {name}", case.name);
    }
}

/// Packed words as numbers that can be compared.
fn whole(a: &Array) -> Array {
    match a.dtype() {
        Dtype::Uint32 => a.view::<u16>().unwrap().as_dtype(Dtype::Float32).unwrap(),
        _ => a.clone(),
    }
}
