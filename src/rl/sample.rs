//! Completions with their scores: what a step learns from.

use super::advantage::{advantages, weighted};
use super::reward::{Reward, RewardOutput, Scores, hashes};
use super::rewards::soft_overlong;
use super::rollout::Rollout;
use super::trainer::GrpoTrainer;
use crate::data::Row;
use crate::error::{Error, Result};
use crate::mlx::Array;
use crate::nn::Params;
use crate::text::LanguageModel;
use crate::train::mean_and_std;
use std::time::Instant;

/// The name of the part by which long completions are punished.
const OVERLONG: &str = "overlong";

/// What one step is computed from.
#[derive(Clone)]
pub(super) struct Scored {
    pub rollout: Rollout,
    pub scores: Scores,
    /// Weighted sums, NaN where nothing could be scored.
    pub rewards: Vec<f64>,
    pub advantages: Vec<f64>,
}

impl Scored {
    /// The mean reward of each group, NaN where nothing could be scored.
    pub fn means(&self) -> Vec<f64> {
        let groups = self.rewards.chunks(self.rollout.num_generations);
        groups.map(|group| mean_and_std(&known(group)).0).collect()
    }
}

/// Rows in the place of those that taught nothing: which round it is, and how many are missing.
pub(super) type Refill<'a> = dyn Fn(u64, usize) -> Vec<Row> + 'a;

impl GrpoTrainer {
    /// Samples and scores completions of some rows. An interrupted batch is not scored.
    pub(super) fn sample(
        &mut self,
        rows: &[Row],
        round: u64,
        rewards: &mut [Box<dyn Reward + '_>],
    ) -> Result<(Rollout, Scores)> {
        let rollout = self.rollout_of(rows, round)?;
        if rollout.interrupted() {
            return Err(Error::Interrupted);
        }
        let scores = self.score(&rollout, rewards)?;
        Ok((rollout, scores))
    }

    /// What completions are worth to the rewards, and their length to the trainer.
    fn score(&mut self, rollout: &Rollout, rewards: &mut [Box<dyn Reward + '_>]) -> Result<Scores> {
        let start = Instant::now();
        let on_error = self.settings.on_error;
        let mut scores = Scores::ask(rewards, &rollout.outputs, on_error, &mut self.notes)?;
        self.scoring += start.elapsed();
        if self.settings.overlong_buffer > 0 {
            let lengths = rollout.outputs.iter().map(|o| o.completion.token_ids.len());
            let penalties = lengths.map(|length| {
                let (most, buffer) = (
                    self.settings.max_completion_length,
                    self.settings.overlong_buffer,
                );
                soft_overlong(length, most, buffer)
            });
            scores.add_column(OVERLONG, penalties.collect());
        }
        let weights = self.weights(rewards);
        self.notes
            .extend(looked_at(&scores, &rollout.outputs, &weights));
        Ok(scores)
    }

    /// The weight of each column of the scores.
    pub(super) fn weights(&self, rewards: &[Box<dyn Reward + '_>]) -> Vec<f64> {
        match self.settings.advantage.reward_weights.as_slice() {
            [] => rewards.iter().map(|reward| reward.weight()).collect(),
            weights => weights.to_vec(),
        }
    }

    /// How much better each completion is than its group.
    pub(super) fn compare(
        &self,
        rollout: Rollout,
        scores: Scores,
        rewards: &[Box<dyn Reward + '_>],
    ) -> Result<Scored> {
        let mut settings = self.settings.advantage.clone();
        settings.reward_weights = self.weights(rewards);
        if self.settings.overlong_buffer > 0 {
            settings.reward_weights.push(1.0);
        }
        let advantages = advantages(&scores.values, rollout.num_generations, &settings)?;
        let sums = scores.values.iter();
        let rewards = sums.map(|row| weighted(row, &settings.reward_weights));
        Ok(Scored {
            rewards: rewards.collect(),
            rollout,
            scores,
            advantages,
        })
    }

    /// The same step with other prompts in the place of those whose completions are all worth the
    /// same, since they teach nothing (DAPO, <https://arxiv.org/abs/2503.14476>): up to
    /// `dynamic_sampling` rounds more; how many it took.
    pub(super) fn refilled(
        &mut self,
        mut scored: Scored,
        rewards: &mut [Box<dyn Reward + '_>],
        refill: &Refill,
    ) -> Result<(Scored, u64)> {
        let wanted = scored.rollout.prompt_ids.len();
        let mut rounds = 0;
        while rounds < self.settings.dynamic_sampling {
            let teaching = teaching_groups(&scored);
            let missing = wanted - teaching.len();
            if missing == 0 {
                break;
            }
            rounds += 1;
            let before = hashes(rewards);
            let (rollout, scores) = self.sample(&refill(rounds, missing), rounds, rewards)?;
            let fresh = self.compare(rollout, scores, rewards)?;
            if before != hashes(rewards) {
                // A script was rolled back: one version scores the whole step.
                let scores = self.score(&scored.rollout, rewards)?;
                scored = self.compare(scored.rollout, scores, rewards)?;
            }
            let teaching = teaching_groups(&scored);
            // What teaches nothing stays where there is nothing better to take its place.
            let better = teaching_groups(&fresh);
            let dull = (0..wanted).filter(|group| !teaching.contains(group));
            let kept: Vec<usize> = teaching
                .iter()
                .copied()
                .chain(dull.skip(better.len()))
                .collect();
            let (mut rollout, mut scores) = (scored.rollout, scored.scores);
            let size = rollout.num_generations;
            scores.keep_groups(&kept, size);
            rollout.keep_groups(&kept);
            let (mut more, mut more_scores) = (fresh.rollout, fresh.scores);
            more_scores.keep_groups(&better, size);
            more.keep_groups(&better);
            scores.append(more_scores);
            rollout.append(more);
            scored = self.compare(rollout, scores, rewards)?;
        }
        Ok((scored, rounds))
    }
}

/// Every scored output with its parts, if the environment asks for them.
pub(super) fn looked_at(scores: &Scores, outputs: &[RewardOutput], weights: &[f64]) -> Vec<String> {
    if std::env::var("DEBUG_REWARDS").is_ok_and(|on| on == "1") {
        let rows = outputs.iter().zip(&scores.values);
        let said = rows.map(|(output, row)| scores.describe(output, weighted(row, weights)));
        return said.collect();
    }
    Vec::new()
}

/// The rewards of what could be scored.
pub(super) fn known(rewards: &[f64]) -> Vec<f64> {
    rewards.iter().copied().filter(|r| !r.is_nan()).collect()
}

/// Groups whose completions are not all worth the same.
pub(super) fn teaching_groups(scored: &Scored) -> Vec<usize> {
    let groups = scored.rewards.chunks(scored.rollout.num_generations);
    let differs = |group: &[f64]| {
        let known = known(group);
        mean_and_std(&known).1 > 1e-12
    };
    groups
        .enumerate()
        .filter(|(_, group)| differs(group))
        .map(|(i, _)| i)
        .collect()
}

/// Larger models are bound by reading their weights, and a second copy of these would be large.
const WORTH_JOINING: usize = 2 << 30;

/// A model to sample from, made for one rollout. Adapters are part of its weights: products with an
/// adapter beside the weight would be three in the place of one at every token; not where merging would
/// round, since what few bits can hold is not what is trained. Products of one input are one.
pub(super) fn sampling_form(model: &LanguageModel) -> Result<LanguageModel> {
    let network = &model.network;
    let rounds = network.config.quantization()?.is_some();
    let merged = match network.has_adapters() && !rounds {
        true => network.merged()?,
        false => network.clone(),
    };
    let bytes: usize = merged.arrays().iter().map(Array::nbytes).sum();
    let network = match bytes <= WORTH_JOINING {
        true => merged.joined()?,
        false => merged,
    };
    Ok(LanguageModel {
        network,
        ..model.clone()
    })
}
