//! What a run and an evaluation come to.

use std::path::PathBuf;

/// The end of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Steps of this call.
    pub steps: u64,
    pub interrupted: bool,
    /// Mean reward of the first and the last step.
    pub first_reward: f64,
    pub last_reward: f64,
    pub seconds: f64,
    pub run_dir: PathBuf,
    pub checkpoint: PathBuf,
}

/// How an evaluation samples.
#[derive(Clone, Debug)]
pub struct EvalSettings {
    /// 0, greedy, so that two evaluations of a model agree.
    pub temperature: f32,
    pub num_generations: usize,
    pub max_completion_length: Option<usize>,
    /// Prompts that are completed together.
    pub batch_size: usize,
}

impl Default for EvalSettings {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            num_generations: 1,
            max_completion_length: None,
            batch_size: 64,
        }
    }
}

/// Rewards over a dataset.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Mean and deviation of the weighted sum of rewards.
    pub reward: f64,
    pub reward_std: f64,
    /// Mean of every part.
    pub parts: Vec<(String, f64)>,
    pub mean_length: f64,
    pub num_rows: usize,
}
