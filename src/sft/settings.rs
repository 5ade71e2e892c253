//! Settings of the supervised trainer.

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::models::LoraSettings;
use crate::train::{OptimSettings, lora_config};
use serde_json::{Value, json};
use std::path::PathBuf;

/// What becomes of rows longer than `max_length`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Truncation {
    /// They are an error, by row.
    #[default]
    Error,
    /// Their end is cut off; a row of which nothing is left to learn is left out.
    KeepStart,
}

impl Truncation {
    /// The choice of a name.
    ///
    /// # Errors
    /// An unknown name; the error lists the known ones.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "error" => Ok(Self::Error),
            "keep_start" => Ok(Self::KeepStart),
            other => Err(Error::setting("truncation", other, "error or keep_start")),
        }
    }

    /// The name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::KeepStart => "keep_start",
        }
    }
}

/// Names as in TRL's `SFTConfig` where it has them.
#[derive(Clone, Debug)]
pub struct SftSettings {
    /// Rows of a forward; with `packing` such of packed documents.
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
    pub max_length: usize,
    pub truncation: Truncation,
    /// Learns completions only, and not the prompts before them.
    pub completion_only_loss: bool,
    /// Learns only what the assistant says in rows of `messages`.
    pub assistant_only_loss: bool,
    /// Fills rows of `max_length` with several documents.
    pub packing: bool,
    /// Batches documents of similar length.
    pub group_by_length: bool,
    pub eval_dataset: Option<Dataset>,
    /// 0 is never.
    pub eval_steps: u64,
    /// 0 is at the end only.
    pub save_steps: u64,
    /// 0 keeps all.
    pub save_total_limit: usize,
    /// Computes the blocks again in the backward pass instead of keeping what they made.
    pub gradient_checkpointing: bool,
    /// Tokens that go through the head at once; 0 is all.
    pub logprob_chunk_size: usize,
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
            truncation: Truncation::default(),
            completion_only_loss: true,
            assistant_only_loss: false,
            packing: false,
            group_by_length: true,
            eval_dataset: None,
            eval_steps: 0,
            save_steps: 0,
            save_total_limit: 3,
            gradient_checkpointing: false,
            logprob_chunk_size: 0,
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
        if let Some((name, count)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(Error::setting(*name, count, "at least 1"));
        }
        if self.eval_steps > 0 && self.eval_dataset.is_none() {
            let expected = "0, or an `eval_dataset` beside it";
            return Err(Error::setting("eval_steps", self.eval_steps, expected));
        }
        self.optim.check()
    }

    /// The settings that a resumed trainer must have in common with the one that saved.
    pub fn config(&self) -> Value {
        let mut config = json!({
            "trainer": "sft",
            "seed": self.seed,
            "batch_size": self.batch_size,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
            "max_length": self.max_length,
            "truncation": self.truncation.name(),
            "completion_only_loss": self.completion_only_loss,
            "assistant_only_loss": self.assistant_only_loss,
            "packing": self.packing,
            "group_by_length": self.group_by_length,
            "router_aux_loss_coef": self.router_aux_loss_coef,
            "lora": lora_config(self.lora.as_ref()),
        });
        for (name, value) in self.optim.config(self.max_steps, self.num_epochs) {
            config[name] = value;
        }
        config
    }
}
