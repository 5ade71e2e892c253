//! What a step is learnt from: its completions as arrays, in parts.

use super::RewardOutput;
use super::loss::{at_least, entropy_threshold};
use super::micro::{MicroBatch, micro_batches};
use super::sample::Scored;
use super::trainer::GrpoTrainer;
use crate::error::Result;
use crate::generate::Finish;
use crate::mlx::Array;
use crate::models::Qwen3;
use crate::nn::Params;
use crate::tensor::{item, to_f32};
use crate::train::{HeadSettings, scores};

/// What a micro-batch is learnt from, the same in every iteration.
pub(super) struct Lesson {
    pub part: MicroBatch,
    /// `[B]`
    pub advantages: Array,
    /// `[B, T]`: 1 for tokens that count.
    pub mask: Array,
    /// `[N]`: the log-probabilities at sampling time.
    pub behaviour: Array,
    /// `[N]`: those of the reference model, where there is one.
    pub reference: Option<Array>,
    /// How many tokens count.
    pub tokens: usize,
}

/// What a micro-batch must know of the entropies of its step.
pub(super) struct Entropies {
    /// For each micro-batch which tokens are learnt, `[B, T]`, where that was decided for all of them.
    pub kept: Option<Vec<Array>>,
    /// How many tokens a bonus is the mean of, where they are more than those of one part.
    pub reach: Option<f32>,
}

impl GrpoTrainer {
    /// The model that `beta` holds the trained one to.
    fn reference(&self) -> Option<Qwen3> {
        let network = &self.model.borrow().network;
        match &self.reference {
            None if self.settings.loss.beta > 0.0 => Some(network.without_adapters()),
            kept => kept.clone(),
        }
    }

    pub(super) fn head(&self, entropies: bool) -> HeadSettings {
        HeadSettings {
            temperature: self.settings.sampler.logprob_temperature(),
            chunk_size: self.settings.logprob_chunk_size,
            entropies,
        }
    }

    /// Whether anything of the loss depends on a completion.
    fn teaches(&self, scored: &Scored, row: usize, is_built_in: bool) -> bool {
        let loss = &self.settings.loss;
        let others = !is_built_in
            || loss.beta > 0.0
            || loss.entropy_coef != 0.0
            || loss.top_entropy_quantile < 1.0
            || self.settings.router_aux_loss_coef > 0.0;
        others || scored.advantages[row] != 0.0
    }

    /// Constants of the step, in parts. Completions that are no better or worse than their group are
    /// left out where nothing else is learnt from them: their part of the loss is 0, and so is its
    /// gradient; they count in what it is divided by.
    pub(super) fn lessons(&self, scored: &Scored, is_built_in: bool) -> Result<Vec<Lesson>> {
        let reference = self.reference();
        let outputs = &scored.rollout.outputs;
        let all = 0..outputs.len();
        let mut rows: Vec<usize> = all
            .clone()
            .filter(|row| self.teaches(scored, *row, is_built_in))
            .collect();
        if rows.is_empty() {
            rows = all.collect();
        }
        let parts = micro_batches(&scored.rollout, rows, &self.settings);
        parts
            .into_iter()
            .map(|part| {
                let rows = || part.rows.iter().map(|row| &outputs[*row]);
                let b = part.rows.len() as i32;
                let advantages: Vec<f32> = part
                    .rows
                    .iter()
                    .map(|row| scored.advantages[*row] as f32)
                    .collect();
                let behaviour: Vec<f32> = rows()
                    .flat_map(|output| output.completion.logprobs.iter().copied())
                    .collect();
                let width = part.batch.width() as usize;
                let mut mask = vec![0.0f32; part.rows.len() * width];
                for (i, output) in rows().enumerate() {
                    mask[i * width..][..self.counted(output)].fill(1.0);
                }
                let tokens = rows().map(|output| self.counted(output)).sum();
                let reference = match &reference {
                    Some(model) => Some(scores(model, &part.batch, self.head(false))?.logprobs),
                    None => None,
                };
                Ok(Lesson {
                    advantages: Array::from_slice(&advantages, &[b]),
                    mask: Array::from_slice(&mask, &[b, width as i32]),
                    behaviour: Array::from_slice(&behaviour, &[behaviour.len() as i32]),
                    reference,
                    tokens,
                    part,
                })
            })
            .collect()
    }

    /// How many tokens of a completion count.
    pub(super) fn counted(&self, output: &RewardOutput) -> usize {
        let truncated = output.completion.finish == Finish::Length;
        match truncated && self.settings.mask_truncated_completions {
            true => 0,
            false => output.completion.token_ids.len(),
        }
    }

    /// Which tokens are learnt for their entropy among all of the step. A step in one part finds that by
    /// itself, and one that learns from all tokens need not know. It is decided here once: entropies of
    /// another forward may differ in the last bit, and many are exactly the threshold.
    pub(super) fn entropies_of_step(&self, lessons: &[Lesson]) -> Result<Entropies> {
        let share = self.settings.loss.top_entropy_quantile;
        let all = lessons.iter().map(|lesson| lesson.tokens).sum::<usize>();
        let of_all = Entropies {
            kept: None,
            reach: (lessons.len() > 1).then_some(all as f32),
        };
        if share >= 1.0 || lessons.len() < 2 || all == 0 {
            return Ok(of_all);
        }
        let model = self.model.borrow();
        let mut entropies = Vec::with_capacity(lessons.len());
        let mut counted = Vec::with_capacity(all);
        for lesson in lessons {
            let batch = &lesson.part.batch;
            let scores = scores(&model.network, batch, self.head(true))?;
            let Some(found) = scores.entropies else {
                return Ok(of_all);
            };
            let found = batch.to_rows(&found)?;
            let pairs = to_f32(&found)?.into_iter().zip(to_f32(&lesson.mask)?);
            counted.extend(pairs.filter(|(_, m)| *m > 0.0).map(|(entropy, _)| entropy));
            entropies.push(found);
        }
        let n = counted.len() as i32;
        let ones = mlx_rs::ops::ones::<f32>(&[n])?;
        let list = Array::from_slice(&counted, &[n]);
        let threshold = entropy_threshold(&list, &ones, 1.0 - share)?;
        let kept = (entropies.iter().zip(lessons))
            .map(|(found, lesson)| {
                at_least(found, &lesson.mask.gt(Array::from_f32(0.0))?, &threshold)
            })
            .collect::<Result<Vec<Array>>>()?;
        let threshold = item(&threshold)?;
        let reach = counted.iter().filter(|entropy| **entropy >= threshold);
        Ok(Entropies {
            kept: Some(kept),
            reach: Some(reach.count() as f32),
        })
    }
}
