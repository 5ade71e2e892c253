//! What a generation is asked for, and what it gives.

use crate::error::{Error, Result};
use crate::sampling::SamplerSettings;

/// Settings of a generation.
#[derive(Clone, Debug)]
pub struct GenerateSettings {
    pub max_tokens: usize,
    pub sampler: SamplerSettings,
    pub seed: u64,
    /// Ids after which a row ends; the id itself is kept.
    pub stop_token_ids: Vec<i32>,
    /// How many completions each prompt gets.
    pub num_samples: usize,
    /// How many tokens of a prompt are forwarded at once.
    pub prefill_step_size: usize,
}

impl Default for GenerateSettings {
    fn default() -> Self {
        Self {
            max_tokens: 256,
            sampler: SamplerSettings::default(),
            seed: 0,
            stop_token_ids: Vec::new(),
            num_samples: 1,
            prefill_step_size: 2048,
        }
    }
}

impl GenerateSettings {
    /// An error for the first setting out of its range.
    pub fn check(&self) -> Result<()> {
        self.sampler.check()?;
        let counts = [
            ("max_tokens", self.max_tokens),
            ("num_samples", self.num_samples),
            ("prefill_step_size", self.prefill_step_size),
        ];
        match counts.iter().find(|(_, count)| *count == 0) {
            Some((name, count)) => Err(Error::setting(*name, count, "at least 1")),
            None => Ok(()),
        }
    }
}

/// Why a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It produced a stop token.
    Stop,
    /// It reached `max_tokens`.
    Length,
    /// Somebody asked to stop.
    Interrupted,
}

impl Finish {
    /// The name in scripts and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// The sampled ids; the stop token, if one came, is the last.
    pub token_ids: Vec<i32>,
    /// Log-probability of each id under the model at the sampling temperature, no filter applied.
    pub logprobs: Vec<f32>,
    pub finish: Finish,
}
