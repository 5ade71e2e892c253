//! Models in llama.cpp's GGUF files: its names and its metadata, brought to those of Hugging Face.

use super::{Config, Qwen3};
use crate::checkpoint::{Gguf, Meta, Weights};
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::Path;

/// llama.cpp's name of an architecture, and `model_type` as Hugging Face calls it.
const ARCHITECTURES: [(&str, &str); 4] = [
    ("qwen3", "qwen3"),
    ("qwen3moe", "qwen3_moe"),
    ("qwen2", "qwen2"),
    ("llama", "llama"),
];

/// Names outside of the blocks.
const TOP: [(&str, &str); 3] = [
    ("token_embd", "model.embed_tokens"),
    ("output_norm", "model.norm"),
    ("output", "lm_head"),
];

/// Names within a block.
const IN_BLOCK: [(&str, &str); 15] = [
    ("attn_norm", "input_layernorm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
    ("ffn_gate_inp", "mlp.gate"),
    ("ffn_gate_exps", "mlp.switch_mlp.gate_proj"),
    ("ffn_up_exps", "mlp.switch_mlp.up_proj"),
    ("ffn_down_exps", "mlp.switch_mlp.down_proj"),
];

/// Metadata after the architecture's name, and the key of `config.json`.
const KEYS: [(&str, &str); 12] = [
    ("block_count", "num_hidden_layers"),
    ("context_length", "max_position_embeddings"),
    ("embedding_length", "hidden_size"),
    ("feed_forward_length", "intermediate_size"),
    ("attention.head_count", "num_attention_heads"),
    ("attention.head_count_kv", "num_key_value_heads"),
    ("attention.key_length", "head_dim"),
    ("rope.freq_base", "rope_theta"),
    ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
    ("expert_count", "num_experts"),
    ("expert_used_count", "num_experts_per_tok"),
    ("expert_feed_forward_length", "moe_intermediate_size"),
];

impl Qwen3 {
    /// A model from the tensors and metadata of a GGUF file. Its tensors of Q4_0, Q4_1 and Q8_0
    /// stay in as few bits.
    ///
    /// # Errors
    /// An architecture that is not known; those of a checkpoint.
    pub fn from_gguf(file: Gguf, path: &Path, dtype: Option<Dtype>) -> Result<Self> {
        let config = config(&file).map_err(|e| Error::file(path, e))?;
        let mut arrays = HashMap::new();
        for (name, array) in file.tensors {
            let name = rename(&name).ok_or_else(|| unknown(path, &name))?;
            let array = match config.model_type.as_str() {
                "llama" => unpermuted(&name, array, &config)?,
                _ => array,
            };
            arrays.insert(name, array);
        }
        Self::assemble(config, Weights::new(arrays, path), dtype)
    }
}

fn unknown(path: &Path, name: &str) -> Error {
    let why = match name.starts_with("rope_freqs") {
        true => {
            "stretches the rotary embedding in a way that is not supported; load the \
                 safetensors of this model"
        }
        false => "has no place in this architecture",
    };
    Error::file(path, format!("tensor `{name}` {why}"))
}

fn config(file: &Gguf) -> Result<Config> {
    let meta = |key: &str| file.metadata.iter().find(|(name, _)| name == key);
    let text = |key: &str| match meta(key) {
        Some((_, Meta::Text(text))) => Some(text.as_str()),
        _ => None,
    };
    let number = |key: &str| match meta(key)?.1 {
        Meta::Int(number) => Some(Value::from(number)),
        // As it was before it became float32.
        Meta::Float(number) => (number as f32)
            .to_string()
            .parse()
            .ok()
            .map(|n: f64| n.into()),
        _ => None,
    };
    // 1. The architecture.
    let found = text("general.architecture").unwrap_or("none");
    let Some((own, model_type)) = ARCHITECTURES.iter().find(|(own, _)| *own == found) else {
        let known: Vec<&str> = ARCHITECTURES.iter().map(|(own, _)| *own).collect();
        return Err(Error::Unsupported(format!(
            "general.architecture {found} is not supported; these are: {}",
            known.join(", ")
        )));
    };
    // 2. Sizes.
    let mut json = json!({ "model_type": model_type });
    for (key, ours) in KEYS {
        if let Some(value) = number(&format!("{own}.{key}")) {
            json[ours] = value;
        }
    }
    let tensor = |name: &str| file.tensors.iter().find(|(known, _)| known == name);
    if let Some((_, table)) = tensor("token_embd.weight") {
        json["vocab_size"] = table.dim(0).into();
    }
    json["tie_word_embeddings"] = tensor("output.weight").is_none().into();
    json["attention_bias"] = tensor("blk.0.attn_q.bias").is_some().into();
    if *model_type == "qwen3_moe" {
        // llama.cpp does so whatever the file says.
        json["norm_topk_prob"] = true.into();
    }
    // 3. The rotary embedding, and the tokens that end a text.
    if let Some(kind) = text(&format!("{own}.rope.scaling.type")).filter(|kind| *kind != "none") {
        let mut scaling = Map::from_iter([("rope_type".to_string(), kind.into())]);
        for (key, ours) in [
            ("factor", "factor"),
            (
                "original_context_length",
                "original_max_position_embeddings",
            ),
        ] {
            if let Some(value) = number(&format!("{own}.rope.scaling.{key}")) {
                scaling.insert(ours.into(), value);
            }
        }
        json["rope_scaling"] = scaling.into();
    }
    if let Some(id) = number("tokenizer.ggml.eos_token_id") {
        json["eos_token_id"] = id;
    }
    Config::from_json(json)
}

/// Hugging Face's name of a tensor.
fn rename(name: &str) -> Option<String> {
    let (stem, part) = name.rsplit_once('.')?;
    if let Some((_, ours)) = TOP.iter().find(|(own, _)| *own == stem) {
        return Some(format!("{ours}.{part}"));
    }
    let (block, inner) = stem.strip_prefix("blk.")?.split_once('.')?;
    let (_, ours) = IN_BLOCK.iter().find(|(own, _)| *own == inner)?;
    Some(format!("model.layers.{block}.{ours}.{part}"))
}

/// llama.cpp lays the features of Llama's queries and keys out in pairs of neighbours; Hugging
/// Face in two halves.
fn unpermuted(name: &str, array: Array, config: &Config) -> Result<Array> {
    let heads = if name.contains(".q_proj.") {
        config.num_attention_heads
    } else if name.contains(".k_proj.") {
        config.num_key_value_heads
    } else {
        return Ok(array);
    };
    let shape = array.shape().to_vec();
    let halves = array.reshape(&[heads, -1, 2, array.size() as i32 / shape[0].max(1)])?;
    Ok(halves.swap_axes(1, 2)?.reshape(&shape)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_those_of_hugging_face() {
        let of = |name: &str| rename(name).unwrap_or_default();
        assert_eq!(of("token_embd.scales"), "model.embed_tokens.scales");
        assert_eq!(of("output.weight"), "lm_head.weight");
        let gate = "model.layers.11.mlp.switch_mlp.gate_proj.weight";
        assert_eq!(of("blk.11.ffn_gate_exps.weight"), gate);
        assert_eq!(
            of("blk.0.attn_q.bias"),
            "model.layers.0.self_attn.q_proj.bias"
        );
        assert_eq!(rename("rope_freqs.weight"), None);
    }
}
