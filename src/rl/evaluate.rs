//! Rewards over a dataset, without learning.

use super::advantage::weighted;
use super::reward::{OnError, Reward, Scores};
use super::rollout::Rollout;
use super::sample::looked_at;
use super::trainer::GrpoTrainer;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::generate::GenerateSettings;
use crate::mlx::interrupt;
use crate::mlx::random::derive;
use crate::train::{Metrics, every, mean_and_std};

/// How an evaluation samples.
#[derive(Clone, Debug)]
pub struct EvalSettings {
    /// `None` is 0, greedy, for one completion of each prompt, so that two evaluations of a model
    /// agree, and the trainer's own for several.
    pub temperature: Option<f32>,
    pub num_generations: usize,
    /// A reward of at least this is a success.
    pub pass_threshold: f64,
    pub max_completion_length: Option<usize>,
    /// Prompts that are completed together.
    pub batch_size: usize,
    /// What happens when a reward fails.
    pub on_error: OnError,
}

impl Default for EvalSettings {
    fn default() -> Self {
        Self {
            temperature: None,
            num_generations: 1,
            pass_threshold: 1.0,
            max_completion_length: None,
            batch_size: 64,
            on_error: OnError::Abort,
        }
    }
}

/// Rewards over a dataset.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Mean and deviation of the weighted sum of rewards.
    pub reward: f64,
    pub reward_std: f64,
    /// The share of completions that are a success: what one attempt gives.
    pub pass_at_1: f64,
    /// The share of prompts of which at least one completion is a success; one that nothing could score
    /// counts in neither.
    pub pass_at_k: f64,
    /// Mean of every part.
    pub parts: Vec<(String, f64)>,
    pub mean_length: f64,
    pub num_rows: usize,
    /// What is to be said about the scoring.
    pub notes: Vec<String>,
}

impl Evaluation {
    /// Its numbers by name.
    pub fn numbers(&self) -> Vec<(String, f64)> {
        let mut list = vec![
            ("reward".to_string(), self.reward),
            ("reward_std".to_string(), self.reward_std),
            ("mean_length".to_string(), self.mean_length),
            ("pass@1".to_string(), self.pass_at_1),
        ];
        let parts = self.parts.iter();
        list.extend(parts.map(|(name, value)| (format!("rewards/{name}/mean"), *value)));
        list
    }
}

impl EvalSettings {
    /// An error for the first setting out of its range.
    pub fn check(&self) -> Result<()> {
        let counts = [
            ("num_generations", self.num_generations),
            ("batch_size", self.batch_size),
            (
                "max_completion_length",
                self.max_completion_length.unwrap_or(1),
            ),
        ];
        match counts.iter().find(|(_, count)| *count == 0) {
            Some((name, _)) => Err(Error::setting(*name, 0, "at least 1")),
            None => Ok(()),
        }
    }
}

impl GrpoTrainer {
    /// Mean rewards over a dataset, without learning.
    pub fn evaluate(
        &self,
        dataset: &Dataset,
        rewards: &mut [Box<dyn Reward + '_>],
        settings: &EvalSettings,
    ) -> Result<Evaluation> {
        settings.check()?;
        self.settings.advantage.check_count(rewards.len())?;
        let model = self.model.borrow();
        let mut sampler = self.settings.sampler.clone();
        let own = match settings.num_generations {
            1 => 0.0,
            _ => sampler.temperature,
        };
        sampler.temperature = settings.temperature.unwrap_or(own);
        let base = self.settings.generate(&model.eos_token_ids, 0);
        let longest = settings.max_completion_length.unwrap_or(base.max_tokens);
        let (mut sums, mut lengths, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        let mut parts: Vec<(String, Vec<f64>)> = Vec::new();
        for (i, rows) in dataset.rows().chunks(settings.batch_size).enumerate() {
            let rollout = Rollout::sample(
                &model,
                rows,
                &GenerateSettings {
                    sampler: sampler.clone(),
                    seed: derive(derive(self.settings.seed, 2), i as u64),
                    num_samples: settings.num_generations,
                    max_tokens: longest,
                    ..base.clone()
                },
                &self.settings.stop,
                &self.settings.template,
            )?;
            interrupt::check()?;
            let outputs = &rollout.outputs;
            let scores = Scores::ask(rewards, outputs, settings.on_error, &mut notes)?;
            let weights = self.weights(rewards);
            notes.extend(looked_at(&scores, outputs, &weights));
            sums.extend(scores.values.iter().map(|row| weighted(row, &weights)));
            lengths.extend(
                rollout
                    .outputs
                    .iter()
                    .map(|o| o.completion.token_ids.len() as f64),
            );
            for (name, values) in scores.parts {
                let values = Scores::known(&values);
                match parts.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, all)) => all.extend(values),
                    None => parts.push((name, values.collect())),
                }
            }
        }
        let size = settings.num_generations;
        let is_success = |sum: &f64| *sum >= settings.pass_threshold;
        let passes: Vec<f64> = sums
            .chunks(size)
            .filter(|group| group.iter().any(|sum| !sum.is_nan()))
            .map(|group| f64::from(u8::from(group.iter().any(is_success))))
            .collect();
        sums.retain(|sum: &f64| !sum.is_nan());
        let successes: Vec<f64> = sums
            .iter()
            .map(|s| f64::from(u8::from(is_success(s))))
            .collect();
        let (reward, reward_std) = mean_and_std(&sums);
        Ok(Evaluation {
            reward,
            reward_std,
            pass_at_1: mean_and_std(&successes).0,
            pass_at_k: mean_and_std(&passes).0,
            parts: parts
                .into_iter()
                .map(|(name, values)| (name, mean_and_std(&values).0))
                .collect(),
            mean_length: mean_and_std(&lengths).0,
            num_rows: dataset.rows().len(),
            notes,
        })
    }

    /// Looks at `eval_dataset` when that is due: numbers of the step. The step is taken, whatever comes
    /// of it.
    pub(super) fn look_aside(
        &mut self,
        rewards: &mut [Box<dyn Reward + '_>],
        metrics: &mut Metrics,
    ) {
        let data = match (
            every(self.settings.eval_steps, self.step),
            &self.settings.eval_dataset,
        ) {
            (true, Some(data)) => data.clone(),
            _ => return,
        };
        let settings = EvalSettings {
            on_error: self.settings.on_error,
            ..EvalSettings::default()
        };
        let step = self.step;
        match self.evaluate(&data, rewards, &settings) {
            Ok(result) => {
                for (name, value) in result.numbers() {
                    metrics.set(format!("eval_{name}"), value);
                }
                let reward = result.reward;
                self.notes.extend(result.notes);
                let said = format!("step {step}: evaluation reward {reward:.4}");
                self.notes.push(said);
            }
            // The run looks at that itself, before its next step.
            Err(Error::Interrupted) => {}
            Err(error) => self
                .notes
                .push(format!("step {step}: no evaluation: {error}")),
        }
    }
}
