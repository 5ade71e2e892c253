//! What a cache has and does.

use super::Cache;
use crate::cache::{LayerCache, Mask, Offsets};
use crate::error::Error;
use crate::mlx::Array;
use crate::script::convert::{self, int};
use crate::script::error::{Answer, At};
use crate::script::settings::Settings;
use crate::script::tensor::Tensor;
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, INT, Map, NativeCallContext};
use std::cell::RefCell;
use std::rc::Rc;

/// Registers the members.
pub fn register(global: &mut Module) {
    global.combine(exported_module!(members));
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
    /// let config = #{ vocab_size: 9, hidden_size: 16, num_hidden_layers: 3, num_attention_heads: 2 };
    /// assert_eq(lm::qwen3(config, #{ seed: 1 }).new_cache().len(), 3);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn len(ctx: NativeCallContext, c: &mut Cache) -> Answer<INT> {
        Ok(c.each(|_| Ok(())).at(&ctx)?.len() as INT)
    }

    /// The cache of one layer; it stays a part of the model's.
    ///
    /// ```rhai
    /// let config = #{ vocab_size: 9, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2 };
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
