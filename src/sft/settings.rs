//! Settings of the supervised trainer.

use crate::error::{Error, Result};
use crate::models::LoraSettings;
use crate::train::OptimSettings;
use std::path::PathBuf;

/// Names as in TRL's `SFTConfig` where it has them.
#[derive(Clone, Debug)]
pub struct SftSettings {
    pub batch_size: usize,
    pub optim: OptimSettings,
    /// Trains adapters of these settings instead of the weights.
    pub lora: Option<LoraSettings>,
    /// The weight of the load-balancing loss of a mixture of experts; 0 is off.
    pub router_aux_loss_coef: f32,
    pub gradient_accumulation_steps: usize,
    /// 0 is by `num_epochs`.
    pub max_steps: u64,
    pub num_epochs: u64,
    /// Longer rows are refused.
    pub max_length: usize,
    pub seed: u64,
    pub run_dir: Option<PathBuf>,
}

impl Default for SftSettings {
    fn default() -> Self {
        Self {
            batch_size: 8,
            optim: OptimSettings::at(2e-5),
            lora: None,
            router_aux_loss_coef: 0.0,
            gradient_accumulation_steps: 1,
            max_steps: 0,
            num_epochs: 1,
            max_length: 1024,
            seed: 42,
            run_dir: None,
        }
    }
}

impl SftSettings {
    /// An error for the first setting out of its range, before any work.
    pub fn check(&self) -> Result<()> {
        let counts = [
            ("batch_size", self.batch_size),
            ("max_length", self.max_length),
            (
                "gradient_accumulation_steps",
                self.gradient_accumulation_steps,
            ),
        ];
        match counts.iter().find(|(_, count)| *count == 0) {
            Some((name, count)) => Err(Error::setting(*name, count, "at least 1")),
            None => self.optim.check(),
        }
    }
}
