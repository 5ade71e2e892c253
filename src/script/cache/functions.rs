//! The module `cache::`.

use super::{Cache, handles, with_cache};
use crate::cache::{self, LayerCache};
use crate::error::{Error, Result};
use crate::script::convert::{self, int};
use crate::script::error::{Answer, At};
use crate::script::settings::Settings;
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, Map, NativeCallContext};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// Registers the module.
pub fn register(engine: &mut Engine) {
    engine.register_static_module("cache", exported_module!(functions).into());
}

#[export_module]
mod functions {
    /// A cache of one layer that keeps every token.
    ///
    /// ```rhai
    /// let c = cache::full();
    /// let k = mx::ones([1, 1, 3, 2]);
    /// assert_eq(c.update_and_fetch(k, k)[0].shape, [1, 1, 3, 2]);
    /// assert_eq([c.offset, c.size, c.capacity], [3, 3, 256]);
    /// ```
    pub fn full() -> Cache {
        Cache::of_layer(LayerCache::full(0))
    }

    /// A cache of one layer that keeps the first `keep` (0) and the latest tokens, `max_size` in all.
    ///
    /// ```rhai
    /// let c = cache::rotating(#{ max_size: 4, keep: 2 });
    /// for i in 0..6 {
    ///     let k = mx::full([1, 1, 1, 1], i);
    ///     c.update_and_fetch(k, k);
    /// }
    /// let k = mx::full([1, 1, 1, 1], 6);
    /// assert_eq(c.update_and_fetch(k, k)[0].flatten(), [0, 1, 6, 5]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn rotating(ctx: NativeCallContext, settings: Map) -> Answer<Cache> {
        let layer = Settings::read(&ctx, "cache::rotating", settings, |s| {
            let expected = "the number of tokens that are kept";
            let max_size = s.integer("max_size")?;
            let max_size =
                max_size.ok_or_else(|| Error::setting("max_size", "nothing", expected))?;
            let keep = s.integer("keep")?.unwrap_or(0);
            LayerCache::rotating(int(max_size)?, int(keep)?)
        })?;
        Ok(Cache::of_layer(layer))
    }

    /// A cache of one layer that keeps every token in few bits: `bits` (8), `group_size` (64).
    ///
    /// ```rhai
    /// let c = cache::quantized(#{ bits: 8, group_size: 32 });
    /// let k = mx::arange(0, 64).reshape([1, 1, 2, 32]).astype("float32");
    /// assert_close(c.update_and_fetch(k, k)[0], k, 0.1);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn quantized(ctx: NativeCallContext, settings: Map) -> Answer<Cache> {
        let layer = Settings::read(&ctx, "cache::quantized", settings, |s| {
            let bits = s.integer("bits")?.unwrap_or(8);
            let group_size = s.integer("group_size")?.unwrap_or(64);
            LayerCache::quantized(int(bits)?, int(group_size)?)
        })?;
        Ok(Cache::of_layer(layer))
    }

    /// A cache of one layer for rows of different lengths, each with so much padding on its left.
    ///
    /// ```rhai
    /// let c = cache::batch([1, 0]);
    /// assert_eq(c.offset, [-1, 0]);
    /// let k = mx::ones([2, 1, 3, 2]);
    /// c.update_and_fetch(k, k);
    /// assert_eq(c.offset, [2, 3]);
    /// c.filter([0]);
    /// assert_eq(c.left_padding, [0]);
    /// assert_eq(c.size, 2);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn batch(ctx: NativeCallContext, left_padding: Dynamic) -> Answer<Cache> {
        let layer = convert::ids(&left_padding).and_then(LayerCache::batch);
        layer.map(Cache::of_layer).at(&ctx)
    }

    /// A cache of one layer that keeps the latest `max_size` tokens of rows with padding on their
    /// left: `max_size`, `left_padding`.
    ///
    /// ```rhai
    /// let c = cache::batch_rotating(#{ max_size: 2, left_padding: [1, 0] });
    /// for i in 0..3 { c.update_and_fetch(mx::ones([2, 1, 1, 2]), mx::ones([2, 1, 1, 2])); }
    /// assert_eq(c.offset, [2, 3]);
    /// assert_eq(c.size, 2);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn batch_rotating(ctx: NativeCallContext, settings: Map) -> Answer<Cache> {
        let layer = Settings::read(&ctx, "cache::batch_rotating", settings, |s| {
            let needed = |name: &str, what: &str| Error::setting(name, "nothing", what);
            let max_size = s.integer("max_size")?;
            let max_size =
                max_size.ok_or_else(|| needed("max_size", "the number of tokens that are kept"))?;
            let padding = s.ids("left_padding")?;
            let padding =
                padding.ok_or_else(|| needed("left_padding", "a list, one number for each row"))?;
            LayerCache::batch_rotating(int(max_size)?, padding)
        })?;
        Ok(Cache::of_layer(layer))
    }

    /// One batch cache of a list of full caches, or of rotating ones; shorter ones are padded on the
    /// left.
    ///
    /// ```rhai
    /// let a = cache::full();
    /// let b = cache::full();
    /// a.update_and_fetch(mx::ones([1, 1, 3, 2]), mx::ones([1, 1, 3, 2]));
    /// b.update_and_fetch(mx::ones([1, 1, 1, 2]), mx::ones([1, 1, 1, 2]));
    /// assert_eq(cache::merge([a, b]).left_padding, [0, 2]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn merge(ctx: NativeCallContext, list: List) -> Answer<Cache> {
        let merged = || {
            let handles = handles(&list.into())?;
            let layers: Vec<Vec<LayerCache>> = handles
                .iter()
                .map(|one| one.each(|layer| Ok(layer.clone())))
                .collect::<Result<_>>()?;
            let count = layers.first().map_or(1, Vec::len);
            if layers.iter().any(|other| other.len() != count) {
                let expected = "caches with one number of layers";
                return Err(Error::value(
                    "merge",
                    "caches of different models",
                    expected,
                ));
            }
            let merge =
                |i: usize| LayerCache::merge(&layers.iter().map(|one| &one[i]).collect::<Vec<_>>());
            let merged = (0..count).map(merge).collect::<Result<Vec<_>>>()?;
            let is_model = handles.first().is_some_and(|one| one.layer.is_none());
            Ok(Cache {
                layers: Rc::new(RefCell::new(merged)),
                layer: (!is_model).then_some(0),
            })
        };
        merged().at(&ctx)
    }

    /// Writes a model's cache, or a list of caches, to a safetensors file.
    ///
    /// ```rhai
    /// let c = cache::rotating(#{ max_size: 8 });
    /// c.update_and_fetch(mx::ones([1, 1, 3, 2]), mx::ones([1, 1, 3, 2]));
    /// cache::save("target/examples/prompt.safetensors", [c]);
    /// let loaded = cache::load("target/examples/prompt.safetensors");
    /// assert_eq(loaded[0].offset, 3);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn save(ctx: NativeCallContext, path: &str, caches: Dynamic) -> Answer<()> {
        let model = caches
            .read_lock::<Cache>()
            .is_some_and(|c| c.layer.is_none());
        let save = |layers: &mut cache::Cache| {
            let layers: Vec<&LayerCache> = layers.iter().collect();
            cache::save(Path::new(path), &layers, model)
        };
        with_cache(&caches, save).at(&ctx)
    }

    /// What `cache::save` wrote: a model's cache, or a list of caches.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let prompt = model.new_cache();
    /// model.forward([3, 12], prompt);
    /// cache::save("target/examples/model-prompt.safetensors", prompt);
    /// let loaded = cache::load("target/examples/model-prompt.safetensors");
    /// assert_close(model.forward([4], loaded), model.forward([4], prompt), 1e-6);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn load(ctx: NativeCallContext, path: &str) -> Answer<Dynamic> {
        let (layers, model) = cache::load(Path::new(path)).at(&ctx)?;
        if model {
            return Ok(Dynamic::from(Cache::of_model(layers)));
        }
        let caches = layers.into_iter().map(Cache::of_layer).map(Dynamic::from);
        Ok(caches.collect::<List>().into())
    }
}
