//! Group-relative policy optimisation (<https://arxiv.org/abs/2402.03300>).
//!
//! Losses and advantages are pure functions; a reward is a trait that a script implements; the
//! trainer samples, scores, and takes steps. Formulas are those of TRL 1.16.

pub mod advantage;
mod evaluate;
mod gathered;
mod lesson;
mod live;
pub mod loss;
mod micro;
mod preset;
mod record;
mod report;
pub mod reward;
pub mod rewards;
mod rollout;
mod sample;
mod settings;
mod state;
mod table;
mod trainer;
mod update;
mod warnings;

pub use advantage::{AdvantageSettings, Aggregation, Baseline, Scale, advantages};
pub use evaluate::{EvalSettings, Evaluation};
pub use loss::{LossInputs, LossSettings, LossType, Ratio, high_entropy_mask};
pub use preset::{preset, preset_names};
pub use report::Report;
pub use reward::{Completion, OnError, Reward, RewardOutput, Score, Scores, ScriptVersion};
pub use rollout::Rollout;
pub use settings::GrpoSettings;
pub use trainer::GrpoTrainer;
pub use update::{BuiltIn, PolicyLoss};
