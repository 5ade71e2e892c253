//! The one decode step.

use crate::cache::{self, Cache};
use crate::error::Result;
use crate::mlx::{self, Array, slice};
use crate::models::Qwen3;
use crate::sampling::{Draw, Sampler};
use crate::tensor::dims2;

/// Forwards one token for each row and draws the next.
///
/// # Shapes
/// - tokens: `[B]`
/// - uniforms: one number for each row
pub fn step(
    model: &Qwen3,
    cache: &mut Cache,
    tokens: &Array,
    sampler: &Sampler,
    uniforms: &[f32],
) -> Result<Draw> {
    let hidden = model.hidden(&tokens.expand_dims(-1)?, Some(cache))?;
    let logits = model.head(&hidden.squeeze_axes(&[1])?)?;
    sampler.draw(&logits, uniforms)
}

/// Forwards whole prompts of one length, in chunks, and returns the logits after the last token.
///
/// Only the last hidden state goes through the head: the logits of a long prompt would take more
/// memory than everything else.
///
/// # Shapes
/// - ids: `[B, L]`
/// - returns: `[B, V]`
pub fn prefill(model: &Qwen3, cache: &mut Cache, ids: &Array, chunk: usize) -> Result<Array> {
    let [b, l] = dims2(ids, "prompt ids")?;
    let mut start = 0;
    loop {
        mlx::interrupt::check()?;
        let stop = (start + chunk as i32).min(l);
        let hidden = model.hidden(&slice(ids, &[0, start], &[b, stop])?, Some(cache))?;
        if stop == l {
            let [_, n, e] = crate::tensor::dims3(&hidden, "hidden states")?;
            let last = slice(&hidden, &[0, n - 1, 0], &[b, n, e])?;
            return model.head(&last.squeeze_axes(&[1])?);
        }
        // Bounds the graph, and with it the memory, to one chunk.
        mlx::eval(&cache::state(cache))?;
        start = stop;
    }
}
