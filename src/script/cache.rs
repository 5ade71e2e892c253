//! `cache::` and the `Cache` type: the past of one layer, or of a model's layers.

use super::convert::{self, int};
use super::error::{Answer, At};
use super::settings::Settings;
use super::tensor::Tensor;
use crate::cache::{self, Kind, LayerCache, Mask, Offsets};
use crate::error::{Error, Result};
use crate::mlx::Array;
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, INT, Map, NativeCallContext};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// A cache as a script's value: every copy is the same cache.
#[derive(Clone)]
pub struct Cache {
    layers: Rc<RefCell<cache::Cache>>,
    /// One of the layers, or all of them.
    layer: Option<usize>,
}

impl Cache {
    /// The past of a model.
    pub fn of_model(layers: cache::Cache) -> Self {
        Self {
            layers: Rc::new(RefCell::new(layers)),
            layer: None,
        }
    }

    fn of_layer(layer: LayerCache) -> Self {
        Self {
            layers: Rc::new(RefCell::new(vec![layer])),
            layer: Some(0),
        }
    }

    /// Does something with the layers that it stands for.
    fn each<T>(&self, f: impl FnMut(&mut LayerCache) -> Result<T>) -> Result<Vec<T>> {
        let mut layers = self
            .layers
            .try_borrow_mut()
            .map_err(|_| Error::Unsupported("this cache is in use by a model at work".into()))?;
        match self.layer {
            Some(layer) => layers[layer..=layer].iter_mut().map(f).collect(),
            None => layers.iter_mut().map(f).collect(),
        }
    }

    /// What the first layer answers; all of a model's layers have the same number of tokens.
    fn first<T>(&self, f: impl Fn(&mut LayerCache) -> Result<T>) -> Result<T> {
        let answers = self.each(f)?;
        let none = || Error::value("cache", "no layers", "at least one");
        answers.into_iter().next().ok_or_else(none)
    }

    /// The one layer that keys and values go to.
    fn single<T>(&self, what: &str, f: impl FnMut(&mut LayerCache) -> Result<T>) -> Result<T> {
        match self.layer {
            Some(_) => self.each(f)?.pop(),
            None => None,
        }
        .ok_or_else(|| {
            Error::Unsupported(format!(
                "`{what}` is for the cache of one layer: `cache[0].{what}(..)`"
            ))
        })
    }

    /// Runs a model on the layers.
    ///
    /// # Errors
    /// A cache that is in use; what `f` says.
    pub fn with<T>(&self, f: impl FnOnce(&mut cache::Cache) -> Result<T>) -> Result<T> {
        let mut layers = self
            .layers
            .try_borrow_mut()
            .map_err(|_| Error::Unsupported("this cache is in use by a model at work".into()))?;
        match self.layer {
            None => f(&mut layers),
            Some(layer) => with_moved(&mut layers, layer, f),
        }
    }
}

/// Runs `f` on one layer as if it were a model's only one.
fn with_moved<T>(
    layers: &mut cache::Cache,
    layer: usize,
    f: impl FnOnce(&mut cache::Cache) -> Result<T>,
) -> Result<T> {
    let mut moved = vec![std::mem::replace(&mut layers[layer], LayerCache::full(0))];
    let answer = f(&mut moved);
    if let Some(back) = moved.pop() {
        layers[layer] = back;
    }
    answer
}

/// Runs a model on a cache: a `Cache`, or a list with one for each layer.
///
/// # Errors
/// A value that is neither; a list that names one cache twice; what `f` says.
pub fn with_cache<T>(value: &Dynamic, f: impl FnOnce(&mut cache::Cache) -> Result<T>) -> Result<T> {
    if let Some(cache) = value.read_lock::<Cache>() {
        return cache.with(f);
    }
    let handles = handles(value)?;
    for (i, one) in handles.iter().enumerate() {
        let same =
            |other: &Cache| Rc::ptr_eq(&one.layers, &other.layers) && one.layer == other.layer;
        if handles[..i].iter().any(same) {
            let expected = "a cache of its own for each layer";
            return Err(Error::value("cache", "one cache twice", expected));
        }
    }
    let take = |one: &Cache| one.each(|layer| Ok(std::mem::replace(layer, LayerCache::full(0))));
    let taken = handles.iter().map(take).collect::<Result<Vec<_>>>()?;
    let mut layers = taken.into_iter().flatten().collect();
    let answer = f(&mut layers);
    let mut back = layers.into_iter();
    for one in &handles {
        one.each(|layer| {
            if let Some(own) = back.next() {
                *layer = own;
            }
            Ok(())
        })?;
    }
    answer
}

fn handles(value: &Dynamic) -> Result<Vec<Cache>> {
    let wrong = || Error::value("cache", value.type_name(), "a cache, or a list of them");
    let list = value.read_lock::<List>().ok_or_else(wrong)?;
    let handle = |item: &Dynamic| item.clone().try_cast::<Cache>().ok_or_else(wrong);
    list.iter().map(handle).collect()
}

/// How the caches of a model with heads of this size are to be; `batch` is left to the caller.
///
/// # Errors
/// An unknown kind; settings that the kind does not have.
pub fn kind(s: &mut Settings, head_dim: i32) -> Result<Kind> {
    let mut name = "full".to_string();
    if let Some(given) = s.string("kind")? {
        name = given;
    }
    let max_size = s.integer("max_size")?.map(int).transpose()?;
    let keep = s.integer("keep")?.map(int).transpose()?;
    let bits = s.integer("bits")?.map(int).transpose()?;
    let group_size = s.integer("group_size")?.map(int).transpose()?;
    let unused = |settings: &[(&str, Option<i32>)]| match settings.iter().find(|s| s.1.is_some()) {
        None => Ok(()),
        Some((setting, value)) => {
            let expected = format!("nothing: a {name} cache has no `{setting}`");
            Err(Error::setting(
                *setting,
                value.unwrap_or_default(),
                &expected,
            ))
        }
    };
    let kind = match name.as_str() {
        "full" => {
            let others = [("max_size", max_size), ("keep", keep), ("bits", bits)];
            unused(&others).and(unused(&[("group_size", group_size)]))?;
            Kind::Full
        }
        "rotating" => {
            unused(&[("bits", bits), ("group_size", group_size)])?;
            let expected = "the number of tokens that are kept";
            let max_size =
                max_size.ok_or_else(|| Error::setting("max_size", "nothing", expected))?;
            // The first tokens are looked at by all; mlx-lm keeps four, too.
            let keep = keep.unwrap_or(4.min(max_size - 1).max(0));
            Kind::Rotating { max_size, keep }
        }
        "quantized" => {
            unused(&[("max_size", max_size), ("keep", keep)])?;
            let usual = if head_dim % 64 == 0 { 64 } else { 32 };
            Kind::Quantized {
                bits: bits.unwrap_or(8),
                group_size: group_size.unwrap_or(usual),
            }
        }
        other => {
            let expected = "\"full\", \"rotating\" or \"quantized\"";
            return Err(Error::setting("kind", format!("{other:?}"), expected));
        }
    };
    kind.layer(0)?;
    Ok(kind)
}

/// Padding for each row: a list, or a number of rows without any.
fn padding(value: &Dynamic) -> Result<Vec<i32>> {
    match value.as_int() {
        Ok(rows @ 1..=65536) => Ok(vec![0; rows as usize]),
        Ok(rows) => Err(Error::setting("batch", rows, "at least one row")),
        Err(_) => convert::ids(value),
    }
}

/// The caches that `model.new_cache(settings)` makes.
pub fn new_cache(s: &mut Settings, layers: usize, head_dim: i32) -> Result<cache::Cache> {
    let kind = kind(s, head_dim)?;
    let Some(rows) = s.take("batch") else {
        return kind.cache(layers, 0);
    };
    let rows = padding(&rows)?;
    let layer = || match kind {
        Kind::Full => LayerCache::batch(rows.clone()),
        Kind::Rotating { max_size, keep: _ } => LayerCache::batch_rotating(max_size, rows.clone()),
        Kind::Quantized { .. } => Err(Error::setting(
            "batch",
            "a quantized cache",
            "a full or a rotating one: packed rows cannot be moved",
        )),
    };
    (0..layers).map(|_| layer()).collect()
}

fn mask_value(mask: Mask) -> Dynamic {
    match mask {
        Mask::None => Dynamic::UNIT,
        Mask::Causal => "causal".into(),
        Mask::Array(array) => Dynamic::from(Tensor::new(array)),
    }
}

fn int32(list: &[i32]) -> Dynamic {
    let array = Array::from_slice(list, &[list.len() as i32]);
    Dynamic::from(Tensor::new(array))
}

/// Registers the type and the module.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Cache>("Cache");
    engine.register_global_module(exported_module!(members).into());
    engine.register_static_module("cache", exported_module!(functions).into());
    engine.register_fn("to_string", summary);
    engine.register_fn("to_debug", summary);
}

fn summary(cache: &mut Cache) -> String {
    let told = cache.first(|layer| {
        let (kind, size) = (layer.kind(), layer.size());
        let rows = layer.rows().map(|rows| format!(", {rows} rows"));
        Ok(format!(
            "{kind} cache of {size} tokens{}",
            rows.unwrap_or_default()
        ))
    });
    let layers = match cache.layer {
        Some(_) => String::new(),
        None => {
            let count = cache.layers.try_borrow().map_or(0, |layers| layers.len());
            format!(", {count} layers")
        }
    };
    format!("{}{layers}", told.unwrap_or_else(|_| "cache in use".into()))
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

#[export_module]
mod members {
    /// Appends keys and values, both `[B, H, L, D]`, and gives all that these tokens may attend to:
    /// `[keys, values]`.
    ///
    /// ```rhai
    /// let c = cache::full();
    /// let k = mx::ones([1, 2, 3, 4]);
    /// c.update_and_fetch(k, k);
    /// assert_eq(c.update_and_fetch(k, k)[1].shape, [1, 2, 6, 4]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn update_and_fetch(
        ctx: NativeCallContext,
        c: &mut Cache,
        keys: Tensor,
        values: Tensor,
    ) -> Answer<List> {
        let update = |layer: &mut LayerCache| {
            let (k, v) = layer.update_and_fetch(&keys.0, &values.0)?.dense()?;
            Ok(vec![
                Dynamic::from(Tensor::new(k)),
                Dynamic::from(Tensor::new(v)),
            ])
        };
        c.single("update_and_fetch", update).at(&ctx)
    }

    /// The position of the next token; of the batch kinds a tensor `[B]`, negative for padding.
    ///
    /// ```rhai
    /// assert_eq(cache::full().offset, 0);
    /// assert_eq(cache::batch([2, 0]).offset, [-2, 0]);
    /// ```
    #[rhai_fn(global, get = "offset", pure, return_raw)]
    pub fn offset(ctx: NativeCallContext, c: &mut Cache) -> Answer<Dynamic> {
        let offset = |layer: &mut LayerCache| {
            Ok(match layer.offsets() {
                Offsets::Same(offset) => INT::from(offset).into(),
                Offsets::PerRow(list) => int32(&list),
            })
        };
        c.first(offset).at(&ctx)
    }

    /// How many tokens of each row are held, padding included.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let cache = model.new_cache();
    /// model.forward([[3, 12], [4, 13]], cache);
    /// assert_eq(cache.size, 2);
    /// ```
    #[rhai_fn(global, get = "size", pure, return_raw)]
    pub fn size(ctx: NativeCallContext, c: &mut Cache) -> Answer<INT> {
        c.first(|layer| Ok(layer.size().into())).at(&ctx)
    }

    /// For how many tokens there is room before more memory is asked for.
    ///
    /// ```rhai
    /// let c = cache::full();
    /// assert_eq(c.capacity, 0);
    /// c.update_and_fetch(mx::ones([1, 1, 1, 2]), mx::ones([1, 1, 1, 2]));
    /// assert_eq(c.capacity, 256);
    /// ```
    #[rhai_fn(global, get = "capacity", pure, return_raw)]
    pub fn capacity(ctx: NativeCallContext, c: &mut Cache) -> Answer<INT> {
        c.first(|layer| Ok(layer.capacity().into())).at(&ctx)
    }

    /// Bytes of the buffers, the room for more tokens included.
    ///
    /// ```rhai
    /// let c = cache::full();
    /// c.update_and_fetch(mx::ones([1, 1, 1, 2]), mx::ones([1, 1, 1, 2]));
    /// assert_eq(c.nbytes, 2 * 256 * 2 * 4);
    /// ```
    #[rhai_fn(global, get = "nbytes", pure, return_raw)]
    pub fn nbytes(ctx: NativeCallContext, c: &mut Cache) -> Answer<INT> {
        let bytes = c.each(|layer| Ok(layer.nbytes() as INT)).at(&ctx)?;
        Ok(bytes.into_iter().sum())
    }

    /// `"full"`, `"rotating"`, `"quantized"`, `"batch"` or `"batch_rotating"`.
    ///
    /// ```rhai
    /// assert_eq(cache::full().kind, "full");
    /// ```
    #[rhai_fn(global, get = "kind", pure, return_raw)]
    pub fn kind_name(ctx: NativeCallContext, c: &mut Cache) -> Answer<String> {
        c.first(|layer| Ok(layer.kind().to_string())).at(&ctx)
    }

    /// Padding on the left of each row, a tensor `[B]`; `()` of the kinds without any.
    ///
    /// ```rhai
    /// assert_eq(cache::batch([2, 0]).left_padding, [2, 0]);
    /// ```
    #[rhai_fn(global, get = "left_padding", pure, return_raw)]
    pub fn left_padding(ctx: NativeCallContext, c: &mut Cache) -> Answer<Dynamic> {
        c.first(|layer| Ok(layer.left_padding().map_or(Dynamic::UNIT, int32)))
            .at(&ctx)
    }

    /// The mask for `n` tokens, to be asked before they are appended: a bool tensor in which true
    /// may attend, `"causal"`, or `()` where everything may be seen.
    #[rhai_fn(global, pure, return_raw)]
    pub fn make_mask(ctx: NativeCallContext, c: &mut Cache, n: INT) -> Answer<Dynamic> {
        let n = int(n).at(&ctx)?;
        c.first(|layer| layer.make_mask(n, None).map(mask_value))
            .at(&ctx)
    }

    /// The mask for `n` tokens, to be asked before they are appended: a bool tensor in which true
    /// may attend, `"causal"`, or `()` where everything may be seen. A token sees at most `window`
    /// tokens, itself included.
    ///
    /// ```rhai
    /// let c = cache::full();
    /// assert_eq(c.make_mask(1), ());
    /// assert_eq(c.make_mask(2), "causal");
    /// assert_eq(c.make_mask(3, 2), [[true, false, false], [true, true, false], [false, true, true]]);
    /// assert_eq(cache::batch([1]).make_mask(2)[0][0], [[false, false], [false, true]]);
    /// ```
    #[rhai_fn(global, name = "make_mask", pure, return_raw)]
    pub fn make_mask_within(
        ctx: NativeCallContext,
        c: &mut Cache,
        n: INT,
        window: INT,
    ) -> Answer<Dynamic> {
        let (n, window) = (int(n).at(&ctx)?, int(window).at(&ctx)?);
        c.first(|layer| layer.make_mask(n, Some(window)).map(mask_value))
            .at(&ctx)
    }

    /// Whether tokens can be taken from the end.
    ///
    /// ```rhai
    /// let c = cache::rotating(#{ max_size: 2 });
    /// assert(c.is_trimmable);
    /// c.update_and_fetch(mx::ones([1, 1, 2, 2]), mx::ones([1, 1, 2, 2]));
    /// assert(!c.is_trimmable);
    /// ```
    #[rhai_fn(global, get = "is_trimmable", pure, return_raw)]
    pub fn is_trimmable(ctx: NativeCallContext, c: &mut Cache) -> Answer<bool> {
        let all = c.each(|layer| Ok(layer.is_trimmable())).at(&ctx)?;
        Ok(all.into_iter().all(|one| one))
    }

    /// Takes up to `n` tokens from the end and says how many; an error for a ring that has gone
    /// round, since what its last tokens overwrote is gone.
    ///
    /// ```rhai
    /// let c = cache::full();
    /// c.update_and_fetch(mx::ones([1, 1, 3, 2]), mx::ones([1, 1, 3, 2]));
    /// assert_eq(c.trim(2), 2);
    /// assert_eq(c.trim(2), 1);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn trim(ctx: NativeCallContext, c: &mut Cache, n: INT) -> Answer<INT> {
        let n = int(n).at(&ctx)?;
        // All layers or none: the second look trims.
        let check = |layer: &mut LayerCache| layer.trim(0);
        c.each(check).at(&ctx)?;
        let trimmed = c.each(|layer| layer.trim(n)).at(&ctx)?;
        Ok(trimmed.first().copied().unwrap_or(0).into())
    }

    /// Keeps the given rows, in the given order.
    ///
    /// ```rhai
    /// let c = cache::batch([2, 1, 0]);
    /// c.filter([2, 1]);
    /// assert_eq(c.left_padding, [0, 1]);
    /// ```
    #[rhai_fn(global, name = "filter", pure, return_raw)]
    pub fn filter_rows(ctx: NativeCallContext, c: &mut Cache, rows: Dynamic) -> Answer<()> {
        let filter = || {
            let rows = convert::ids(&rows)?;
            c.each(|layer| layer.filter(&rows)).map(drop)
        };
        filter().at(&ctx)
    }

    /// Adds the rows of another batch cache.
    ///
    /// ```rhai
    /// let a = cache::batch([0]);
    /// let b = cache::batch([0, 0]);
    /// a.update_and_fetch(mx::ones([1, 1, 3, 2]), mx::ones([1, 1, 3, 2]));
    /// b.update_and_fetch(mx::ones([2, 1, 2, 2]), mx::ones([2, 1, 2, 2]));
    /// a.extend(b);
    /// assert_eq(a.left_padding, [0, 1, 1]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn extend(ctx: NativeCallContext, c: &mut Cache, other: Cache) -> Answer<()> {
        let extend = || {
            let others = other.each(|layer| Ok(layer.clone()))?;
            let mut others = others.iter();
            let expected = "a cache with as many layers";
            let fewer = || Error::value("extend", "a cache with fewer layers", expected);
            c.each(|layer| layer.extend(others.next().ok_or_else(fewer)?))
                .map(drop)
        };
        extend().at(&ctx)
    }

    /// One row of a batch cache as a cache of its own, without its padding.
    ///
    /// ```rhai
    /// let c = cache::batch([2, 0]);
    /// c.update_and_fetch(mx::ones([2, 1, 3, 2]), mx::ones([2, 1, 3, 2]));
    /// assert_eq(c.extract(0).size, 1);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn extract(ctx: NativeCallContext, c: &mut Cache, row: INT) -> Answer<Cache> {
        let row = int(row).at(&ctx)?;
        let layers = c.each(|layer| layer.extract(row)).at(&ctx)?;
        Ok(Cache {
            layers: Rc::new(RefCell::new(layers)),
            layer: c.layer.map(|_| 0),
        })
    }

    /// Announces padding of a batch cache: `left_padding` while it is empty, or `right_padding` of
    /// the tokens to come with the `lengths` of the real ones; `finalize()` moves it to the left.
    ///
    /// ```rhai
    /// let c = cache::batch([0, 0]);
    /// c.prepare(#{ lengths: [1, 3], right_padding: [2, 0] });
    /// c.update_and_fetch(mx::ones([2, 1, 3, 2]), mx::ones([2, 1, 3, 2]));
    /// c.finalize();
    /// assert_eq(c.left_padding, [2, 0]);
    /// assert_eq(c.offset, [1, 3]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn prepare(ctx: NativeCallContext, c: &mut Cache, settings: Map) -> Answer<()> {
        let [left, lengths, right] = Settings::read(&ctx, "prepare", settings, |s| {
            Ok([
                s.ids("left_padding")?,
                s.ids("lengths")?,
                s.ids("right_padding")?,
            ])
        })?;
        c.each(|layer| layer.prepare(left.as_deref(), lengths.as_deref(), right.as_deref()))
            .map(drop)
            .at(&ctx)
    }

    /// Moves announced padding from the right to the left.
    ///
    /// ```rhai
    /// let c = cache::batch([0]);
    /// c.finalize();
    /// assert_eq(c.left_padding, [0]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn finalize(ctx: NativeCallContext, c: &mut Cache) -> Answer<()> {
        c.each(LayerCache::finalize).map(drop).at(&ctx)
    }

    /// How many layers there are.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 3, num_attention_heads: 2 };
    /// assert_eq(lm::qwen3(config, #{ seed: 1 }).new_cache().len(), 3);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn len(ctx: NativeCallContext, c: &mut Cache) -> Answer<INT> {
        Ok(c.each(|_| Ok(())).at(&ctx)?.len() as INT)
    }

    /// The cache of one layer; it stays a part of the model's.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1 });
    /// let past = model.new_cache();
    /// model.forward([1, 2], past);
    /// assert_eq(past[1].size, 2);
    /// ```
    #[rhai_fn(global, index_get, pure, return_raw)]
    pub fn layer(ctx: NativeCallContext, c: &mut Cache, index: INT) -> Answer<Cache> {
        let count = c.each(|_| Ok(())).at(&ctx)?.len();
        let from_end = if index < 0 {
            index + count as INT
        } else {
            index
        };
        match usize::try_from(from_end).ok().filter(|i| *i < count) {
            Some(i) => Ok(Cache {
                layers: c.layers.clone(),
                layer: Some(c.layer.unwrap_or(i)),
            }),
            None => {
                let expected = format!("a layer from 0 to {}", count.saturating_sub(1));
                Err(Error::value("cache", format!("index {index}"), &expected)).at(&ctx)
            }
        }
    }
}
