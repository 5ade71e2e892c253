//! The policy term of a token, by type of loss.

use super::inputs::{LossInputs, Tokens, number};
use super::settings::{LossSettings, LossType};
use crate::error::Result;
use crate::mlx::autograd::stop_gradient;
use crate::mlx::{Array, Dtype};
use mlx_rs::ops;

/// Numbers to watch, each `[]`.
pub(super) type Watched = Vec<(String, Array)>;

/// The policy term, `[B, T]` or `[B, 1]`, of a ratio of such a shape.
pub(super) fn objective(
    tokens: &Tokens,
    ratio: &Array,
    inputs: &LossInputs,
    settings: &LossSettings,
    watched: &mut Watched,
) -> Result<Array> {
    match settings.loss_type {
        LossType::Cispo => truncated(tokens, ratio, settings, watched),
        LossType::Sapo => gated(tokens, ratio, settings),
        LossType::Vespo => weighted(tokens, inputs, settings, watched),
        LossType::Grpo | LossType::Dapo | LossType::DrGrpo | LossType::Bnpo | LossType::Luspo => {
            clipped(tokens, ratio, settings, watched)
        }
    }
}

/// `-min(r A, clip(r, 1 - epsilon, 1 + epsilon_high) A)`, with `r` at most `delta` on the left.
fn clipped(
    tokens: &Tokens,
    ratio: &Array,
    settings: &LossSettings,
    watched: &mut Watched,
) -> Result<Array> {
    let (low, high) = (number(1.0 - settings.epsilon), number(settings.high()));
    let inside = ops::clip(ratio, (&low, &high))?;
    let capped = match settings.delta {
        Some(delta) => at_most(ratio, delta)?,
        None => ratio.clone(),
    };
    let free = capped.multiply(&tokens.advantages)?;
    let held = inside.multiply(&tokens.advantages)?;
    // Where both are equal, as on-policy, the gradient is that of the unclipped one, also if
    // epsilon is 0.
    let least = ops::select(&free.le(&held)?, &free, &held)?;
    watch_clipping(tokens, &capped, [&low, &high], watched)?;
    Ok(least.negative()?)
}

/// The shares of tokens, or of sequences, that the clip leaves without a gradient.
fn watch_clipping(
    tokens: &Tokens,
    ratio: &Array,
    [low, high]: [&Array; 2],
    watched: &mut Watched,
) -> Result<()> {
    let ratio = stop_gradient(ratio)?;
    let negative = tokens.advantages.lt(number(0.0))?;
    let positive = tokens.advantages.gt(number(0.0))?;
    let is_low = ratio.lt(low)?.logical_and(&negative)?;
    let is_high = ratio.gt(high)?.logical_and(&positive)?;
    let region = is_low.logical_or(&is_high)?.as_dtype(Dtype::Float32)?;
    let is_low = is_low.as_dtype(Dtype::Float32)?;
    let is_high = is_high.as_dtype(Dtype::Float32)?;
    let mut watch = |name: &str, value| watched.push((format!("clip_ratio/{name}"), value));
    watch("low_mean", tokens.mean(&is_low)?);
    watch("high_mean", tokens.mean(&is_high)?);
    watch("region_mean", tokens.mean(&region)?);
    watch("low_min", tokens.extremes(&is_low)?.0);
    watch("high_max", tokens.extremes(&is_high)?.1);
    Ok(())
}

/// `-sg(min(r, epsilon_high)) A log p`: every token keeps a gradient, of a bounded weight.
fn truncated(
    tokens: &Tokens,
    ratio: &Array,
    settings: &LossSettings,
    watched: &mut Watched,
) -> Result<Array> {
    let ratio = stop_gradient(ratio)?;
    let high = number(settings.high());
    let positive = tokens.advantages.gt(number(0.0))?;
    let is_high = ratio.gt(&high)?.logical_and(&positive)?;
    let share = tokens.mean(&is_high.as_dtype(Dtype::Float32)?)?;
    watched.push(("cispo_clip_ratio".into(), share));
    let weight = ops::minimum(&ratio, &high)?.multiply(&tokens.advantages)?;
    Ok(weight.multiply(&tokens.logprobs)?.negative()?)
}

/// `-(4 / tau) sigmoid(tau (r - 1)) A`, whose gradient on-policy is that of `-A log p`.
fn gated(tokens: &Tokens, ratio: &Array, settings: &LossSettings) -> Result<Array> {
    let positive = tokens.advantages.gt(number(0.0))?;
    let (above, below) = (settings.sapo_temperature_pos, settings.sapo_temperature_neg);
    let tau = ops::select(&positive, number(above), number(below))?;
    let gate = ops::sigmoid(ratio.subtract(number(1.0))?.multiply(&tau)?)?;
    let gate = gate.multiply(number(4.0))?.divide(&tau)?;
    Ok(gate.multiply(&tokens.advantages)?.negative()?)
}

/// `-sg(phi(w)) A log p`, with `w` the product of a sequence's ratios and of its importance ratios.
fn weighted(
    tokens: &Tokens,
    inputs: &LossInputs,
    settings: &LossSettings,
    watched: &mut Watched,
) -> Result<Array> {
    // The bounds are those of the paper's code, which TRL keeps too.
    let (least, most) = (number(1e-8f32.ln()), number(20.0));
    // 1. The log of w.
    let log_ratio = stop_gradient(&tokens.logprobs.subtract(&tokens.old)?)?;
    let log_ratio = ops::clip(&log_ratio, (number(-20.0), &most))?;
    let mut log_w = log_ratio.multiply(&tokens.mask)?.sum_axis(-1, true)?;
    if let Some(ratio) = inputs.importance_ratio {
        let ratio = stop_gradient(&tokens.per_row(ratio, "importance_ratio", 1.0)?)?;
        let log = ops::clip(&ratio.log()?, (&least, &most))?;
        log_w = log_w.add(log.sum_axis(-1, true)?)?;
    }
    let log_w = ops::clip(&log_w, (&least, &most))?;
    // 2. The weight; beyond f32 it is 0.
    let good = tokens.advantages.ge(number(0.0))?;
    let by_sign = |pos: f32, neg: f32| ops::select(&good, number(pos), number(neg));
    let k = by_sign(settings.vespo_k_pos, settings.vespo_k_neg)?;
    let lambda = by_sign(
        settings.vespo_lambda_pos.max(1e-4),
        settings.vespo_lambda_neg.max(1e-4),
    )?;
    let log_phi = lambda
        .add(k.multiply(&log_w)?)?
        .subtract(lambda.multiply(log_w.exp()?)?)?;
    let phi = log_phi.exp()?;
    let phi = stop_gradient(&ops::select(&phi.is_finite()?, &phi, number(0.0))?)?;
    // One number a row, or one a token if advantages are.
    let mean = match phi.dim(-1) {
        1 => phi.mean(false)?,
        _ => tokens.mean(&phi)?,
    };
    watched.push(("vespo/phi_seq_mean".into(), mean));
    let weight = phi.multiply(&tokens.advantages)?;
    Ok(weight.multiply(&tokens.logprobs)?.negative()?)
}

/// The smaller of an array and a number, with the gradient of the array where they are equal.
pub(super) fn at_most(a: &Array, bound: f32) -> Result<Array> {
    Ok(ops::select(&a.le(number(bound))?, a, number(bound))?)
}
