//! The one decode step, and the forward of prompts.

use crate::cache::{self, Cache};
use crate::error::Result;
use crate::mlx::{self, Array, slice};
use crate::models::Qwen3;
use crate::tensor::dims2;

/// Forwards one token for each row: the logits of the next.
///
/// # Shapes
/// - tokens: `[B]`
/// - returns: `[B, V]`
pub fn step(model: &Qwen3, cache: &mut Cache, tokens: &Array) -> Result<Array> {
    let hidden = model.hidden(&tokens.expand_dims(-1)?, Some(cache))?;
    model.head(&hidden.squeeze_axes(&[1])?)
}

/// Forwards whole prompts of one length, in chunks, and returns the logits after the last token.
///
/// # Shapes
/// - ids: `[B, L]`
/// - returns: `[B, V]`
pub fn prefill(model: &Qwen3, cache: &mut Cache, ids: &Array, chunk: usize) -> Result<Array> {
    let mut start = 0;
    loop {
        if let Some(logits) = prefill_chunk(model, cache, ids, &mut start, chunk)? {
            return Ok(logits);
        }
    }
}

/// Forwards the tokens from `start` on, at most `chunk` of them, and moves `start`; after the last
/// it gives the logits.
///
/// Only the last token goes through the rest of the last layer and the head: the logits of a long
/// prompt would take more memory than everything else.
///
/// # Shapes
/// - ids: `[B, L]`
/// - returns: `[B, V]`
pub fn prefill_chunk(
    model: &Qwen3,
    cache: &mut Cache,
    ids: &Array,
    start: &mut i32,
    chunk: usize,
) -> Result<Option<Array>> {
    mlx::interrupt::check()?;
    let [b, l] = dims2(ids, "prompt ids")?;
    let stop = start
        .saturating_add(chunk.min(i32::MAX as usize) as i32)
        .min(l);
    let chunk = slice(ids, &[0, *start], &[b, stop])?;
    *start = stop;
    if stop == l {
        return model.head(&model.last_hidden(&chunk, cache)?).map(Some);
    }
    // Of what follows from a chunk only keys and values are computed.
    model.hidden(&chunk, Some(cache))?;
    // Bounds the graph, and with it the memory, to one chunk.
    mlx::eval(&cache::state(cache))?;
    Ok(None)
}
