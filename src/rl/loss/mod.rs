//! The policy loss, a pure function of arrays.
//!
//! Formulas and metrics are those of TRL 1.16. What its versions before did otherwise, in the first two
//! of these, and what a caller has to know:
//! - `dapo`, `cispo` and `vespo` divide by `num_items_in_batch`, the tokens of the whole optimiser
//!   step and not of what was generated at once: the caller gives that number.
//! - `luspo` is the mean over sequences of their summed token losses, at either level of the ratio
//!   and with any mask, so padding never enters.
//! - `bnpo` divides by the tokens of the call. A step in micro-batches is the step in one batch if the
//!   caller weighs each by its tokens: `gradient_accumulation_steps` = tokens of the step over
//!   tokens of the micro-batch.

mod filters;
mod inputs;
mod objective;
mod settings;

pub(super) use filters::at_least;
pub use filters::{entropy_threshold, high_entropy_mask};
pub use inputs::LossInputs;
pub use settings::{LossSettings, LossType, Ratio};

use crate::error::{Error, Result};
use crate::mlx::autograd::stop_gradient;
use crate::mlx::{Array, Dtype};
use filters::off_policy_mask;
use inputs::{Tokens, bounded_exp, number, same_shape};
use mlx_rs::ops;
use objective::{at_most, objective};

/// The loss `[]`, and numbers to watch, each `[]` and under TRL's name:
/// - `clip_ratio/low_mean`, `high_mean`, `region_mean`: shares of the tokens, or of the sequences at
///   that level; `clip_ratio/low_min` and `high_max`: the smallest and largest share of a sequence;
/// - `cispo_clip_ratio` of `cispo`, `vespo/phi_seq_mean` of `vespo`, neither of `sapo`;
/// - `kl` where `beta` is above 0;
/// - `policy_loss` and `entropy` where there is an entropy bonus: the loss without it, not divided by
///   `gradient_accumulation_steps`, and the mean entropy of all tokens.
///
/// Per token the policy term ([`LossType`]), times the off-policy mask, the entropy mask and the
/// importance ratio, plus `beta` times the k3 estimator of the divergence
/// (<http://joschu.net/blog/kl-approx.html>); masked tokens count in the divisor. The bonus is
/// `entropy_coef` times the mean entropy of the tokens that the policy term acts on.
///
/// Everything is f32. Nothing at a masked position has any effect, whatever stands there, and a
/// batch without tokens has loss and gradient 0. Log-ratios beyond 84 are held there, without a
/// gradient.
///
/// # Errors
/// Arrays of another shape than `logprobs`; a setting out of its range, or one without the input that
/// it needs.
pub fn loss(inputs: &LossInputs, settings: &LossSettings) -> Result<(Array, Vec<(String, Array)>)> {
    settings.check()?;
    let share = inputs.gradient_accumulation_steps;
    if !(share > 0.0 && share.is_finite()) {
        let expected = "a positive number";
        return Err(Error::setting(
            "gradient_accumulation_steps",
            share,
            expected,
        ));
    }
    let mut watched = Vec::new();
    let tokens = Tokens::new(inputs, settings)?;
    let ratio = tokens.ratio()?;
    // 1. The policy term, and what it acts on.
    let mut x = objective(&tokens, &ratio, inputs, settings, &mut watched)?;
    if let Some(threshold) = settings.off_policy_mask_threshold {
        x = x.multiply(off_policy_mask(&tokens, inputs, threshold)?)?;
    }
    let entropies = entropies(&tokens, inputs, settings)?;
    let kept = match &entropies {
        Some(entropies) => kept(&tokens, entropies, inputs, settings)?,
        None => None,
    };
    if let Some(kept) = &kept {
        x = x.multiply(kept)?;
    }
    if let (Some(ratio), true) = (
        inputs.importance_ratio,
        settings.loss_type != LossType::Vespo,
    ) {
        let ratio = tokens.per_row(ratio, "importance_ratio", 1.0)?;
        x = x.multiply(stop_gradient(&ratio)?)?;
    }
    // 2. The divergence from the reference, of every token.
    if settings.beta > 0.0 {
        let kl = divergence(&tokens, &ratio, inputs, settings)?;
        x = x.add(kl.multiply(number(settings.beta))?)?;
        watched.push(("kl".to_string(), tokens.mean(&kl)?));
    }
    // 3. One number.
    let policy = reduce(&tokens, &x, inputs, settings.loss_type)?;
    let mut loss = policy.clone();
    if let (Some(entropies), true) = (&entropies, settings.entropy_coef != 0.0) {
        let acted_on = match &kept {
            Some(kept) => tokens.mask.multiply(kept)?,
            None => tokens.mask.clone(),
        };
        let count = match inputs.num_entropies {
            Some(count) => number(count.max(1.0)),
            None => ops::maximum(&acted_on.sum(false)?, number(1.0))?.multiply(number(share))?,
        };
        let mean = entropies.multiply(&acted_on)?.sum(false)?.divide(count)?;
        loss = loss.subtract(mean.multiply(number(settings.entropy_coef))?)?;
        let undivided = stop_gradient(&policy)?.multiply(number(share))?;
        watched.push(("policy_loss".to_string(), undivided));
        let mean = tokens.mean(&stop_gradient(entropies)?)?;
        watched.push(("entropy".to_string(), mean));
    }
    Ok((loss, watched))
}

/// The entropies, where they are asked for.
fn entropies(
    tokens: &Tokens,
    inputs: &LossInputs,
    settings: &LossSettings,
) -> Result<Option<Array>> {
    match inputs.entropies {
        _ if !settings.needs_entropies() => Ok(None),
        Some(entropies) => Ok(Some(tokens.clean(entropies, "entropies")?)),
        None => {
            let why = "an array, because of top_entropy_quantile or entropy_coef";
            Err(Error::value("entropies", "none", why))
        }
    }
}

/// 1 for the tokens of high entropy, else 0; `None` is all.
fn kept(
    tokens: &Tokens,
    entropies: &Array,
    inputs: &LossInputs,
    settings: &LossSettings,
) -> Result<Option<Array>> {
    if settings.top_entropy_quantile >= 1.0 {
        return Ok(None);
    }
    if let Some(kept) = inputs.entropy_kept {
        return Ok(Some(same_shape(kept, tokens.shape, "entropy_kept")?));
    }
    let entropies = stop_gradient(entropies)?;
    let threshold = match inputs.entropy_threshold {
        Some(threshold) => number(threshold),
        None => {
            let quantile = 1.0 - settings.top_entropy_quantile;
            entropy_threshold(&entropies, &tokens.mask, quantile)?
        }
    };
    let kept = at_least(&entropies, &tokens.real, &threshold)?;
    Ok(Some(kept.as_dtype(Dtype::Float32)?))
}

/// `exp(d) - d - 1` with `d = ref - log p`, `[B, T]`.
fn divergence(
    tokens: &Tokens,
    ratio: &Array,
    inputs: &LossInputs,
    settings: &LossSettings,
) -> Result<Array> {
    let Some(reference) = inputs.ref_logprobs else {
        let why = "an array, because beta > 0";
        return Err(Error::value("ref_logprobs", "none", why));
    };
    let d = tokens.clean(reference, "ref_logprobs")?;
    let d = d.subtract(&tokens.logprobs)?;
    let kl = bounded_exp(&d)?.subtract(&d)?.subtract(number(1.0))?;
    match settings.use_bias_correction_kl {
        // Both factors are finite; their product may leave f32.
        true => at_most(&kl.multiply(ratio)?, 1e36),
        false => Ok(kl),
    }
}

/// Token losses `[B, T]` or `[B, 1]` as one number, of which the step's micro-batches are the sum.
fn reduce(tokens: &Tokens, x: &Array, inputs: &LossInputs, loss_type: LossType) -> Result<Array> {
    let [b, t] = tokens.shape;
    let share = number(inputs.gradient_accumulation_steps);
    let x = tokens.spread(x)?;
    let rows = x.sum_axis(-1, true)?;
    let total = rows.sum(false)?;
    let here = || -> Result<Array> { Ok(ops::maximum(&tokens.mask.sum(false)?, number(1.0))?) };
    Ok(match loss_type {
        LossType::Grpo | LossType::Sapo => {
            rows.divide(&tokens.lengths)?.mean(false)?.divide(share)?
        }
        LossType::Luspo => rows.mean(false)?.divide(share)?,
        LossType::Bnpo => total.divide(here()?)?.divide(share)?,
        LossType::DrGrpo => {
            let longest = inputs.max_completion_length.unwrap_or(t);
            let rooms = number(b as f32 * longest.max(1) as f32);
            total.divide(rooms)?.divide(share)?
        }
        LossType::Dapo | LossType::Cispo | LossType::Vespo => match inputs.num_items_in_batch {
            Some(items) => total.divide(number(items.max(1.0)))?,
            None => total.divide(here()?)?,
        },
    })
}

#[cfg(test)]
mod tests;
