//! The one place where documents become a batch, and a batch a loss and its gradient.

use super::settings::SftSettings;
use crate::error::Result;
use crate::mlx::Array;
use crate::models::Qwen3;
use crate::tensor::item;
use crate::train::{
    BackwardSettings, Batch, Document, HeadSettings, TargetGrads, gradients, scores,
};

/// What a batch gives.
pub(super) struct Gradient {
    /// The scaled negative log-likelihood.
    pub loss: f64,
    /// The load-balancing loss, where it has a weight.
    pub aux_loss: Option<f64>,
    /// One for each trained array.
    pub grads: Vec<Array>,
}

/// How the loss of a batch is put together.
pub(super) struct Weights {
    /// Of each token's negative log-likelihood.
    pub token: f32,
    /// The share of this batch in the mean of the load-balancing losses.
    pub share: f32,
}

/// The gradient of the weighted negative log-likelihood of what is learnt in the rows.
pub(super) fn gradient(
    network: &Qwen3,
    rows: &[Vec<&Document>],
    weights: &Weights,
    settings: &SftSettings,
) -> Result<Gradient> {
    let batch = Batch::documents(rows)?;
    let mut loss = 0.0;
    let how = BackwardSettings {
        head: head(settings),
        gradient_checkpointing: settings.gradient_checkpointing,
        router_aux_loss_coef: settings.router_aux_loss_coef * weights.share,
    };
    let found = gradients(network, &batch, &how, |scores| {
        let sum = f64::from(item(&scores.logprobs.sum(false)?)?);
        loss = -sum * f64::from(weights.token);
        let each =
            mlx_rs::ops::full::<f32>(scores.logprobs.shape(), Array::from_f32(-weights.token))?;
        Ok(TargetGrads {
            logprobs: each,
            entropies: None,
        })
    })?;
    let aux_loss = found.aux_loss.map(f64::from);
    if let Some(aux) = aux_loss {
        loss += f64::from(settings.router_aux_loss_coef * weights.share) * aux;
    }
    Ok(Gradient {
        loss,
        aux_loss: aux_loss.map(|aux| aux * f64::from(weights.share)),
        grads: found.arrays,
    })
}

/// The sum of the log-probabilities of what is learnt in the rows.
pub(super) fn log_likelihood(
    network: &Qwen3,
    rows: &[Vec<&Document>],
    settings: &SftSettings,
) -> Result<f64> {
    let found = scores(network, &Batch::documents(rows)?, head(settings))?;
    Ok(f64::from(item(&found.logprobs.sum(false)?)?))
}

fn head(settings: &SftSettings) -> HeadSettings {
    HeadSettings {
        chunk_size: settings.logprob_chunk_size,
        ..HeadSettings::default()
    }
}
