//! Completions with their scores: what a step learns from.

use super::advantage::{advantages, weighted};
use super::reward::{Reward, Scores};
use super::rollout::Rollout;
use super::trainer::GrpoTrainer;
use crate::data::Row;
use crate::error::{Error, Result};
use crate::train::mean_and_std;

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

/// Rows in the place of those that taught nothing: which round it is, and how many are missing.
pub(super) type Refill<'a> = dyn Fn(u64, usize) -> Vec<Row> + 'a;

impl GrpoTrainer {
    /// Samples and scores completions of some rows. An interrupted batch is not scored.
    pub(super) fn sample(
        &self,
        rows: &[Row],
        round: u64,
        rewards: &mut [Box<dyn Reward + '_>],
    ) -> Result<(Rollout, Scores)> {
        let rollout = self.rollout_of(rows, round)?;
        if rollout.interrupted() {
            return Err(Error::Interrupted);
        }
        let mut scores = Scores::ask(rewards, &rollout.outputs)?;
        if self.settings.overlong_buffer > 0 {
            let lengths = rollout.outputs.iter().map(|o| o.completion.token_ids.len());
            let penalties = lengths.map(|length| {
                let (most, buffer) = (
                    self.settings.max_completion_length,
                    self.settings.overlong_buffer,
                );
                overlong_penalty(length, most, buffer)
            });
            scores.add_column(OVERLONG, penalties.collect());
        }
        Ok((rollout, scores))
    }

    /// How much better each completion is than its group.
    pub(super) fn compare(
        &self,
        rollout: Rollout,
        scores: Scores,
        rewards: &[Box<dyn Reward + '_>],
    ) -> Result<Scored> {
        let mut settings = self.settings.advantage.clone();
        if settings.reward_weights.is_empty() {
            settings.reward_weights = rewards.iter().map(|reward| reward.weight()).collect();
        }
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
        &self,
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
            let (rollout, scores) = self.sample(&refill(rounds, missing), rounds, rewards)?;
            let fresh = self.compare(rollout, scores, rewards)?;
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

/// Groups whose completions are not all worth the same.
pub(super) fn teaching_groups(scored: &Scored) -> Vec<usize> {
    let groups = scored.rewards.chunks(scored.rollout.num_generations);
    let differs = |group: &[f64]| {
        let known: Vec<f64> = group.iter().copied().filter(|r| !r.is_nan()).collect();
        mean_and_std(&known).1 > 1e-12
    };
    groups
        .enumerate()
        .filter(|(_, group)| differs(group))
        .map(|(i, _)| i)
        .collect()
}

/// 0 up to `buffer` tokens before the longest completion, then falling in a straight line to -1 at
/// it (DAPO, <https://arxiv.org/abs/2503.14476>, equation 13).
fn overlong_penalty(length: usize, longest: usize, buffer: usize) -> f64 {
    let over = length as f64 - (longest as f64 - buffer as f64);
    -(over / buffer as f64).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::overlong_penalty;

    #[test]
    fn long_completions_are_punished_in_proportion() {
        // Values of TRL's get_soft_overlong_punishment(100, 20).
        assert_eq!(overlong_penalty(50, 100, 20), 0.0);
        assert_eq!(overlong_penalty(80, 100, 20), 0.0);
        assert_eq!(overlong_penalty(90, 100, 20), -0.5);
        assert_eq!(overlong_penalty(100, 100, 20), -1.0);
        assert_eq!(overlong_penalty(110, 100, 20), -1.0);
    }
}
