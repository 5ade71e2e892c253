//! The `Model` type: a handle on a network and its tokenizer.

mod scoring;
mod weights;
mod writing;

use super::cache::{Cache, new_cache as cache_layers, with_cache};
use super::convert::{self, from_json};
use super::error::{Answer, At};
use super::settings::Settings;
use super::tensor::Tensor;
use super::tokenizer::Tokenizer;
use crate::cache;
use crate::error::Result;
use crate::nn::Params;
use crate::tensor::dtype;
use crate::text::{self, LanguageModel, SharedModel};
use rhai::plugin::*;
use rhai::{Dynamic, Engine, INT, Map, NativeCallContext};
use std::cell::{RefCell, RefMut};
use std::rc::Rc;

/// A model as a script's value: every copy is the same model.
#[derive(Clone, Debug)]
pub struct Model(pub SharedModel);

impl Model {
    /// A handle on a new model.
    pub fn new(model: LanguageModel) -> Self {
        Self(Rc::new(RefCell::new(model)))
    }

    /// The model, to be changed.
    ///
    /// # Errors
    /// It is at work: a closure that is called while it writes tries to change it.
    fn change(&self) -> Result<RefMut<'_, LanguageModel>> {
        text::change(&self.0)
    }
}

/// Registers the type.
pub fn register(engine: &mut Engine, global: &mut Module) {
    engine.register_type_with_name::<Model>("Model");
    global.combine(exported_module!(members));
    scoring::register(global);
    writing::register(global);
    weights::register(global);
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

    /// Logits of tokens that continue what a cache holds, `model.new_cache()` or a list with a cache
    /// for each layer; the cache then holds these too. Ids `[B, L]`, or `[L]` as one row, give
    /// `[B, L, V]`.
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
        cache: Dynamic,
    ) -> Answer<Tensor> {
        let forward = || {
            let ids = convert::id_batch(&ids)?;
            let model = m.0.borrow();
            model.network.check_ids(&crate::tensor::to_i32(&ids)?)?;
            with_cache(&cache, |cache| {
                let logits = model.network.forward(&ids, Some(cache))?;
                Ok(Tensor::new(logits))
            })
        };
        forward().at(&ctx)
    }

    /// An empty cache of this model's layers that keeps every token.
    #[rhai_fn(global, name = "new_cache", pure)]
    pub fn new_cache_plain(m: &mut Model) -> Cache {
        let layers = m.0.borrow().network.layers.len();
        Cache::of_model(cache::full(layers, 0))
    }

    /// An empty cache of keys and values for this model's layers. Settings: `kind` (`"full"`,
    /// `"rotating"` or `"quantized"`); of rotating ones `max_size` and `keep` (4), how many tokens are
    /// kept in all and from the beginning; of quantised ones `bits` (8) and `group_size`; `batch`,
    /// a list with the padding on the left of each row.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let cache = model.new_cache(#{ kind: "rotating", max_size: 8, keep: 2 });
    /// for i in 0..20 { model.forward([3], cache); }
    /// assert_eq([cache.offset, cache.size], [20, 8]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn new_cache(ctx: NativeCallContext, m: &mut Model, settings: Map) -> Answer<Cache> {
        let (layers, head_dim) = {
            let model = m.0.borrow();
            (model.network.layers.len(), model.network.config.head_dim)
        };
        let layers = Settings::read(&ctx, "new_cache", settings, |s| {
            cache_layers(s, layers, head_dim)
        })?;
        Ok(Cache::of_model(layers))
    }
}
