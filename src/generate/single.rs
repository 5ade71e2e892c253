//! One completion that continues a cache somebody keeps: a conversation, say.

use super::live::{Live, Row};
use super::settings::{Generated, Observer, Request};
use super::step::prefill;
use crate::cache::{self, Cache};
use crate::error::{Error, Result};
use crate::mlx::{self, Array, interrupt};
use crate::models::Qwen3;
use crate::sampling::Sampler;

/// Completes a request whose prompt goes on where the cache ends. Afterwards the cache holds the
/// prompt and everything that was generated, whatever ended it.
///
/// # Errors
/// A bad setting, an empty prompt, a text longer than the model's, a cache of several rows.
pub fn continue_cache(
    model: &Qwen3,
    cache: &mut Cache,
    request: &Request,
    prefill_step_size: usize,
    observer: &mut dyn Observer,
) -> Result<Generated> {
    request.check(model)?;
    let before = cache.first().map_or(0, position);
    request.check_length(before as usize, model.config.max_position_embeddings)?;
    if cache.first().and_then(|layer| layer.rows()).unwrap_or(1) != 1 {
        return Err(Error::value("cache", "several rows", "a cache of one row"));
    }
    // 1. The prompt, and the first token.
    let ids = Array::from_slice(&request.prompt, &[1, request.prompt.len() as i32]);
    let logits = prefill(model, cache, &ids, prefill_step_size)?;
    let context = Sampler::rows(std::slice::from_ref(&request.sampling))?.context();
    let rows = vec![Row::new(0, request)];
    let mut live = Live::start(rows, std::mem::take(cache), &logits, context)?;
    // 2. The others.
    let mut ended = Vec::new();
    let mut outcome = Ok(());
    while ended.is_empty() && outcome.is_ok() {
        match live.tick(model, !interrupt::is_set(), observer) {
            Ok(rows) => ended = rows,
            Err(error) => outcome = Err(error),
        }
    }
    *cache = live.cache;
    outcome?;
    // 3. A step that was under way has put the last token into the cache; else it goes in now.
    let done = ended.pop().map_or_else(Generated::nothing, |row| row.done);
    let whole = before + (request.prompt.len() + done.token_ids.len()) as i32;
    let held = cache.first().map_or(0, position);
    if let (true, Some(last)) = (held < whole, done.token_ids.last()) {
        let last = Array::from_slice(&[*last], &[1, 1]);
        model.hidden(&last, Some(cache))?;
    }
    mlx::eval(&cache::state(cache))?;
    Ok(done)
}

fn position(layer: &cache::LayerCache) -> i32 {
    match layer.offsets() {
        cache::Offsets::Same(offset) => offset,
        cache::Offsets::PerRow(list) => list.first().copied().unwrap_or(0),
    }
}
