//! The tokenizer in the metadata of a GGUF file.

use super::Tokenizer;
use crate::checkpoint::Meta;
use crate::error::{Error, Result};
use crate::tensor::to_i32;
use serde_json::{Map, Value, json};

/// Splits a text into words and runs of spaces before bytes are merged: Qwen2's rule.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Llama 3's: as Qwen2's, but up to three digits stay together.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What llama.cpp calls a token that controls, and one that a user added.
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;

impl Tokenizer {
    /// The tokenizer of a GGUF file, if it has one.
    ///
    /// # Errors
    /// One of a kind that is not byte-level BPE.
    pub fn from_gguf(metadata: &[(String, Meta)]) -> Result<Option<Self>> {
        let find = |name: &str| {
            let key = format!("tokenizer.{name}");
            let found = metadata.iter().find(|(known, _)| *known == key);
            found.map(|(_, value)| value)
        };
        let text = |name: &str| match find(name) {
            Some(Meta::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        let Some(model) = text("ggml.model") else {
            return Ok(None);
        };
        let (Some(Meta::Texts(tokens)), Some(Meta::Texts(merges)), "gpt2") =
            (find("ggml.tokens"), find("ggml.merges"), model)
        else {
            return Err(Error::Tokenizer(format!(
                "the tokenizer of this GGUF file is of kind `{model}`; byte-level BPE (`gpt2`) \
                 is expected. Load the model's folder from the hub instead"
            )));
        };
        let kinds = match find("ggml.token_type") {
            Some(Meta::Array(kinds)) => to_i32(kinds)?,
            _ => Vec::new(),
        };
        let description = describe(tokens, merges, &kinds, text("ggml.pre"));
        let token_of = |name: &str| match find(name) {
            Some(Meta::Int(id)) => tokens.get(usize::try_from(*id).ok()?).cloned(),
            _ => None,
        };
        let mut config = json!({ "tokenizer_class": "PreTrainedTokenizerFast" });
        for (key, value) in [
            ("eos_token", token_of("ggml.eos_token_id")),
            ("bos_token", token_of("ggml.bos_token_id")),
            ("pad_token", token_of("ggml.padding_token_id")),
            ("chat_template", text("chat_template").map(String::from)),
        ] {
            if let Some(value) = value {
                config[key] = value.into();
            }
        }
        Self::new(description.to_string().as_bytes(), config).map(Some)
    }
}

/// The same as a `tokenizer.json`.
fn describe(tokens: &[String], merges: &[String], kinds: &[i32], pre: Option<&str>) -> Value {
    let vocab: Map<String, Value> = tokens
        .iter()
        .enumerate()
        .map(|(id, token)| (token.clone(), id.into()))
        .collect();
    let kind = |id: usize| kinds.get(id).copied().unwrap_or(1);
    let added: Vec<Value> = tokens
        .iter()
        .enumerate()
        .filter(|(id, _)| [CONTROL, USER_DEFINED].contains(&kind(*id)))
        .map(|(id, token)| {
            json!({ "id": id, "content": token, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": kind(id) == CONTROL })
        })
        .collect();
    let bytes = |use_regex: bool| {
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false,
                "use_regex": use_regex })
    };
    let split = |rule: &str| {
        let split = json!({ "type": "Split", "pattern": { "Regex": rule },
                            "behavior": "Isolated", "invert": false });
        json!({ "type": "Sequence", "pretokenizers": [split, bytes(false)] })
    };
    let (normalizer, pre_tokenizer, whole_words) = match pre {
        Some("qwen2" | "qwen35" | "deepseek-r1-qwen") => {
            (json!({ "type": "NFC" }), split(QWEN2), false)
        }
        Some("llama-bpe" | "llama3" | "llama-v3") => (Value::Null, split(LLAMA3), true),
        // GPT-2's own rule is built into the crate.
        _ => (Value::Null, bytes(true), false),
    };
    json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "decoder": bytes(true),
        "model": { "type": "BPE", "vocab": vocab, "merges": merges,
                   "ignore_merges": whole_words },
    })
}
