//! `config.json` of a checkpoint.

use super::quantization::Quantization;
use super::{presets, rope};
use crate::error::{Error, Result};
use crate::nn::Rope;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::Path;

/// The families that the one block can be, by configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Queries and keys are normalised.
    Qwen3,
    /// The same, with experts in some layers.
    Qwen3Moe,
    /// Biases in the projections to queries, keys and values.
    Qwen2,
    /// Neither, unless the configuration says so.
    Llama,
}

/// `model_type`, the family, its architecture, and the rotary base where none is given.
const FAMILIES: [(&str, Family, &str, f64); 4] = [
    ("qwen3", Family::Qwen3, "Qwen3ForCausalLM", 1e6),
    ("qwen3_moe", Family::Qwen3Moe, "Qwen3MoeForCausalLM", 1e6),
    ("qwen2", Family::Qwen2, "Qwen2ForCausalLM", 1e4),
    ("llama", Family::Llama, "LlamaForCausalLM", 1e4),
];

/// The sizes of a model, under the names of `config.json`.
///
/// Keys that mlx-repl has no use for are kept and written back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    pub model_type: String,
    pub architectures: Vec<String>,
    pub vocab_size: i32,
    pub hidden_size: i32,
    pub num_hidden_layers: i32,
    pub intermediate_size: i32,
    pub num_attention_heads: i32,
    pub num_key_value_heads: i32,
    pub head_dim: i32,
    #[serde(default = "defaults::rms_norm_eps")]
    pub rms_norm_eps: f64,
    pub rope_theta: f64,
    #[serde(default = "defaults::max_position_embeddings")]
    pub max_position_embeddings: i32,
    #[serde(default)]
    pub tie_word_embeddings: bool,
    #[serde(default = "defaults::initializer_range")]
    pub initializer_range: f64,
    /// Biases in the projections of attention.
    #[serde(default)]
    pub attention_bias: bool,
    /// Biases in the feed-forward layers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mlp_bias: bool,
    /// 0 in a dense model.
    #[serde(default, skip_serializing_if = "is_default")]
    pub num_experts: i32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub num_experts_per_tok: i32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub moe_intermediate_size: i32,
    /// Whether the shares of a token's experts sum to 1. Written whenever there are experts:
    /// mlx-lm asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm_topk_prob: Option<bool>,
    /// Every so many layers have experts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder_sparse_step: Option<i32>,
    /// Layers without experts all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mlp_only_layers: Option<Vec<i32>>,
    /// One id or a list of ids in the file.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub eos_token_id: Value,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Far more than any model has; a plan of more would not fit in memory.
const MOST_LAYERS: i32 = 10_000;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

mod defaults {
    pub fn rms_norm_eps() -> f64 {
        1e-6
    }
    pub fn max_position_embeddings() -> i32 {
        40_960
    }
    pub fn initializer_range() -> f64 {
        0.02
    }
}

impl Config {
    /// The configuration of a published size, by name (`"0.6b"`).
    ///
    /// # Errors
    /// An unknown name; the error lists the known ones.
    pub fn preset(name: &str) -> Result<Self> {
        Self::from_json(presets::find(name)?)
    }

    /// A configuration from a JSON object. What is missing follows from what is there: 16 heads,
    /// as many key-value heads, `hidden_size / heads` for `head_dim`, three times the hidden size
    /// for the feed-forward layer.
    ///
    /// # Errors
    /// A missing or ill-typed key, sizes that do not fit, an architecture that is not known.
    pub fn from_json(mut json: Value) -> Result<Self> {
        let keys = json
            .as_object_mut()
            .ok_or_else(|| Error::value("config", "not an object", "an object of settings"))?;
        complete(keys)?;
        let config: Self = serde_json::from_value(json)
            .map_err(|e| Error::value("config", e, "the keys of a Qwen3 config.json"))?;
        config.check()?;
        Ok(config)
    }

    /// The keys that a configuration may have.
    pub fn keys() -> Vec<String> {
        let whole = presets::samples().into_iter().filter_map(|json| {
            let config = Self::from_json(json.ok()?).ok()?;
            Some(config.to_json())
        });
        let mut keys: Vec<String> = whole
            .filter_map(|json| Some(json.as_object()?.keys().cloned().collect::<Vec<_>>()))
            .flatten()
            .collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// Reads `config.json` of a checkpoint.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        if !path.exists() {
            let reason = "it has no config.json; a model is a folder with config.json and \
                          *.safetensors";
            return Err(Error::file(dir, reason));
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let json = serde_json::from_str(&text)
            .map_err(|e| Error::file(&path, format!("not JSON: {e}")))?;
        Self::from_json(json).map_err(|e| Error::file(&path, e))
    }

    /// Which of the families it is.
    pub fn family(&self) -> Family {
        let known = FAMILIES.iter().find(|(name, ..)| *name == self.model_type);
        known.map_or(Family::Qwen3, |(_, family, ..)| *family)
    }

    /// Whether layer `i`, from 0, has experts.
    pub fn is_sparse(&self, i: i32) -> bool {
        let dense = self.mlp_only_layers.as_deref().unwrap_or(&[]);
        let step = self.decoder_sparse_step.unwrap_or(1);
        self.family() == Family::Qwen3Moe && (i + 1) % step == 0 && !dense.contains(&i)
    }

    /// Which layers are in few bits, and how.
    pub fn quantization(&self) -> Result<Option<Quantization>> {
        Quantization::read(&self.other)
    }

    /// How heads are rotated.
    pub fn rope(&self) -> Result<Rope> {
        let scaling = rope::scaling(&self.other, self.max_position_embeddings)?;
        Ok(Rope::new(self.head_dim, self.rope_theta, scaling))
    }

    /// Sizes that fit together, and nothing that this code would ignore in silence.
    fn check(&self) -> Result<()> {
        self.check_sizes()?;
        self.quantization()?;
        self.rope()?;
        let is = |key: &str| self.other.get(key).and_then(Value::as_bool) == Some(true);
        let layers = self.other.get("layer_types").and_then(Value::as_array);
        let slides = |layer: &Value| layer.as_str() != Some("full_attention");
        if is("use_sliding_window") || layers.is_some_and(|layers| layers.iter().any(slides)) {
            return Err(Error::Unsupported(
                "attention within a sliding window (`use_sliding_window`, `layer_types`) is not \
                 supported; every layer here attends to the whole text"
                    .into(),
            ));
        }
        if let Some(share) = self.other.get("partial_rotary_factor")
            && share.as_f64() != Some(1.0)
            && !share.is_null()
        {
            return Err(Error::setting("partial_rotary_factor", share, "1"));
        }
        match self.other.get("hidden_act").and_then(Value::as_str) {
            None | Some("silu" | "swish") => Ok(()),
            Some(other) => Err(Error::setting("hidden_act", other, "`silu`")),
        }
    }

    fn check_sizes(&self) -> Result<()> {
        let mut sizes = vec![
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("intermediate_size", self.intermediate_size),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
        ];
        if self.family() == Family::Qwen3Moe {
            sizes.extend([
                ("num_experts", self.num_experts),
                ("num_experts_per_tok", self.num_experts_per_tok),
                ("moe_intermediate_size", self.moe_intermediate_size),
                ("decoder_sparse_step", self.decoder_sparse_step.unwrap_or(1)),
            ]);
            if self.num_experts_per_tok > self.num_experts {
                let expected = format!("at most num_experts = {}", self.num_experts);
                let found = self.num_experts_per_tok;
                return Err(Error::setting("num_experts_per_tok", found, &expected));
            }
        }
        if let Some((name, size)) = sizes.iter().find(|(_, size)| *size < 1) {
            return Err(Error::setting(*name, size, "at least 1"));
        }
        if self.num_hidden_layers > MOST_LAYERS {
            let expected = format!("at most {MOST_LAYERS}");
            return Err(Error::setting(
                "num_hidden_layers",
                self.num_hidden_layers,
                &expected,
            ));
        }
        let positive = |x: f64| x > 0.0 && x.is_finite();
        if !positive(self.rope_theta) {
            return Err(Error::setting(
                "rope_theta",
                self.rope_theta,
                "a positive number",
            ));
        }
        if !(self.rms_norm_eps == 0.0 || positive(self.rms_norm_eps)) {
            return Err(Error::setting(
                "rms_norm_eps",
                self.rms_norm_eps,
                "0 or a positive number",
            ));
        }
        let (heads, kv_heads) = (self.num_attention_heads, self.num_key_value_heads);
        if heads % kv_heads != 0 {
            let expected = format!("a divisor of num_attention_heads = {heads}");
            return Err(Error::setting("num_key_value_heads", kv_heads, &expected));
        }
        if self.head_dim % 2 != 0 {
            return Err(Error::setting("head_dim", self.head_dim, "an even number"));
        }
        if heads.checked_mul(self.head_dim).is_none() {
            let expected = "a size that times num_attention_heads stays below 2^31";
            return Err(Error::setting("head_dim", self.head_dim, expected));
        }
        Ok(())
    }

    /// The ids that end a text.
    pub fn eos_token_ids(&self) -> Vec<i32> {
        id_list(&self.eos_token_id)
    }

    /// As JSON, for `config.json` and for scripts.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The ids in a value that is one or a list of them.
pub fn id_list(value: &Value) -> Vec<i32> {
    let id = |value: &Value| value.as_i64().and_then(|id| i32::try_from(id).ok());
    match value {
        Value::Array(list) => list.iter().filter_map(id).collect(),
        value => id(value).into_iter().collect(),
    }
}

/// Puts in what is missing and follows from what is there.
fn complete(keys: &mut Map<String, Value>) -> Result<()> {
    let fill = |keys: &mut Map<String, Value>, key: &str, value: Value| {
        if keys.get(key).is_none_or(Value::is_null) && !value.is_null() {
            keys.insert(key.to_string(), value);
        }
    };
    // 1. The family.
    fill(keys, "model_type", "qwen3".into());
    let name = keys["model_type"].as_str().unwrap_or_default();
    let Some((_, family, architecture, theta)) = FAMILIES.iter().find(|(known, ..)| *known == name)
    else {
        let known: Vec<&str> = FAMILIES.iter().map(|(name, ..)| *name).collect();
        return Err(Error::Unsupported(format!(
            "model_type {} is not supported; these are: {}",
            keys["model_type"],
            known.join(", ")
        )));
    };
    fill(keys, "architectures", vec![*architecture].into());
    if *family == Family::Qwen2 {
        // transformers has no key for it: the family is made so.
        keys.insert("attention_bias".into(), true.into());
    }
    // 2. Sizes.
    let number = |keys: &Map<String, Value>, key: &str| keys.get(key).and_then(Value::as_i64);
    fill(keys, "num_attention_heads", 16.into());
    let heads = number(keys, "num_attention_heads");
    let hidden = number(keys, "hidden_size");
    fill(keys, "num_key_value_heads", heads.into());
    fill(
        keys,
        "intermediate_size",
        hidden.and_then(|hidden| hidden.checked_mul(3)).into(),
    );
    let head_dim = hidden.zip(heads.filter(|heads| *heads > 0));
    let head_dim = head_dim.map(|(hidden, heads)| hidden / heads);
    fill(keys, "head_dim", head_dim.into());
    // 3. Experts; transformers 5 knows their number under two names.
    if *family == Family::Qwen3Moe {
        let local = keys.get("num_local_experts").cloned();
        fill(keys, "num_experts", local.unwrap_or_default());
        fill(keys, "norm_topk_prob", false.into());
        fill(keys, "decoder_sparse_step", 1.into());
        fill(keys, "mlp_only_layers", Value::Array(Vec::new()));
    }
    // 4. transformers 5 writes the base of the rotary embedding in an object of its own.
    let inner = |key: &str| keys.get(key).and_then(|inner| inner.get("rope_theta"));
    let inner = inner("rope_parameters").or(inner("rope_scaling")).cloned();
    fill(keys, "rope_theta", inner.unwrap_or((*theta).into()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_missing_follows_from_what_is_there() {
        let config = Config::from_json(json!({
            "vocab_size": 16, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4
        }))
        .unwrap();
        assert_eq!(config.head_dim, 8);
        assert_eq!(config.num_key_value_heads, 4);
        assert_eq!(config.intermediate_size, 96);
    }

    #[test]
    fn presets_have_the_published_sizes() {
        let config = Config::preset("0.6B").unwrap();
        assert_eq!((config.hidden_size, config.head_dim), (1024, 128));
        assert_eq!(config.eos_token_ids(), [151_645, 151_643]);
        assert!(
            Config::preset("0.7b")
                .unwrap_err()
                .to_string()
                .contains("1.7b")
        );
    }

    #[test]
    fn experts_stand_where_the_configuration_puts_them() {
        let config = Config::from_json(json!({
            "model_type": "qwen3_moe", "vocab_size": 16, "hidden_size": 32,
            "num_hidden_layers": 6, "num_experts": 4, "num_experts_per_tok": 2,
            "moe_intermediate_size": 8, "decoder_sparse_step": 2, "mlp_only_layers": [3],
        }))
        .unwrap();
        let sparse: Vec<i32> = (0..6).filter(|i| config.is_sparse(*i)).collect();
        assert_eq!(sparse, [1, 5]);
        assert_eq!(config.architectures, ["Qwen3MoeForCausalLM"]);
        let config = Config::preset("30b-a3b").unwrap();
        assert_eq!((config.num_experts, config.num_experts_per_tok), (128, 8));
        assert!(config.is_sparse(0) && config.is_sparse(47));
    }

    #[test]
    fn misfits_are_refused() {
        let base = json!({ "vocab_size": 16, "hidden_size": 32, "num_hidden_layers": 2 });
        let with = |key: &str, value: Value| {
            let mut json = base.clone();
            json[key] = value;
            Config::from_json(json).map(|_| ()).unwrap_err().to_string()
        };
        assert!(with("num_key_value_heads", json!(3)).contains("num_key_value_heads"));
        assert!(with("hidden_size", json!("x")).contains("config"));
        assert!(with("model_type", json!("gpt2")).contains("gpt2"));
        assert!(with("rope_scaling", json!({ "rope_type": "yarn" })).contains("factor"));
        assert!(with("rope_scaling", json!({ "rope_type": "longrope" })).contains("longrope"));
        assert!(with("hidden_act", json!("gelu")).contains("gelu"));
        assert!(with("use_sliding_window", json!(true)).contains("sliding"));
        assert!(with("quantization_config", json!({ "quant_method": "gptq" })).contains("gptq"));
        assert!(with("head_dim", json!(i32::MAX - 1)).contains("head_dim"));
        assert!(with("vocab_size", json!(0)).contains("vocab_size"));
    }
}
