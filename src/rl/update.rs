//! One update: from a scored batch of completions to a step of the optimiser.

use super::advantage::{advantages, weighted};
use super::loss::{LossInputs, loss};
use super::reward::{Reward, Scores};
use super::rollout::Rollout;
use super::trainer::GrpoTrainer;
use crate::error::Result;
use crate::mlx::autograd::stop_gradient;
use crate::mlx::random::derive;
use crate::mlx::{self, Array, Dtype, interrupt};
use crate::models::Qwen3;
use crate::nn::Params;
use crate::tensor::mask::length_mask;
use crate::tensor::select::entropy;
use crate::tensor::{item, selective_log_softmax, to_f32};
use crate::text::change;
use crate::train::{
    Batch, Metrics, completion_logits, completion_logprobs, loss_and_grads, router_loss,
};

/// What one step is computed from.
pub(super) struct Scored {
    pub rollout: Rollout,
    pub scores: Scores,
    /// Weighted sums, NaN where nothing could be scored.
    pub rewards: Vec<f64>,
    pub advantages: Vec<f64>,
}

impl GrpoTrainer {
    pub(super) fn score(
        &self,
        rollout: Rollout,
        rewards: &mut [Box<dyn Reward + '_>],
    ) -> Result<Scored> {
        let scores = Scores::ask(rewards, &rollout.outputs)?;
        let mut settings = self.settings.advantage.clone();
        if settings.reward_weights.is_empty() {
            settings.reward_weights = rewards.iter().map(|reward| reward.weight()).collect();
        }
        let group = rollout.num_generations;
        let advantages = advantages(&scores.values, group, &settings)?;
        let sums = scores.values.iter();
        let rewards = sums.map(|row| weighted(row, &settings.reward_weights));
        Ok(Scored {
            rewards: rewards.collect(),
            rollout,
            scores,
            advantages,
        })
    }

    /// The model that `beta` holds the trained one to.
    fn reference(&self) -> Option<Qwen3> {
        let network = &self.model.borrow().network;
        match &self.reference {
            None if self.settings.loss.beta > 0.0 => Some(network.without_adapters()),
            kept => kept.clone(),
        }
    }

    /// `num_iterations` updates on one batch of completions.
    pub(super) fn learn(
        &mut self,
        scored: &Scored,
        total: u64,
        metrics: &mut Metrics,
    ) -> Result<()> {
        let mut sums: Vec<(String, f64)> = Vec::new();
        for _ in 0..self.settings.num_iterations {
            sums.clear();
            for range in self.micro_batches(scored.rollout.outputs.len()) {
                if let Err(error) = interrupt::check() {
                    self.stepper.discard();
                    return Err(error);
                }
                for (name, value) in self.backward(scored, range)? {
                    match sums.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, sum)) => *sum += value,
                        None => sums.push((name, value)),
                    }
                }
            }
            let mut model = change(&self.model)?;
            let outcome = self.stepper.apply(&mut model.network, self.step, total)?;
            metrics.set("grad_norm", outcome.grad_norm);
            metrics.set("learning_rate", outcome.learning_rate);
            metrics.set("skipped", f64::from(u8::from(outcome.skipped)));
        }
        for (name, value) in sums {
            metrics.set(name, value);
        }
        Ok(())
    }

    /// Rows split into `gradient_accumulation_steps` parts of nearly equal size.
    fn micro_batches(&self, rows: usize) -> Vec<std::ops::Range<usize>> {
        let parts = self.settings.gradient_accumulation_steps.min(rows);
        (0..parts)
            .map(|i| i * rows / parts..(i + 1) * rows / parts)
            .collect()
    }

    /// Loss and gradient of some rows, added to what is accumulated; metrics that sum to the
    /// step's over its micro-batches.
    fn backward(
        &mut self,
        scored: &Scored,
        range: std::ops::Range<usize>,
    ) -> Result<Vec<(String, f64)>> {
        let all = scored.rollout.outputs.len();
        let share = range.len() as f32 / all as f32;
        let first = range.start as u64;
        let temperature = self.settings.sampler.logprob_temperature();
        // 1. Constants of the batch.
        let pairs = scored.rollout.pairs(range.clone());
        let batch = Batch::new(&pairs);
        let width = batch.width();
        let rows = range.len() as i32;
        let mask = length_mask(&batch.lengths, width)?.as_dtype(Dtype::Float32)?;
        let advantages: Vec<f32> = scored.advantages[range.clone()]
            .iter()
            .map(|a| *a as f32)
            .collect();
        let advantages = Array::from_slice(&advantages, &[rows]);
        let behaviour: Vec<f32> = scored.rollout.outputs[range]
            .iter()
            .flat_map(|output| output.completion.logprobs.iter().copied())
            .collect();
        let behaviour = Array::from_slice(&behaviour, &[behaviour.len() as i32]);
        let behaviour_rows = batch.to_rows(&behaviour)?;
        let reference = match self.reference() {
            Some(model) => {
                let logprobs = completion_logprobs(&model, &batch, temperature)?;
                Some(batch.to_rows(&logprobs)?)
            }
            None => None,
        };
        // With one update the policy that sampled is the one that is trained: the ratio is 1.
        let old = (self.settings.num_iterations > 1).then_some(&behaviour_rows);
        // 2. Forward and backward.
        let mut names: Vec<String> = Vec::new();
        let seed = derive(self.settings.seed, 2);
        let seed = derive(derive(seed, self.stepper.optimizer.steps()), first);
        let network = self.model.borrow().network.with_dropout(seed)?;
        let coefficient = self.settings.router_aux_loss_coef;
        let balanced = coefficient > 0.0 && network.config.num_experts > 0;
        let (values, grads) = loss_and_grads(&network, |network| {
            let mut routed = Vec::new();
            let router = balanced.then_some(&mut routed);
            let logits = completion_logits(network, &batch, temperature, router)?;
            let logprobs = selective_log_softmax(&logits, batch.targets())?;
            let difference = stop_gradient(&logprobs)?.subtract(&behaviour)?.abs()?;
            let logprob_rows = batch.to_rows(&logprobs)?;
            let entropy_rows = match self.settings.loss.needs_entropies() {
                true => Some(batch.to_rows(&entropy(&logits)?)?),
                false => None,
            };
            let inputs = LossInputs {
                old_logprobs: old,
                ref_logprobs: reference.as_ref(),
                entropies: entropy_rows.as_ref(),
                num_items_in_batch: Some(scored.rollout.num_tokens() as f32),
                max_completion_length: Some(self.settings.max_completion_length as i32),
                gradient_accumulation_steps: 1.0 / share,
                ..LossInputs::new(&logprob_rows, &advantages, &mask)
            };
            let (mut value, mut watched) = loss(&inputs, &self.settings.loss)?;
            // The entropy of the step is told below, whether or not the loss uses it.
            watched.retain(|(name, _)| name != "entropy");
            if balanced {
                let even = router_loss(network, &batch, &routed)?;
                value = value.add(even.multiply(Array::from_f32(coefficient * share))?)?;
                watched.push(("aux_loss".into(), even));
            }
            let entropy = entropy(&stop_gradient(&logits)?)?.mean(false)?;
            let mut outputs = vec![
                value,
                difference.max(false)?,
                difference.mean(false)?,
                entropy,
            ];
            names = watched.iter().map(|(name, _)| name.clone()).collect();
            outputs.extend(watched.into_iter().map(|(_, value)| value));
            Ok(outputs)
        })?;
        // 3. Keep the gradient, read the numbers.
        self.stepper.accumulate(grads)?;
        mlx::eval(&values)?;
        let share = f64::from(share);
        let mut metrics = vec![("loss".to_string(), f64::from(item(&values[0])?))];
        let shared = [
            ("sampling/sampling_logp_difference/max", 1),
            ("sampling/sampling_logp_difference/mean", 2),
            ("entropy", 3),
        ];
        for (name, i) in shared {
            metrics.push((name.to_string(), f64::from(item(&values[i])?) * share));
        }
        for (name, value) in names.into_iter().zip(&values[4..]) {
            metrics.push((name, f64::from(to_f32(value)?[0]) * share));
        }
        Ok(metrics)
    }
}
