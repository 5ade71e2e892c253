//! Supervised fine-tuning: the likelihood of completions, prompts left out.

mod settings;
mod trainer;

pub use settings::SftSettings;
pub use trainer::{SftReport, SftTrainer};
