//! The `Model` type: a handle on a network and its tokenizer.

use super::convert::{self, from_json};
use super::error::{Answer, At};
use super::generate::{Pieces, complete, one_or_list};
use super::settings::Settings;
use super::tensor::Tensor;
use super::tokenizer::Tokenizer;
use crate::cache;
use crate::error::Error;
use crate::generate::Silent;
use crate::nn::Params;
use crate::tensor::dtype;
use crate::text::{LanguageModel, SharedModel};
use crate::train::{Batch, completion_logprobs};
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, FnPtr, INT, Map, NativeCallContext};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// A model as a script's value: every copy is the same model.
#[derive(Clone, Debug)]
pub struct Model(pub SharedModel);

impl Model {
    /// A handle on a new model.
    pub fn new(model: LanguageModel) -> Self {
        Self(Rc::new(RefCell::new(model)))
    }
}

/// Registers the type.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Model>("Model");
    engine.register_global_module(exported_module!(members).into());
    engine.register_fn("to_string", summary);
    engine.register_fn("to_debug", summary);
}

fn summary(model: &mut Model) -> String {
    let model = model.0.borrow();
    let config = &model.network.config;
    let tokenizer = match &model.tokenizer {
        Some(tokenizer) => format!("tokenizer of {}", tokenizer.vocab_size()),
        None => "no tokenizer".into(),
    };
    format!(
        "{} with {} parameters: {} layers, hidden {}, heads {}/{}, vocabulary {}, {}, {tokenizer}",
        config.model_type,
        model.network.num_parameters(),
        config.num_hidden_layers,
        config.hidden_size,
        config.num_attention_heads,
        config.num_key_value_heads,
        config.vocab_size,
        dtype::name(model.network.dtype()),
    )
}

#[export_module]
mod members {
    /// The configuration, as a map of the keys of `config.json`.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// assert_eq(model.config.num_hidden_layers, 1);
    /// assert_eq(model.config.head_dim, 8);
    /// ```
    #[rhai_fn(global, get = "config", pure)]
    pub fn config(m: &mut Model) -> Dynamic {
        from_json(&m.0.borrow().network.config.to_json())
    }

    /// How many numbers the weights hold.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let sizes = model.parameters().values().map(|weight| weight.size);
    /// assert_eq(model.num_parameters, sizes.reduce(|a, b| a + b, 0));
    /// ```
    #[rhai_fn(global, get = "num_parameters", pure)]
    pub fn num_parameters(m: &mut Model) -> INT {
        m.0.borrow().network.num_parameters() as INT
    }

    /// The name of the weights' element type.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// assert_eq(model.dtype, "float32");
    /// ```
    #[rhai_fn(global, get = "dtype", pure)]
    pub fn dtype_name(m: &mut Model) -> String {
        dtype::name(m.0.borrow().network.dtype()).into()
    }

    /// The tokenizer, or `()` where the model has none.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// assert_eq(model.tokenizer.encode("12"), [3, 4]);
    /// ```
    #[rhai_fn(global, get = "tokenizer", pure)]
    pub fn tokenizer(m: &mut Model) -> Dynamic {
        let tokenizer = m.0.borrow().tokenizer.clone();
        tokenizer.map_or(Dynamic::UNIT, |t| Dynamic::from(Tokenizer(Rc::new(t))))
    }

    /// All weights, as a map of checkpoint name to tensor.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let weights = model.parameters();
    /// assert_eq(weights["model.embed_tokens.weight"].shape, [14, 16]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn parameters(ctx: NativeCallContext, m: &mut Model) -> Answer<Map> {
        let named = m.0.borrow().network.parameters().at(&ctx)?;
        let tensor = |(name, array): (String, _)| (name.into(), Tensor::new(array));
        let tensors = named.into_iter().map(tensor);
        Ok(tensors.map(|(name, t)| (name, Dynamic::from(t))).collect())
    }

    /// The tensor of one weight, by its checkpoint name.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// assert_eq(model.parameter("model.norm.weight"), mx::ones([16]));
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn parameter(ctx: NativeCallContext, m: &mut Model, name: &str) -> Answer<Tensor> {
        let found = m.0.borrow().network.parameter(name);
        found.map(Tensor::new).at(&ctx)
    }

    /// Replaces one weight by a tensor of the same shape; it takes the weight's element type.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// model.set_parameter("model.norm.weight", mx::ones([16]) * 2.0);
    /// assert_eq(model.parameter("model.norm.weight"), mx::full([16], 2.0));
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn set_parameter(
        ctx: NativeCallContext,
        m: &mut Model,
        name: &str,
        value: Tensor,
    ) -> Answer<()> {
        let set = || {
            let mut model = m.0.borrow_mut();
            model.network.set_parameter(name, &value.0)
        };
        set().at(&ctx)
    }

    /// Logits of every position: ids `[B, L]`, or `[L]` as one row, give `[B, L, V]`.
    #[rhai_fn(global, pure, return_raw)]
    pub fn forward(ctx: NativeCallContext, m: &mut Model, ids: Dynamic) -> Answer<Tensor> {
        let forward = || {
            let ids = convert::id_batch(&ids)?;
            let model = m.0.borrow();
            model.network.check_ids(&crate::tensor::to_i32(&ids)?)?;
            model.network.forward(&ids, None).map(Tensor::new)
        };
        forward().at(&ctx)
    }

    /// Logits of tokens that continue what a cache holds; the cache then holds these too. Ids
    /// `[B, L]`, or `[L]` as one row, give `[B, L, V]`.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let all = model.forward([3, 12, 4]);
    /// let cache = model.new_cache();
    /// model.forward([3, 12], cache);
    /// assert_close(model.forward([4], cache)[[0, 0]], all[[0, 2]], 1e-5);
    /// ```
    #[rhai_fn(global, name = "forward", pure, return_raw)]
    pub fn forward_cached(
        ctx: NativeCallContext,
        m: &mut Model,
        ids: Dynamic,
        cache: Cache,
    ) -> Answer<Tensor> {
        let forward = || {
            let ids = convert::id_batch(&ids)?;
            let model = m.0.borrow();
            model.network.check_ids(&crate::tensor::to_i32(&ids)?)?;
            let mut cache = cache.0.borrow_mut();
            model
                .network
                .forward(&ids, Some(&mut cache))
                .map(Tensor::new)
        };
        forward().at(&ctx)
    }

    /// An empty cache of keys and values for this model's layers.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let cache = model.new_cache();
    /// assert_eq(cache.size, 0);
    /// ```
    #[rhai_fn(global, pure)]
    pub fn new_cache(m: &mut Model) -> Cache {
        let layers = m.0.borrow().network.layers.len();
        Cache(Rc::new(RefCell::new(cache::full(layers, 0))))
    }

    /// How many tokens of each row a cache holds.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let cache = model.new_cache();
    /// model.forward([[3, 12], [4, 13]], cache);
    /// assert_eq(cache.size, 2);
    /// ```
    #[rhai_fn(global, get = "size", pure)]
    pub fn cache_size(c: &mut Cache) -> INT {
        c.0.borrow().first().map_or(0, |layer| layer.size().into())
    }

    /// Log-probability of each of T completion ids after a prompt's ids, `[T]`, at temperature 1.
    #[rhai_fn(global, pure, return_raw)]
    pub fn logprobs(
        ctx: NativeCallContext,
        m: &mut Model,
        prompt: Dynamic,
        completion: Dynamic,
    ) -> Answer<Tensor> {
        logprobs_with(ctx, m, prompt, completion, Map::new())
    }

    /// Log-probability of each of T completion ids after a prompt's ids: `[T]`, in nats. Settings:
    /// `temperature` (1), which divides the logits.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let p = model.logprobs([3, 12], [4, 13], #{ temperature: 0.5 });
    /// let logits = model.forward([3, 12, 4]) / 0.5;
    /// assert_close(p[0], logits.log_softmax(-1)[[0, 1, 4]], 1e-4);
    /// ```
    #[rhai_fn(global, name = "logprobs", pure, return_raw)]
    pub fn logprobs_with(
        ctx: NativeCallContext,
        m: &mut Model,
        prompt: Dynamic,
        completion: Dynamic,
        settings: Map,
    ) -> Answer<Tensor> {
        let temperature = Settings::read(&ctx, "logprobs", settings, |s| {
            let mut temperature = 1.0;
            s.single("temperature", &mut temperature)?;
            if temperature > 0.0 {
                Ok(temperature)
            } else {
                Err(Error::setting(
                    "temperature",
                    temperature,
                    "a positive number",
                ))
            }
        })?;
        let compute = || {
            let model = m.0.borrow();
            let (prompt, completion) = (convert::ids(&prompt)?, convert::ids(&completion)?);
            model.check_prompt(&prompt)?;
            if completion.is_empty() {
                return Err(Error::value("completion", "no tokens", "at least one"));
            }
            model.network.check_ids(&completion)?;
            let batch = Batch::new(&[(&prompt, &completion)]);
            completion_logprobs(&model.network, &batch, temperature).map(Tensor::new)
        };
        compute().at(&ctx)
    }

    /// Writes the model, and its tokenizer if it has one, to a folder in Hugging Face layout; the
    /// folder is made if it is not there.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// model.save("target/examples/save");
    /// let loaded = lm::load("target/examples/save");
    /// assert_close(loaded.forward([3, 12]), model.forward([3, 12]), 1e-6);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn save(ctx: NativeCallContext, m: &mut Model, path: &str) -> Answer<()> {
        m.0.borrow().save(Path::new(path)).at(&ctx)
    }

    /// Completes a prompt: a string, or a list of token ids.
    #[rhai_fn(global, name = "generate", pure, return_raw)]
    pub fn generate_plain(
        ctx: NativeCallContext,
        m: &mut Model,
        prompt: Dynamic,
    ) -> Answer<Dynamic> {
        generate_with(ctx, m, prompt, Map::new())
    }

    /// Completes a prompt, a string or a list of token ids: a `Completion`, or a list of them where
    /// `num_samples` is above 1. Settings: `max_tokens`, `temperature`, `top_p`, `top_k`, `min_p`,
    /// `min_tokens_to_keep`, `seed`, `stop_token_ids`, `num_samples`, `prefill_step_size`.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let c = model.generate("1+2=", #{ max_tokens: 4, temperature: 0.8, seed: 3 });
    /// assert(c.num_tokens <= 4);
    /// assert_eq(model.generate([3, 12], #{ max_tokens: 2, num_samples: 3, seed: 3 }).len(), 3);
    /// ```
    #[rhai_fn(global, name = "generate", pure, return_raw)]
    pub fn generate_with(
        ctx: NativeCallContext,
        m: &mut Model,
        prompt: Dynamic,
        settings: Map,
    ) -> Answer<Dynamic> {
        let mut lists = complete(m, &[prompt], settings, &mut Silent).at(&ctx)?;
        Ok(one_or_list(lists.remove(0)))
    }

    /// Completes several prompts together, with the settings of `generate`: a list with what
    /// `generate` gives for each prompt.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let settings = #{ max_tokens: 4, temperature: 0 };
    /// let list = model.generate_batch(["1+2=", "3="], settings);
    /// assert_eq(list[1].token_ids, model.generate("3=", settings).token_ids);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn generate_batch(
        ctx: NativeCallContext,
        m: &mut Model,
        prompts: List,
        settings: Map,
    ) -> Answer<List> {
        let lists = complete(m, &prompts, settings, &mut Silent).at(&ctx)?;
        Ok(lists.into_iter().map(one_or_list).collect())
    }

    /// Completes several prompts together with the default settings.
    #[rhai_fn(global, name = "generate_batch", pure, return_raw)]
    pub fn generate_batch_plain(
        ctx: NativeCallContext,
        m: &mut Model,
        prompts: List,
    ) -> Answer<List> {
        generate_batch(ctx, m, prompts, Map::new())
    }

    /// Completes a prompt, with the settings of `generate`, and gives each piece of text to a
    /// closure as it comes. What it gives back is what `generate` does.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let pieces = "";
    /// let settings = #{ max_tokens: 4, temperature: 0 };
    /// let c = model.stream("1+2=", settings, |piece| pieces += piece);
    /// assert_eq(pieces, c.raw_text);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn stream(
        ctx: NativeCallContext,
        m: &mut Model,
        prompt: Dynamic,
        settings: Map,
        f: FnPtr,
    ) -> Answer<Dynamic> {
        let tokenizer = m.0.borrow().tokenizer().at(&ctx)?.clone();
        let mut pieces = Pieces::new(&ctx, f, tokenizer);
        let mut lists = complete(m, &[prompt], settings, &mut pieces).at(&ctx)?;
        pieces.finish().at(&ctx)?;
        Ok(one_or_list(lists.remove(0)))
    }
}

/// The past of a model's layers as a script's value.
#[derive(Clone)]
pub struct Cache(Rc<RefCell<cache::Cache>>);
