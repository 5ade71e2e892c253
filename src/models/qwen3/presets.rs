//! The published sizes.

use crate::error::{Error, Result};
use serde_json::{Value, json};

/// Hidden size, layers, feed-forward size, heads, key-value heads, tied head of the published
/// sizes (their `config.json`; all have 151,936 tokens and heads of 128).
const DENSE: [(&str, [i32; 5], bool); 6] = [
    ("0.6b", [1024, 28, 3072, 16, 8], true),
    ("1.7b", [2048, 28, 6144, 16, 8], true),
    ("4b", [2560, 36, 9728, 32, 8], true),
    ("8b", [4096, 36, 12288, 32, 8], false),
    ("14b", [5120, 40, 17408, 40, 8], false),
    ("32b", [5120, 64, 25600, 64, 8], false),
];

/// The same, and the feed-forward size of an expert; all have 128 experts, 8 of them for a token.
const SPARSE: [(&str, [i32; 5], i32); 2] = [
    ("30b-a3b", [2048, 48, 6144, 32, 4], 768),
    ("235b-a22b", [4096, 94, 12288, 64, 4], 1536),
];

/// A dense configuration and one with experts: between them they have every key.
pub(super) fn samples() -> [Result<Value>; 2] {
    [find(DENSE[0].0), find(SPARSE[0].0)]
}

/// The configuration of a published size, as JSON.
///
/// # Errors
/// An unknown name; the error lists the known ones.
pub(super) fn find(name: &str) -> Result<Value> {
    let lower = name.to_lowercase();
    if let Some((_, sizes, tied)) = DENSE.iter().find(|(known, ..)| *known == lower) {
        return Ok(config("qwen3", sizes, *tied));
    }
    if let Some((_, sizes, expert)) = SPARSE.iter().find(|(known, ..)| *known == lower) {
        let mut json = config("qwen3_moe", sizes, false);
        json["num_experts"] = 128.into();
        json["num_experts_per_tok"] = 8.into();
        json["moe_intermediate_size"] = (*expert).into();
        json["norm_topk_prob"] = true.into();
        json["router_aux_loss_coef"] = 0.001.into();
        return Ok(json);
    }
    let dense = DENSE.iter().map(|(name, ..)| *name);
    let names: Vec<&str> = dense.chain(SPARSE.iter().map(|(name, ..)| *name)).collect();
    Err(Error::value("preset", name, &names.join(", ")))
}

fn config(model_type: &str, [hidden, layers, feed, heads, kv]: &[i32; 5], tied: bool) -> Value {
    json!({
        "model_type": model_type, "vocab_size": 151_936, "hidden_size": hidden,
        "num_hidden_layers": layers, "intermediate_size": feed, "num_attention_heads": heads,
        "num_key_value_heads": kv, "head_dim": 128, "tie_word_embeddings": tied,
        "eos_token_id": [151_645, 151_643],
    })
}
