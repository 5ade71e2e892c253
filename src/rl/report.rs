//! What a run comes to.

use std::path::PathBuf;

/// The end of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Steps of this call.
    pub steps: u64,
    pub interrupted: bool,
    /// A script ended it.
    pub stopped: bool,
    /// Mean reward of the first and the last step.
    pub first_reward: f64,
    pub last_reward: f64,
    /// That of every step of this call.
    pub rewards: Vec<f64>,
    pub seconds: f64,
    pub run_dir: PathBuf,
    pub checkpoint: PathBuf,
}
