//! `config.json` of a Qwen3 checkpoint.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::Path;

/// The sizes of a model, under the names of `config.json`.
///
/// Keys that mlx-repl has no use for are kept and written back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    #[serde(default = "defaults::model_type")]
    pub model_type: String,
    #[serde(default = "defaults::architectures")]
    pub architectures: Vec<String>,
    pub vocab_size: i32,
    pub hidden_size: i32,
    pub num_hidden_layers: i32,
    pub intermediate_size: i32,
    pub num_attention_heads: i32,
    pub num_key_value_heads: i32,
    pub head_dim: i32,
    #[serde(default = "defaults::rms_norm_eps")]
    pub rms_norm_eps: f32,
    #[serde(default = "defaults::rope_theta")]
    pub rope_theta: f32,
    #[serde(default = "defaults::max_position_embeddings")]
    pub max_position_embeddings: i32,
    #[serde(default)]
    pub tie_word_embeddings: bool,
    #[serde(default = "defaults::initializer_range")]
    pub initializer_range: f32,
    /// One id or a list of ids in the file.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub eos_token_id: Value,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

mod defaults {
    pub fn model_type() -> String {
        "qwen3".into()
    }
    pub fn architectures() -> Vec<String> {
        vec!["Qwen3ForCausalLM".into()]
    }
    pub fn rms_norm_eps() -> f32 {
        1e-6
    }
    pub fn rope_theta() -> f32 {
        1e6
    }
    pub fn max_position_embeddings() -> i32 {
        40_960
    }
    pub fn initializer_range() -> f32 {
        0.02
    }
}

/// Hidden size, layers, feed-forward size, heads, key-value heads, tied head of the published
/// sizes (their `config.json`; all have 151,936 tokens and heads of 128).
const PRESETS: [(&str, [i32; 5], bool); 6] = [
    ("0.6b", [1024, 28, 3072, 16, 8], true),
    ("1.7b", [2048, 28, 6144, 16, 8], true),
    ("4b", [2560, 36, 9728, 32, 8], true),
    ("8b", [4096, 36, 12288, 32, 8], false),
    ("14b", [5120, 40, 17408, 40, 8], false),
    ("32b", [5120, 64, 25600, 64, 8], false),
];

impl Config {
    /// The configuration of a published size, by name (`"0.6b"`).
    ///
    /// # Errors
    /// An unknown name; the error lists the known ones.
    pub fn preset(name: &str) -> Result<Self> {
        let lower = name.to_lowercase();
        let Some((_, [hidden, layers, feed, heads, kv], tied)) =
            PRESETS.iter().find(|(known, ..)| *known == lower)
        else {
            let names: Vec<&str> = PRESETS.iter().map(|(name, ..)| *name).collect();
            return Err(Error::value("preset", name, &names.join(", ")));
        };
        Self::from_json(serde_json::json!({
            "vocab_size": 151_936, "hidden_size": hidden, "num_hidden_layers": layers,
            "intermediate_size": feed, "num_attention_heads": heads, "num_key_value_heads": kv,
            "head_dim": 128, "tie_word_embeddings": tied, "eos_token_id": [151_645, 151_643],
        }))
    }

    /// A configuration from a JSON object. What is missing follows from what is there: 16 heads,
    /// as many key-value heads, `hidden_size / heads` for `head_dim`, three times the hidden size
    /// for the feed-forward layer.
    ///
    /// # Errors
    /// A missing or ill-typed key, sizes that do not fit, an architecture that is not Qwen3.
    pub fn from_json(mut json: Value) -> Result<Self> {
        let keys = json
            .as_object_mut()
            .ok_or_else(|| Error::value("config", "not an object", "an object of settings"))?;
        let number = |keys: &Map<String, Value>, key: &str| keys.get(key).and_then(Value::as_i64);
        let mut fill = |key: &str, value: Option<i64>| {
            if let (None | Some(Value::Null), Some(value)) = (keys.get(key), value) {
                keys.insert(key.to_string(), value.into());
            }
        };
        fill("num_attention_heads", Some(16));
        let heads = number(keys, "num_attention_heads");
        let hidden = number(keys, "hidden_size");
        let mut fill = |key: &str, value: Option<i64>| {
            if let (None | Some(Value::Null), Some(value)) = (keys.get(key), value) {
                keys.insert(key.to_string(), value.into());
            }
        };
        fill("num_key_value_heads", heads);
        fill("intermediate_size", hidden.map(|hidden| 3 * hidden));
        let head_dim = hidden.zip(heads.filter(|heads| *heads > 0));
        fill("head_dim", head_dim.map(|(hidden, heads)| hidden / heads));
        // transformers 5 writes the base of the rotary embedding in an object of its own.
        if let Some(theta) = keys
            .get("rope_parameters")
            .and_then(|parameters| parameters.get("rope_theta"))
            .cloned()
        {
            keys.entry("rope_theta").or_insert(theta);
        }
        let config: Self = serde_json::from_value(json)
            .map_err(|e| Error::value("config", e, "the keys of a Qwen3 config.json"))?;
        config.check()?;
        Ok(config)
    }

    /// Reads `config.json` of a checkpoint.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let json = serde_json::from_str(&text)
            .map_err(|e| Error::file(&path, format!("not JSON: {e}")))?;
        Self::from_json(json).map_err(|e| Error::file(&path, e))
    }

    /// Sizes that fit together, and nothing that this code would ignore in silence.
    fn check(&self) -> Result<()> {
        if self.model_type != "qwen3" {
            return Err(Error::Unsupported(format!(
                "model_type `{}` is not supported; `qwen3` is",
                self.model_type
            )));
        }
        for key in ["quantization", "quantization_config"] {
            if self.other.get(key).is_some_and(|value| !value.is_null()) {
                return Err(Error::Unsupported(
                    "quantised checkpoints are not supported; use the unquantised one".into(),
                ));
            }
        }
        let scaled = |value: Option<&Value>| {
            value.is_some_and(|value| {
                let kind = value.get("rope_type").or(value.get("type"));
                !value.is_null() && kind.is_none_or(|kind| kind != "default")
            })
        };
        if scaled(self.other.get("rope_scaling")) || scaled(self.other.get("rope_parameters")) {
            return Err(Error::Unsupported(
                "scaled rotary embeddings (rope_scaling) are not supported".into(),
            ));
        }
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("intermediate_size", self.intermediate_size),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
        ];
        for (name, size) in sizes {
            if size < 1 {
                return Err(Error::setting(name, size, "at least 1"));
            }
        }
        if self.num_attention_heads % self.num_key_value_heads != 0 {
            return Err(Error::setting(
                "num_key_value_heads",
                self.num_key_value_heads,
                &format!(
                    "a divisor of num_attention_heads = {}",
                    self.num_attention_heads
                ),
            ));
        }
        if self.head_dim % 2 != 0 {
            return Err(Error::setting("head_dim", self.head_dim, "an even number"));
        }
        Ok(())
    }

    /// The ids that end a text.
    pub fn eos_token_ids(&self) -> Vec<i32> {
        let id = |value: &Value| value.as_i64().and_then(|id| i32::try_from(id).ok());
        match &self.eos_token_id {
            Value::Array(list) => list.iter().filter_map(id).collect(),
            value => id(value).into_iter().collect(),
        }
    }

    /// As JSON, for `config.json` and for scripts.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
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
        assert!(with("rope_scaling", json!({ "rope_type": "yarn" })).contains("rope"));
        assert!(with("vocab_size", json!(0)).contains("vocab_size"));
    }
}
