//! Properties of the network: cached = uncached, gradients = finite differences, a saved model is
//! the model.

use crate::support::{assert_close, check_gradients, distance, tiny, tiny_language_model, vectors};
use mlx_repl::cache;
use mlx_repl::mlx::{Array, Dtype, slice};
use mlx_repl::models::Qwen3;
use mlx_repl::nn::Params;
use mlx_repl::tensor::{to_f32, to_i32};
use mlx_repl::text::LanguageModel;
use mlx_rs::ops::indexing::argmax_axis;

fn prompt() -> Array {
    Array::from_slice(&[3i32, 7, 1, 12, 0, 5, 5, 9, 2, 11], &[2, 5])
}

#[test]
fn tokens_one_by_one_through_a_cache_are_the_whole_at_once() {
    let model = tiny(false, 1);
    let ids = prompt();
    let whole = model.forward(&ids, None).unwrap();
    for chunk in [1, 2, 3] {
        let mut cache = cache::full(2, 0);
        let mut start = 0;
        while start < 5 {
            let stop = (start + chunk).min(5);
            let part = slice(&ids, &[0, start], &[2, stop]).unwrap();
            let got = model.forward(&part, Some(&mut cache)).unwrap();
            let want = slice(&whole, &[0, start, 0], &[2, stop, 13]).unwrap();
            assert_close(&got, &want, 1e-5);
            let best = |a: &Array| to_i32(&argmax_axis(a, -1, false).unwrap()).unwrap();
            assert_eq!(best(&got), best(&want));
            start = stop;
        }
    }
}

/// Caches of prompts of different lengths, merged with padding, go on as each would alone.
#[test]
fn merged_caches_are_the_caches_alone() {
    let model = tiny(true, 2);
    let prompts: [&[i32]; 3] = [&[3, 7, 1, 12], &[5], &[9, 2]];
    let next = Array::from_slice(&[4i32, 6, 8], &[3, 1]);
    let mut parts = Vec::new();
    let mut alone = Vec::new();
    for (i, prompt) in prompts.iter().enumerate() {
        let ids = Array::from_slice(prompt, &[1, prompt.len() as i32]);
        let mut part = cache::full(2, 0);
        model.forward(&ids, Some(&mut part)).unwrap();
        let mut copy = cache::full(2, 0);
        model.forward(&ids, Some(&mut copy)).unwrap();
        let token = slice(&next, &[i as i32, 0], &[i as i32 + 1, 1]).unwrap();
        alone.push(model.forward(&token, Some(&mut copy)).unwrap());
        parts.push(part);
    }
    let mut merged = cache::join(&parts).unwrap();
    let together = model.forward(&next, Some(&mut merged)).unwrap();
    assert_close(
        &together,
        &mlx_rs::ops::concatenate(&alone, 0).unwrap(),
        1e-5,
    );
    // And after rows were dropped.
    cache::select(&mut merged, &[2, 0]).unwrap();
    let again = Array::from_slice(&[1i32, 2], &[2, 1]);
    let logits = model.forward(&again, Some(&mut merged)).unwrap();
    assert!(to_f32(&logits).unwrap().iter().all(|x| x.is_finite()));
}

/// The gradient of every kind of weight, against central differences along a random direction.
#[test]
fn gradients_are_finite_differences() {
    let load = |name: &str| Qwen3::load(&vectors().join(name), None).unwrap();
    let models = [
        ("dense", tiny(false, 3)),
        ("with every bias", load("llama_linear")),
        ("stretched", load("qwen3_yarn")),
        ("with experts", load("qwen3_moe")),
    ];
    for (kind, model) in models {
        check_gradients(kind, &model, 0.7, 3e-2, |_| false);
    }
}

#[test]
fn a_saved_model_is_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_language_model(4);
    model.save(dir.path()).unwrap();
    let loaded = LanguageModel::load(dir.path(), None).unwrap();
    assert_eq!(loaded.eos_token_ids, [1]);
    assert_eq!(loaded.tokenizer().unwrap().encode("12").unwrap(), [3, 4]);
    for ((name, a), (other, b)) in model.network.named().iter().zip(loaded.network.named()) {
        assert_eq!(*name, other);
        assert_eq!(distance(a, &b), 0.0);
    }
    // What else the maker said of generation is kept.
    let path = dir.path().join("generation_config.json");
    std::fs::write(&path, "{\"top_p\": 0.8, \"eos_token_id\": [1, 3]}").unwrap();
    let other = LanguageModel::load(dir.path(), None).unwrap();
    assert_eq!(other.eos_token_ids, [1, 3]);
    other.save(dir.path()).unwrap();
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .contains("\"top_p\": 0.8")
    );
    std::fs::write(&path, "{nope").unwrap();
    let error = LanguageModel::load(dir.path(), None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("generation_config.json"), "{error}");
    std::fs::remove_file(&path).unwrap();
    // In half precision, and again in full.
    let half = LanguageModel::load(dir.path(), Some(Dtype::Bfloat16)).unwrap();
    assert_eq!(half.network.dtype(), Dtype::Bfloat16);
    let other = tempfile::tempdir().unwrap();
    half.save(other.path()).unwrap();
    let back = LanguageModel::load(other.path(), None).unwrap();
    assert_eq!(back.network.dtype(), Dtype::Float32);
}

#[test]
fn the_same_seed_makes_the_same_weights() {
    let (a, b, c) = (tiny(true, 5), tiny(true, 5), tiny(true, 6));
    let off = |x: &Qwen3, y: &Qwen3| {
        let pairs = x.arrays().into_iter().zip(y.arrays());
        pairs.map(|(x, y)| distance(&x, &y)).fold(0.0, f32::max)
    };
    assert_eq!(off(&a, &b), 0.0);
    assert!(off(&a, &c) > 0.1);
}

#[test]
fn broken_checkpoints_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let fresh = || {
        tiny_language_model(7).save(dir.path()).unwrap();
    };
    let error = || {
        LanguageModel::load(dir.path(), None)
            .unwrap_err()
            .to_string()
    };
    let missing = LanguageModel::load(&dir.path().join("nowhere"), None).unwrap_err();
    assert!(missing.to_string().contains("no such folder"), "{missing}");
    // No configuration, one that is not JSON, one of another size.
    assert!(error().contains("config.json"), "{}", error());
    fresh();
    let config = dir.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, &text[..text.len() / 2]).unwrap();
    assert!(error().contains("not JSON"), "{}", error());
    let wide = text.replace("\"hidden_size\": 16", "\"hidden_size\": 32");
    std::fs::write(&config, wide).unwrap();
    let message = error();
    assert!(message.contains("model.embed_tokens.weight"), "{message}");
    assert!(
        message.contains("[13, 16]") && message.contains("[13, 32]"),
        "{message}"
    );
    let deep = text.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
    std::fs::write(&config, deep).unwrap();
    assert!(
        error().contains("model.layers.2.") && error().contains("missing"),
        "{}",
        error()
    );
    let shallow = text.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
    std::fs::write(&config, shallow).unwrap();
    assert!(error().contains("no place"), "{}", error());
    // A truncated file of weights, and none.
    fresh();
    let weights = dir.path().join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() - 9]).unwrap();
    assert!(error().contains("truncated"), "{}", error());
    std::fs::remove_file(&weights).unwrap();
    assert!(error().contains("model*.safetensors"), "{}", error());
}
