//! Which tokens and sequences the policy term acts on.

use super::inputs::{LossInputs, Tokens, number};
use crate::error::{Error, Result};
use crate::mlx::autograd::stop_gradient;
use crate::mlx::{Array, Dtype};
use crate::tensor::dims2;
use mlx_rs::ops;

/// The tokens whose entropy is at or above a quantile of all unmasked ones; none if all are masked.
///
/// `quantile` 0.8 keeps the highest fifth, 0 all, 1 the highest and what equals it
/// (<https://arxiv.org/abs/2506.01939>).
///
/// # Shapes
/// - entropies, mask: `[B, L]`
/// - returns: bool `[B, L]`
///
/// # Errors
/// Two shapes; a quantile outside 0 to 1.
pub fn high_entropy_mask(entropies: &Array, mask: &Array, quantile: f32) -> Result<Array> {
    let shape = dims2(entropies, "entropies")?;
    if mask.shape() != shape {
        let expected = format!("{shape:?}, as entropies");
        return Err(Error::shape("mask", expected, mask.shape()));
    }
    let real = mask.as_dtype(Dtype::Float32)?.gt(number(0.0))?;
    if entropies.size() == 0 {
        return Ok(real);
    }
    let threshold = entropy_threshold(entropies, mask, quantile)?;
    at_least(entropies, &real, &threshold)
}

/// The quantile `[]` of the entropies at unmasked tokens, interpolated linearly as
/// `torch.quantile` does; infinite if all are masked.
///
/// # Errors
/// Two sizes; nothing to take a quantile of; a quantile outside 0 to 1.
pub fn entropy_threshold(entropies: &Array, mask: &Array, quantile: f32) -> Result<Array> {
    if !(0.0..=1.0).contains(&quantile) {
        return Err(Error::value("quantile", quantile, "a number from 0 to 1"));
    }
    if entropies.size() == 0 || entropies.shape() != mask.shape() {
        let expected = format!("{:?} with at least one element", mask.shape());
        return Err(Error::shape("entropies", expected, entropies.shape()));
    }
    // 1. Masked positions go to the end of the order.
    let real = mask.as_dtype(Dtype::Float32)?.gt(number(0.0))?;
    let entropies = stop_gradient(&entropies.as_dtype(Dtype::Float32)?)?;
    let last = ops::select(&real, &entropies, number(f32::INFINITY))?;
    let sorted = ops::sort_axis(&last.flatten(None, None)?, 0)?;
    // 2. The two neighbours of the rank. One token or none: both are the first.
    let count = real.as_dtype(Dtype::Float32)?.sum(false)?;
    let steps = ops::maximum(&count.subtract(number(1.0))?, number(0.0))?;
    let rank = steps.multiply(number(quantile))?;
    let whole = rank.floor()?;
    let at = |rank: &Array| -> Result<Array> {
        let index = rank.as_dtype(Dtype::Int32)?.reshape(&[1])?;
        Ok(sorted.take_axis(&index, 0)?.reshape(&[])?)
    };
    let (low, high) = (at(&whole)?, at(&ops::ceil(&rank)?)?);
    // 3. Between them, from the nearer one, so that a whole rank is exactly its value.
    let part = rank.subtract(&whole)?;
    let gap = high.subtract(&low)?;
    let rest = number(1.0).subtract(&part)?;
    let from_low = low.add(gap.multiply(&part)?)?;
    let from_high = high.subtract(gap.multiply(&rest)?)?;
    let between = ops::select(&part.lt(number(0.5))?, &from_low, &from_high)?;
    // Infinity minus infinity is not a number; equal neighbours are their own quantile.
    Ok(ops::select(&low.eq(&high)?, &low, &between)?)
}

/// Where an entropy is at least the threshold and its token counts.
pub fn at_least(entropies: &Array, real: &Array, threshold: &Array) -> Result<Array> {
    let entropies = entropies.as_dtype(Dtype::Float32)?;
    Ok(entropies.ge(threshold)?.logical_and(real)?)
}

/// 0 for sequences of negative advantage that the policy has left, else 1; `[B, 1]` or `[B, T]` as
/// the advantages.
///
/// The distance is the mean over a sequence of `log sampler - log policy`
/// (<https://arxiv.org/abs/2512.02556>).
pub(super) fn off_policy_mask(
    tokens: &Tokens,
    inputs: &LossInputs,
    threshold: f32,
) -> Result<Array> {
    let sampler = match inputs.sampling_logprobs {
        Some(logprobs) => tokens.clean(logprobs, "sampling_logprobs")?,
        None => tokens.old.clone(),
    };
    let apart = sampler.subtract(stop_gradient(&tokens.logprobs)?)?;
    // A token that the sampler did not score is no evidence.
    let apart = ops::select(&apart.is_nan()?, number(0.0), &apart)?;
    let total = apart.multiply(&tokens.mask)?.sum_axis(-1, true)?;
    let near = total.divide(&tokens.lengths)?.le(number(threshold))?;
    let kept = tokens.advantages.ge(number(0.0))?.logical_or(&near)?;
    stop_gradient(&kept.as_dtype(Dtype::Float32)?)
}
