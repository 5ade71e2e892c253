//! A network with its tokenizer.

use super::{TemplateOptions, Tokenizer};
use crate::checkpoint::{ModelDir, read_gguf};
use crate::error::{Error, Result};
use crate::mlx::Dtype;
use crate::models::{Config, Qwen3, SHARD_BYTES, id_list};
use serde_json::{Map, Value};
use std::cell::{RefCell, RefMut};
use std::path::Path;
use std::rc::Rc;

/// A network, how text becomes its ids, and which ids end a text.
#[derive(Clone, Debug)]
pub struct LanguageModel {
    pub network: Qwen3,
    pub tokenizer: Option<Tokenizer>,
    pub eos_token_ids: Vec<i32>,
    /// `generation_config.json`, kept so that it can be written back.
    pub generation: Map<String, Value>,
}

const GENERATION: &str = "generation_config.json";

/// The one copy of a model that a script, its samplers and its trainer share.
pub type SharedModel = Rc<RefCell<LanguageModel>>;

/// The model, to be changed.
///
/// # Errors
/// It is at work: a closure that is called while it writes tries to change it.
pub fn change(model: &SharedModel) -> Result<RefMut<'_, LanguageModel>> {
    model.try_borrow_mut().map_err(|_| {
        Error::Unsupported(
            "this model is at work; it can be changed when what it writes is done".into(),
        )
    })
}

impl LanguageModel {
    /// Random weights. With a tokenizer, its end token becomes the model's if the configuration
    /// names none.
    ///
    /// # Errors
    /// A tokenizer with more tokens than the model has embeddings.
    pub fn random(
        mut config: Config,
        tokenizer: Option<Tokenizer>,
        seed: u64,
        dtype: Dtype,
    ) -> Result<Self> {
        if let Some(tokenizer) = &tokenizer {
            if tokenizer.vocab_size() > config.vocab_size {
                return Err(Error::setting(
                    "vocab_size",
                    config.vocab_size,
                    &format!("at least the tokenizer's {}", tokenizer.vocab_size()),
                ));
            }
            if let (true, Some(id)) = (config.eos_token_id.is_null(), tokenizer.eos_token_id()) {
                config.eos_token_id = id.into();
            }
        }
        let eos_token_ids = config.eos_token_ids();
        Ok(Self {
            network: Qwen3::random(config, seed, dtype)?,
            tokenizer,
            eos_token_ids,
            generation: Map::new(),
        })
    }

    /// Loads a folder in Hugging Face layout, or a GGUF file; one without a tokenizer loads too.
    ///
    /// # Errors
    /// Those of [`Qwen3::load`] and [`Tokenizer::load`].
    pub fn load(path: &Path, dtype: Option<Dtype>) -> Result<Self> {
        let is_gguf = path.extension().is_some_and(|e| e == "gguf");
        match is_gguf && !path.is_dir() {
            true => Self::load_gguf(path, dtype),
            false => Self::load_folder(path, dtype),
        }
    }

    fn load_gguf(path: &Path, dtype: Option<Dtype>) -> Result<Self> {
        let file = read_gguf(path)?;
        let tokenizer = Tokenizer::from_gguf(&file.metadata).map_err(|e| Error::file(path, e))?;
        let network = Qwen3::from_gguf(file, path, dtype)?;
        Ok(Self {
            eos_token_ids: network.config.eos_token_ids(),
            network,
            tokenizer,
            generation: Map::new(),
        })
    }

    fn load_folder(dir: &Path, dtype: Option<Dtype>) -> Result<Self> {
        let network = Qwen3::load(dir, dtype)?;
        let tokenizer = Tokenizer::is_in(dir)
            .then(|| Tokenizer::load(dir))
            .transpose()?;
        let generation = generation_config(dir)?;
        // It has the last word on which ids end a text.
        let mut eos_token_ids = match generation.get("eos_token_id") {
            Some(ids) if !ids.is_null() => id_list(ids),
            _ => network.config.eos_token_ids(),
        };
        if eos_token_ids.is_empty() {
            eos_token_ids.extend(tokenizer.as_ref().and_then(Tokenizer::eos_token_id));
        }
        Ok(Self {
            network,
            tokenizer,
            eos_token_ids,
            generation,
        })
    }

    /// Writes the folder that [`load`](Self::load) reads.
    pub fn save(&self, dir: &Path) -> Result<()> {
        self.save_sharded(dir, SHARD_BYTES)
    }

    /// The same, with the weights in files of up to so many bytes.
    pub fn save_sharded(&self, dir: &Path, shard_bytes: usize) -> Result<()> {
        let dir = ModelDir::create(dir)?;
        self.network.save(&dir, shard_bytes)?;
        if let Some(tokenizer) = &self.tokenizer {
            tokenizer.save(&dir)?;
        }
        let mut generation = self.generation.clone();
        generation.insert("eos_token_id".into(), self.eos_token_ids.clone().into());
        dir.write_json(GENERATION, &generation)
    }

    /// The tokenizer, or an error that says how to get one.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        self.tokenizer.as_ref().ok_or(Error::NoTokenizer)
    }

    /// The ids of a prompt, checked.
    ///
    /// # Errors
    /// No tokenizer, an unknown character, an empty prompt.
    pub fn encode_prompt(&self, prompt: &str) -> Result<Vec<i32>> {
        let ids = self.tokenizer()?.encode(prompt)?;
        self.check_prompt(&ids)?;
        Ok(ids)
    }

    /// The ids of a conversation, checked; the assistant is to go on.
    ///
    /// # Errors
    /// No tokenizer, one without a template, messages that are none.
    pub fn encode_messages(&self, messages: &Value, options: &TemplateOptions) -> Result<Vec<i32>> {
        let ids = self.tokenizer()?.encode_messages(messages, options)?;
        self.check_prompt(&ids)?;
        Ok(ids)
    }

    /// An error if a prompt is empty or holds an id that the model does not know.
    pub fn check_prompt(&self, ids: &[i32]) -> Result<()> {
        if ids.is_empty() {
            return Err(Error::value(
                "prompt",
                "an empty prompt",
                "at least one token",
            ));
        }
        self.network.check_ids(ids)
    }
}

/// `generation_config.json`, if it is there.
///
/// # Errors
/// A file that is no object of JSON.
fn generation_config(dir: &Path) -> Result<Map<String, Value>> {
    let path = dir.join(GENERATION);
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Ok(Map::new());
    };
    serde_json::from_str(&text).map_err(|e| Error::file(&path, format!("not JSON: {e}")))
}
