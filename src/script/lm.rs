//! `lm::`: models and tokenizers from disk or from nothing.

use super::convert::to_json;
use super::error::{Answer, At};
use super::host::Host;
use super::model::Model;
use super::settings::Settings;
use super::tokenizer::Tokenizer;
use crate::error::{Error, Result, nearest};
use crate::hub::{self, Wanted};
use crate::mlx::{Dtype, random};
use crate::models::Config;
use crate::tensor::dtype;
use crate::text::{self, LanguageModel};
use rhai::plugin::*;
use rhai::{Dynamic, Engine, Map, NativeCallContext};
use serde_json::Value;
use std::path::PathBuf;
use std::rc::Rc;

/// Registers the module.
pub fn register(engine: &mut Engine) {
    engine.register_static_module("lm", exported_module!(functions).into());
}

fn config(value: &Dynamic, tokenizer: Option<&text::Tokenizer>) -> Result<Config> {
    if value.is_string() {
        return Config::preset(&value.to_string());
    }
    let mut json = to_json(value)?;
    if let Some(fields) = json.as_object() {
        check_keys(fields)?;
    }
    if let (Some(fields), Some(tokenizer)) = (json.as_object_mut(), tokenizer) {
        fields
            .entry("vocab_size")
            .or_insert_with(|| tokenizer.vocab_size().into());
    }
    Config::from_json(json)
}

/// Keys that nobody reads are kept, since files have many; one that is a slip of the pen is not.
fn check_keys(fields: &serde_json::Map<String, Value>) -> Result<()> {
    let known = Config::keys();
    let (own, others): (Vec<&String>, Vec<&String>) =
        fields.keys().partition(|key| known.contains(key));
    let free = known.iter().filter(|key| !own.contains(key));
    let free: Vec<&str> = free.map(String::as_str).collect();
    match others
        .iter()
        .find_map(|key| Some((key, nearest(key, free.iter().copied())?)))
    {
        Some((key, near)) => Err(Error::value(
            "config",
            format!("the key `{key}`"),
            &format!("`{near}`"),
        )),
        None => Ok(()),
    }
}

/// Where a model is that a script names.
fn locate(
    ctx: &NativeCallContext,
    name: &str,
    revision: Option<&str>,
    wanted: Wanted,
) -> Result<PathBuf> {
    let mut watcher = (Host::of(ctx).download)();
    hub::locate(name, revision.unwrap_or(hub::MAIN), wanted, &mut *watcher)
}

/// The element type of a model's weights.
fn of_weights(name: &str) -> Result<Dtype> {
    let dtype = dtype::parse(name)?;
    match dtype.is_float() {
        true => Ok(dtype),
        false => Err(Error::setting(
            "dtype",
            name,
            "float32, bfloat16 or float16",
        )),
    }
}

#[export_module]
mod functions {
    /// A Qwen3 with random weights: a preset (`"0.6b"`) or a map of `config.json` keys.
    #[rhai_fn(return_raw)]
    pub fn qwen3(ctx: NativeCallContext, config: Dynamic) -> Answer<Model> {
        qwen3_with(ctx, config, Map::new())
    }

    /// A Qwen3 with random weights: a preset or a map of `config.json` keys. Settings: `seed`,
    /// `dtype` (`"float32"`), `tokenizer`, which also gives the vocabulary size and the end token
    /// where the configuration names none.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let tokenizer = lm::char_tokenizer("0123456789+=");
    /// let model = lm::qwen3(config, #{ seed: 1, dtype: "bfloat16", tokenizer: tokenizer });
    /// assert_eq(model.dtype, "bfloat16");
    /// assert_eq(model.config.vocab_size, 14);
    /// ```
    #[rhai_fn(name = "qwen3", return_raw)]
    pub fn qwen3_with(ctx: NativeCallContext, config: Dynamic, settings: Map) -> Answer<Model> {
        let (seed, dtype, tokenizer) = Settings::read(&ctx, "lm::qwen3", settings, |s| {
            let seed = s.integer("seed")?.map(|seed| seed as u64);
            let mut dtype = Dtype::Float32;
            s.named("dtype", &mut dtype, of_weights)?;
            let tokenizer: Option<Tokenizer> = s.value("tokenizer", "a tokenizer")?;
            Ok((seed.unwrap_or_else(random::fresh_seed), dtype, tokenizer))
        })?;
        let make = || {
            let tokenizer = tokenizer.as_ref().map(|t| (*t.0).clone());
            let config = super::config(&config, tokenizer.as_ref())?;
            LanguageModel::random(config, tokenizer, seed, dtype)
        };
        make().map(Model::new).at(&ctx)
    }

    /// Loads a model from a folder in Hugging Face layout, a GGUF file, or the hub.
    #[rhai_fn(return_raw)]
    pub fn load(ctx: NativeCallContext, name: &str) -> Answer<Model> {
        load_with(ctx, name, Map::new())
    }

    /// Loads a model from a folder in Hugging Face layout, a GGUF file, or the hub by its id
    /// (`"Qwen/Qwen3-0.6B"`; first from the cache that Python's tools share, then by a download).
    /// Settings: `dtype`; without it, the weights are `float32` on the CPU and keep the element
    /// type of the files on a GPU. `revision` (`"main"`), a branch, tag or commit of the hub.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// model.save("target/examples/load");
    /// let loaded = lm::load("target/examples/load", #{ dtype: "bfloat16" });
    /// assert_eq(loaded.dtype, "bfloat16");
    /// assert_eq(loaded.num_parameters, model.num_parameters);
    /// ```
    #[rhai_fn(name = "load", return_raw)]
    pub fn load_with(ctx: NativeCallContext, name: &str, settings: Map) -> Answer<Model> {
        let (wanted, revision) = Settings::read(&ctx, "lm::load", settings, |s| {
            let dtype = s.string("dtype")?.map(|name| of_weights(&name));
            Ok((dtype.transpose()?, s.string("revision")?))
        })?;
        let path = locate(&ctx, name, revision.as_deref(), Wanted::Model).at(&ctx)?;
        LanguageModel::load(&path, wanted).map(Model::new).at(&ctx)
    }

    /// The tokenizer of a model's folder or of a model of the hub, from its `tokenizer.json`.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// model.save("target/examples/tokenizer");
    /// assert_eq(lm::tokenizer("target/examples/tokenizer").encode("1+2="), [3, 12, 4, 13]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn tokenizer(ctx: NativeCallContext, name: &str) -> Answer<Tokenizer> {
        locate(&ctx, name, None, Wanted::Tokenizer)
            .and_then(|path| text::Tokenizer::load(&path))
            .map(|t| Tokenizer(Rc::new(t)))
            .at(&ctx)
    }

    /// A tokenizer with one token for each character of an alphabet, after `<pad>` (0) and `<eos>`
    /// (1).
    #[rhai_fn(return_raw)]
    pub fn char_tokenizer(ctx: NativeCallContext, alphabet: &str) -> Answer<Tokenizer> {
        char_tokenizer_with(ctx, alphabet, Map::new())
    }

    /// A tokenizer with one token for each character of an alphabet, after `<pad>` (0) and `<eos>`
    /// (1). Settings: `chat_template`, a Jinja template by which messages become text.
    ///
    /// ```rhai
    /// let t = lm::char_tokenizer("0123456789+=");
    /// assert_eq(t.vocab_size, 14);
    /// assert_eq(t.encode("0+1="), [2, 12, 3, 13]);
    /// ```
    #[rhai_fn(name = "char_tokenizer", return_raw)]
    pub fn char_tokenizer_with(
        ctx: NativeCallContext,
        alphabet: &str,
        settings: Map,
    ) -> Answer<Tokenizer> {
        let template = Settings::read(&ctx, "lm::char_tokenizer", settings, |s| {
            s.string("chat_template")
        })?;
        let make = || match &template {
            Some(template) => text::Tokenizer::characters(alphabet)?.with_template(template),
            None => text::Tokenizer::characters(alphabet),
        };
        make().map(|t| Tokenizer(Rc::new(t))).at(&ctx)
    }
}
