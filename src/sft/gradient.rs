//! The one place where documents become a batch, and a batch a loss and its gradient.

use crate::error::Result;
use crate::mlx::{Array, Dtype};
use crate::models::Qwen3;
use crate::tensor::selective_log_softmax;
use crate::train::{Batch, Document, completion_logits, loss_and_grads, router_loss};

/// What a batch gives.
pub(super) struct Gradient {
    /// The scaled negative log-likelihood, `[]`.
    pub loss: Array,
    /// The load-balancing loss, `[]`, where it has a weight.
    pub aux_loss: Option<Array>,
    /// One for each trained array.
    pub grads: Vec<Array>,
}

/// How the loss of a batch is put together.
pub(super) struct Weights {
    /// Of each token's negative log-likelihood.
    pub token: f32,
    /// Of the load-balancing loss, and the share of this batch in its mean; 0 is off.
    pub router: f32,
    pub share: f32,
}

/// The gradient of the weighted negative log-likelihood of what is learnt in the rows.
pub(super) fn gradient(
    network: &Qwen3,
    rows: &[Vec<&Document>],
    weights: &Weights,
) -> Result<Gradient> {
    let batch = batch_of(rows);
    let learnt = learnt(rows)?;
    let balanced = weights.router > 0.0 && network.config.num_experts > 0;
    let scale = Array::from_f32(-weights.token);
    let (values, grads) = loss_and_grads(network, |network| {
        let mut routed = Vec::new();
        let router = balanced.then_some(&mut routed);
        let logits = completion_logits(network, &batch, 1.0, router)?;
        let logprobs = selective_log_softmax(&logits, batch.targets())?;
        let loss = logprobs.multiply(&learnt)?.sum(false)?.multiply(&scale)?;
        if !balanced {
            return Ok(vec![loss]);
        }
        let even = router_loss(network, &batch, &routed)?;
        let even = even.multiply(Array::from_f32(weights.share))?;
        let both = loss.add(even.multiply(Array::from_f32(weights.router))?)?;
        Ok(vec![both, even])
    })?;
    Ok(Gradient {
        loss: values[0].clone(),
        aux_loss: values.get(1).cloned(),
        grads,
    })
}

/// The sum of the log-probabilities of what is learnt in the rows, `[]`.
pub(super) fn log_likelihood(network: &Qwen3, rows: &[Vec<&Document>]) -> Result<Array> {
    let batch = batch_of(rows);
    let logits = completion_logits(network, &batch, 1.0, None)?;
    let logprobs = selective_log_softmax(&logits, batch.targets())?;
    Ok(logprobs.multiply(learnt(rows)?)?.sum(false)?)
}

/// Documents side by side: none sees another, so whether they share a row is a matter of memory.
fn batch_of(rows: &[Vec<&Document>]) -> Batch {
    let pairs: Vec<(&[i32], &[i32])> = rows
        .iter()
        .flatten()
        .map(|document| document.ids.split_at(first_learnt(document)))
        .collect();
    Batch::new(&pairs)
}

/// 1 for each target that is learnt, f32 `[N]`.
fn learnt(rows: &[Vec<&Document>]) -> Result<Array> {
    let targets = rows
        .iter()
        .flatten()
        .flat_map(|document| &document.learnt[first_learnt(document)..]);
    let targets: Vec<bool> = targets.copied().collect();
    let targets = Array::from_slice(&targets, &[targets.len() as i32]);
    Ok(targets.as_dtype(Dtype::Float32)?)
}

/// Where the head begins to be needed.
fn first_learnt(document: &Document) -> usize {
    let first = document.learnt.iter().position(|learnt| *learnt);
    first.unwrap_or(document.ids.len())
}
