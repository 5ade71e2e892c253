//! Log-probabilities of a given text.

use crate::cache;
use crate::error::{Error, Result};
use crate::mlx::{self, Array, interrupt, slice};
use crate::models::Qwen3;
use crate::tensor::{dims3, item, selective_log_softmax};
use mlx_rs::ops;

/// Tokens that are forwarded at once: attention needs memory for each pair of one of them and one
/// that came before.
const TOKENS: i32 = 512;

/// Numbers of a table of logits, `[tokens, V]`, that are computed at once. At 151,936 tokens of
/// vocabulary it is 110 rows.
const LOGITS: i32 = 1 << 24;

/// The log-probability of each of `ids` but the first `known`, after those before it.
///
/// The text is forwarded in chunks through a cache, and the head in still smaller ones, so that a
/// long text needs little more memory than its keys and values.
///
/// # Shapes
/// - returns: f32 `[N - known]`, computed
///
/// # Errors
/// [`Error::Interrupted`].
pub fn score(model: &Qwen3, ids: &[i32], known: usize, temperature: f32) -> Result<Array> {
    let (n, known) = (ids.len() as i32, known as i32);
    // The last token predicts nothing, and what comes before the last known one predicts nothing
    // that is asked for.
    let inputs = Array::from_slice(&ids[..ids.len() - 1], &[1, n - 1]);
    let mut past = cache::full(model.layers.len(), n);
    let mut parts = Vec::new();
    let mut start = 0;
    while start < n - 1 {
        interrupt::check()?;
        let stop = (start + TOKENS).min(n - 1);
        let chunk = slice(&inputs, &[0, start], &[1, stop])?;
        let hidden = model.hidden(&chunk, Some(&mut past))?;
        mlx::eval(&cache::state(&past))?;
        let first = (known - 1).max(start);
        if first < stop {
            let [_, l, e] = dims3(&hidden, "hidden states")?;
            let rows = slice(&hidden, &[0, first - start, 0], &[1, l, e])?.squeeze_axes(&[0])?;
            let targets = &ids[first as usize + 1..=stop as usize];
            parts.extend(head(model, &rows, targets, temperature)?);
        }
        start = stop;
    }
    Ok(ops::concatenate(&parts, 0)?)
}

/// The exponential of the mean negative log-probability of the tokens but the first.
///
/// # Errors
/// Fewer than two tokens; [`Error::Interrupted`].
pub fn perplexity(model: &Qwen3, ids: &[i32]) -> Result<f64> {
    model.check_ids(ids)?;
    if ids.len() < 2 {
        let found = format!("{} tokens", ids.len());
        return Err(Error::value("text", found, "at least two tokens"));
    }
    let logprobs = score(model, ids, 1, 1.0)?;
    Ok(f64::from(-item(&logprobs.mean(false)?)?).exp())
}

/// Log-probabilities of targets after hidden states `[N, E]`, some rows at a time.
fn head(model: &Qwen3, rows: &Array, targets: &[i32], temperature: f32) -> Result<Vec<Array>> {
    let at_once = (LOGITS / model.config.vocab_size.max(1)).max(1);
    let mut parts = Vec::new();
    for (i, targets) in targets.chunks(at_once as usize).enumerate() {
        interrupt::check()?;
        let first = i as i32 * at_once;
        let stop = first + targets.len() as i32;
        let some = slice(rows, &[first, 0], &[stop, rows.dim(1)])?;
        let logits = model.head(&some)?.as_dtype(mlx::Dtype::Float32)?;
        let logits = logits.multiply(Array::from_f32(1.0 / temperature))?;
        let targets = Array::from_slice(targets, &[targets.len() as i32]);
        let logprobs = selective_log_softmax(&logits, &targets)?;
        mlx::eval([&logprobs])?;
        parts.push(logprobs);
    }
    Ok(parts)
}
