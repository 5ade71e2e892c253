//! Which experts a token goes to (<https://arxiv.org/abs/2101.03961>).

use super::linear::Linear;
use crate::error::Result;
use crate::mlx::autograd::stop_gradient;
use crate::mlx::{Array, Dtype};
use mlx_rs::ops;
use mlx_rs::ops::indexing;

/// The choice of experts.
#[derive(Clone, Debug)]
pub struct Router {
    /// `[E, in]` to one logit for each expert.
    pub gate: Linear,
    /// How many experts each token goes to.
    pub top_k: i32,
    /// Whether the shares of the chosen ones are made to sum to 1.
    pub normalise: bool,
}

impl Router {
    /// The chosen experts of each token and their shares, and the logits of the choice.
    ///
    /// # Shapes
    /// - x: `[B, L, in]`
    /// - returns: experts, integers `[B, L, k]`; shares, f32 `[B, L, k]`; logits `[B, L, E]`
    pub fn forward(&self, x: &Array) -> Result<(Array, Array, Array)> {
        let logits = self.gate.forward(x)?;
        let shares = ops::softmax_axis(&logits.as_dtype(Dtype::Float32)?, -1, None)?;
        let experts = chosen(&shares, self.top_k)?;
        let shares = indexing::take_along_axis(&shares, &experts, -1)?;
        let shares = match self.normalise {
            true => shares.divide(shares.sum_axis(-1, true)?)?,
            false => shares,
        };
        Ok((experts, shares, logits))
    }
}

/// The `k` largest of each row, as positions without gradient.
fn chosen(shares: &Array, k: i32) -> Result<Array> {
    let order = ops::argpartition_axis(&shares.negative()?, k - 1, -1)?;
    let first: Vec<i32> = vec![0; order.ndim()];
    let mut last = order.shape().to_vec();
    if let Some(axis) = last.last_mut() {
        *axis = k;
    }
    stop_gradient(&crate::mlx::slice(&order, &first, &last)?)
}

/// The load-balancing loss of the Switch Transformer, as transformers computes it for all layers
/// together: the number of experts times the sum, over experts, of the share of choices that fell
/// on it and its mean probability.
///
/// # Shapes
/// - logits: one `[.., E]` for each layer
/// - returns: a scalar, f32; `top_k` where the load is even
pub fn load_balancing_loss(logits: &[Array], top_k: i32) -> Result<Array> {
    let rows: Vec<Array> = logits
        .iter()
        .map(|logits| Ok(logits.reshape(&[-1, logits.dim(-1)])?))
        .collect::<Result<_>>()?;
    if rows.is_empty() {
        return Ok(Array::from_f32(0.0));
    }
    let rows = ops::concatenate(&rows, 0)?;
    let experts = rows.dim(-1);
    let shares = ops::softmax_axis(&rows.as_dtype(Dtype::Float32)?, -1, None)?;
    let chosen = chosen(&shares, top_k)?.expand_dims(-1)?;
    let each = ops::arange::<_, i32>(0, experts, None)?.as_dtype(chosen.dtype())?;
    let hits = chosen.eq(&each)?.as_dtype(Dtype::Float32)?;
    let load = stop_gradient(&hits.sum_axis(1, false)?.mean_axis(0, false)?)?;
    let even = load.multiply(shares.mean_axis(0, false)?)?.sum(false)?;
    Ok(even.multiply(Array::from_f32(experts as f32))?)
}
