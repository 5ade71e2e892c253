//! Tokenizers of the `tokenizers` crate, with what models need to know beside them.

use super::template::ChatTemplate;
use crate::checkpoint::ModelDir;
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};
use std::cell::OnceCell;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

/// Where transformers keeps a template of more than a line.
const TEMPLATE: &str = "chat_template.jinja";

/// A tokenizer, the token that ends a text, and how conversations become text. A clone is a
/// handle on the same one.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    pub(super) inner: Rc<tokenizers::Tokenizer>,
    /// The same, but for special tokens, which it takes for text; made when first needed.
    literal: Rc<OnceCell<tokenizers::Tokenizer>>,
    eos: Option<String>,
    pub(super) template: Option<ChatTemplate>,
    /// `tokenizer_config.json`, kept so that it can be written back.
    config: Value,
}

/// Special tokens that `tokenizer_config.json` names, and that templates know by these names.
const NAMED: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

const PAD: &str = "<pad>";
const EOS: &str = "<eos>";

impl Tokenizer {
    /// A tokenizer as `tokenizer.json` and `tokenizer_config.json` describe it.
    ///
    /// # Errors
    /// A description that the `tokenizers` crate does not understand.
    pub fn new(description: &[u8], config: Value) -> Result<Self> {
        let inner = tokenizers::Tokenizer::from_bytes(description)
            .map_err(|e| Error::Tokenizer(e.to_string()))?;
        let tokens = named_tokens(&config);
        let template = template_of(&config["chat_template"])
            .map(|source| ChatTemplate::new(source, tokens.clone()))
            .transpose()?;
        let eos = tokens.get("eos_token").and_then(Value::as_str);
        Ok(Self {
            inner: Rc::new(inner),
            literal: Rc::default(),
            eos: eos.map(String::from),
            template,
            config,
        })
    }

    /// Reads `tokenizer.json` and, if it is there, `tokenizer_config.json`.
    ///
    /// # Errors
    /// A missing or broken file.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join("tokenizer.json");
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        let settings = dir.join("tokenizer_config.json");
        let mut config: Value = match std::fs::read_to_string(&settings) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|e| Error::file(&settings, format!("not JSON: {e}")))?,
            Err(_) => json!({}),
        };
        // A template in a file of its own comes before the one in the configuration.
        if let Ok(source) = std::fs::read_to_string(dir.join(TEMPLATE)) {
            config["chat_template"] = source.into();
        }
        Self::new(&bytes, config).map_err(|e| Error::file(&path, e))
    }

    /// Whether a folder holds a tokenizer.
    pub fn is_in(dir: &Path) -> bool {
        dir.join("tokenizer.json").is_file()
    }

    /// One token for each character of `alphabet`, after `<pad>` (0) and `<eos>` (1).
    ///
    /// # Errors
    /// An empty alphabet, or a character that stands in it twice.
    pub fn characters(alphabet: &str) -> Result<Self> {
        let mut vocab = serde_json::Map::new();
        vocab.insert(PAD.into(), 0.into());
        vocab.insert(EOS.into(), 1.into());
        for character in alphabet.chars() {
            let id = vocab.len();
            if vocab.insert(character.to_string(), id.into()).is_some() {
                return Err(Error::value(
                    "alphabet",
                    format!("`{character}` twice"),
                    "each character once",
                ));
            }
        }
        if alphabet.is_empty() {
            return Err(Error::value("alphabet", "\"\"", "at least one character"));
        }
        let special = |id: u32, content: &str| {
            json!({ "id": id, "content": content, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": true })
        };
        let description = json!({
            "version": "1.0",
            "added_tokens": [special(0, PAD), special(1, EOS)],
            "pre_tokenizer": { "type": "Split", "pattern": { "Regex": "(?s)." },
                               "behavior": "Isolated", "invert": false },
            "decoder": { "type": "Fuse" },
            // The unknown token is not in the vocabulary: an unknown character is an error.
            "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "<unk>" },
        });
        let config = json!({ "tokenizer_class": "PreTrainedTokenizerFast",
                             "eos_token": EOS, "pad_token": PAD });
        Self::new(description.to_string().as_bytes(), config)
    }

    /// The same tokenizer with another chat template.
    ///
    /// # Errors
    /// A template that is not Jinja.
    pub fn with_template(mut self, source: &str) -> Result<Self> {
        self.config["chat_template"] = source.into();
        self.template = Some(ChatTemplate::new(source, named_tokens(&self.config))?);
        Ok(self)
    }

    /// The ids of a text; special tokens in it are recognised, and none are added.
    ///
    /// # Errors
    /// A character that the tokenizer does not know, by name.
    pub fn encode(&self, text: &str) -> Result<Vec<i32>> {
        Self::encode_with(&self.inner, text)
    }

    /// The ids of a text, each with the bytes of it that it stands for.
    pub(super) fn encode_placed(&self, text: &str) -> Result<Vec<(i32, Range<usize>)>> {
        Self::placed(&self.inner, text)
    }

    /// The ids of a text in which the names of special tokens are text like any other.
    ///
    /// # Errors
    /// As for [`encode`](Self::encode).
    pub fn encode_literal(&self, text: &str) -> Result<Vec<i32>> {
        Self::encode_with(self.literal(), text)
    }

    /// The same, each with the bytes that it stands for.
    pub(super) fn encode_literal_placed(&self, text: &str) -> Result<Vec<(i32, Range<usize>)>> {
        Self::placed(self.literal(), text)
    }

    fn literal(&self) -> &tokenizers::Tokenizer {
        self.literal.get_or_init(|| {
            let mut copy = (*self.inner).clone();
            copy.set_encode_special_tokens(true);
            copy
        })
    }

    fn placed(inner: &tokenizers::Tokenizer, text: &str) -> Result<Vec<(i32, Range<usize>)>> {
        let encoding = inner.encode(text, false);
        let encoding = encoding.map_err(|e| unknown(inner, text, &*e))?;
        let places = encoding.get_offsets().iter();
        let ids = encoding.get_ids().iter();
        Ok(ids
            .zip(places)
            .map(|(id, (start, end))| (*id as i32, *start..*end))
            .collect())
    }

    fn encode_with(inner: &tokenizers::Tokenizer, text: &str) -> Result<Vec<i32>> {
        let encoding = inner.encode_fast(text, false);
        let encoding = encoding.map_err(|e| unknown(inner, text, &*e))?;
        Ok(encoding.get_ids().iter().map(|id| *id as i32).collect())
    }

    /// The text of ids, without special tokens.
    pub fn decode(&self, ids: &[i32]) -> Result<String> {
        let ids: Vec<u32> = ids
            .iter()
            .map(|id| {
                u32::try_from(*id).map_err(|_| Error::TokenId {
                    id: i64::from(*id),
                    vocab_size: self.vocab_size(),
                })
            })
            .collect::<Result<_>>()?;
        self.inner
            .decode(&ids, true)
            .map_err(|e| Error::Tokenizer(e.to_string()))
    }

    /// The number of tokens, added ones included.
    pub fn vocab_size(&self) -> i32 {
        self.inner.get_vocab_size(true) as i32
    }

    /// The id that ends a text, if the tokenizer names one.
    pub fn eos_token_id(&self) -> Option<i32> {
        let id = self.inner.token_to_id(self.eos.as_deref()?)?;
        Some(id as i32)
    }

    /// The token of an id.
    pub fn token(&self, id: i32) -> Option<String> {
        self.inner.id_to_token(u32::try_from(id).ok()?)
    }

    /// Writes `tokenizer.json` and `tokenizer_config.json`.
    pub fn save(&self, dir: &ModelDir) -> Result<()> {
        let path = dir.path().join("tokenizer.json");
        let text = self
            .inner
            .to_string(false)
            .map_err(|e| Error::Tokenizer(e.to_string()))?;
        crate::checkpoint::write_file(&path, text.as_bytes())?;
        dir.write_json("tokenizer_config.json", &self.config)?;
        // The template is in the configuration; that of an earlier model would come before it.
        let other = dir.path().join(TEMPLATE);
        match other.exists() {
            true => std::fs::remove_file(&other).map_err(Error::io(&other)),
            false => Ok(()),
        }
    }
}

/// The character that a text could not be encoded for, if it is one.
fn unknown(inner: &tokenizers::Tokenizer, text: &str, error: &dyn std::error::Error) -> Error {
    let known = |c: &char| inner.encode_fast(c.to_string(), false).is_ok();
    match text.chars().find(|c| !known(c)) {
        Some(c) => Error::Tokenizer(format!("{c:?} in {text:?} is not in its alphabet")),
        None => Error::Tokenizer(error.to_string()),
    }
}

/// The special tokens of `tokenizer_config.json` by name; each is a string there, or an object
/// with a `content`.
fn named_tokens(config: &Value) -> Map<String, Value> {
    let named = NAMED.iter().filter_map(|name| {
        let token = &config[*name];
        let text = token.as_str().or(token["content"].as_str())?;
        Some((name.to_string(), text.into()))
    });
    named.collect()
}

/// A template, or, of a list of named ones, the default.
fn template_of(value: &Value) -> Option<&str> {
    let named = |name: &str| {
        let list = value.as_array()?;
        list.iter().find(|entry| entry["name"] == name)
    };
    let listed = named("default").map(|entry| &entry["template"]);
    value.as_str().or(listed.and_then(Value::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_round_trip() {
        let tokenizer = Tokenizer::characters("0123 \n+=é").unwrap();
        let ids = tokenizer.encode("1+ 2=\n3é").unwrap();
        assert_eq!(ids, [3, 8, 6, 4, 9, 7, 5, 10]);
        assert_eq!(tokenizer.decode(&ids).unwrap(), "1+ 2=\n3é");
        assert_eq!(tokenizer.decode(&[3, 1]).unwrap(), "1");
        assert_eq!(tokenizer.vocab_size(), 11);
        assert_eq!(tokenizer.eos_token_id(), Some(1));
        assert_eq!(tokenizer.token(3).as_deref(), Some("1"));
    }

    #[test]
    fn an_unknown_character_is_named() {
        let tokenizer = Tokenizer::characters("01").unwrap();
        let error = tokenizer.encode("012").unwrap_err().to_string();
        assert!(error.contains("'2'"), "{error}");
        assert!(Tokenizer::characters("00").is_err());
        assert!(Tokenizer::characters("").is_err());
    }

    #[test]
    fn a_saved_tokenizer_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ModelDir::create(folder.path()).unwrap();
        Tokenizer::characters("abc").unwrap().save(&dir).unwrap();
        let loaded = Tokenizer::load(folder.path()).unwrap();
        assert_eq!(loaded.encode("cab").unwrap(), [4, 2, 3]);
        assert_eq!(loaded.eos_token_id(), Some(1));
        assert!(loaded.encode("d").unwrap_err().to_string().contains("'d'"));
    }
}
