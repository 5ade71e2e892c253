//! Log-probabilities of targets under a model.

use super::Batch;
use crate::error::Result;
use crate::mlx::{Array, Dtype};
use crate::models::Qwen3;
use crate::nn::load_balancing_loss;
use crate::tensor::selective_log_softmax;

/// Logits of the N targets, divided by the temperature, all of them at once: the plain way, for
/// few targets or a small vocabulary. Where the choice of experts is wanted, `routed` gets its
/// logits in each layer that has some.
///
/// # Shapes
/// - returns: f32 `[N, V]`
pub fn completion_logits(
    model: &Qwen3,
    batch: &Batch,
    temperature: f32,
    routed: Option<&mut Vec<Array>>,
) -> Result<Array> {
    let hidden = batch.hidden(model, routed)?;
    let logits = model.head(&hidden)?.as_dtype(Dtype::Float32)?;
    Ok(logits.multiply(Array::from_f32(1.0 / temperature))?)
}

/// The load-balancing loss of a batch that was forwarded; padding has no part in it.
///
/// # Shapes
/// - routed: one `[B, L, experts]` for each layer that has experts
/// - returns: a scalar, 0 for a model without experts
pub fn router_loss(model: &Qwen3, batch: &Batch, routed: &[Array]) -> Result<Array> {
    let rows: Vec<Array> = routed
        .iter()
        .map(|logits| batch.unpadded(logits))
        .collect::<Result<_>>()?;
    load_balancing_loss(&rows, model.config.num_experts_per_tok)
}

/// Log-probabilities of the N targets at a temperature, in the plain way.
///
/// # Shapes
/// - returns: f32 `[N]`
pub fn completion_logprobs(model: &Qwen3, batch: &Batch, temperature: f32) -> Result<Array> {
    let logits = completion_logits(model, batch, temperature, None)?;
    selective_log_softmax(&logits, batch.targets())
}
