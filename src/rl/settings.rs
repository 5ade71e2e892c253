//! Settings of the GRPO trainer.

use super::advantage::AdvantageSettings;
use super::loss::LossSettings;
use super::reward::OnError;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::generate::{EngineSettings, GenerateSettings};
use crate::models::LoraSettings;
use crate::sampling::{PenaltySettings, SamplerSettings};
use crate::text::TemplateOptions;
use crate::train::OptimSettings;
use std::path::PathBuf;

/// Names as in TRL's `GRPOConfig` where it has them.
#[derive(Clone, Debug)]
pub struct GrpoSettings {
    pub prompts_per_step: usize,
    pub num_generations: usize,
    pub max_completion_length: usize,
    pub sampler: SamplerSettings,
    pub penalties: PenaltySettings,
    /// Strings that end a completion.
    pub stop: Vec<String>,
    /// What the chat template is told of every row; a row's own `tools` and `chat_template_kwargs`
    /// come before it.
    pub template: TemplateOptions,
    pub engine: EngineSettings,
    pub stop_token_ids: Option<Vec<i32>>,
    pub loss: LossSettings,
    pub advantage: AdvantageSettings,
    pub optim: OptimSettings,
    /// Trains adapters of these settings instead of the weights.
    pub lora: Option<LoraSettings>,
    /// The weight of the load-balancing loss of a mixture of experts; 0 is off.
    pub router_aux_loss_coef: f32,
    /// Updates for each batch of completions.
    pub num_iterations: usize,
    /// Micro-batches for each update; the update is the same, the memory less.
    pub gradient_accumulation_steps: usize,
    /// Micro-batches of as many rows as so many tokens allow, padding included, in the place of
    /// `gradient_accumulation_steps`; 0 is off.
    pub micro_batch_tokens: usize,
    /// Computes the inside of each block again in the backward pass.
    pub gradient_checkpointing: bool,
    /// How many completion tokens go through the head at once; 0 is by the vocabulary's size.
    pub logprob_chunk_size: usize,
    /// Forwards a prompt once for all of its completions in training, too.
    pub shared_prefix: bool,
    /// Learns nothing from completions that did not end.
    pub mask_truncated_completions: bool,
    /// How often prompts whose completions are all worth the same are replaced in a step.
    pub dynamic_sampling: u64,
    /// Completions are punished more and more in the last so many tokens; 0 is off.
    pub overlong_buffer: usize,
    /// 0 keeps the reference as it was at the start.
    pub ref_sync_steps: u64,
    /// The share of the model in a synchronised reference.
    pub ref_model_mixup_alpha: f32,
    /// 0 is by `num_epochs`.
    pub max_steps: u64,
    pub num_epochs: u64,
    /// 0 is never.
    pub eval_steps: u64,
    pub eval_dataset: Option<Dataset>,
    /// 0 is at the end only.
    pub save_steps: u64,
    pub save_total_limit: usize,
    pub log_completions: bool,
    /// What happens when a reward fails.
    pub on_error: OnError,
    /// Completions in the table that is shown every `logging_steps`; 0 shows none.
    pub num_completions_to_print: usize,
    pub logging_steps: u64,
    /// Writes event files, too.
    pub tensorboard: bool,
    pub seed: u64,
    pub run_dir: Option<PathBuf>,
}

impl Default for GrpoSettings {
    fn default() -> Self {
        Self {
            prompts_per_step: 4,
            num_generations: 8,
            max_completion_length: 256,
            sampler: SamplerSettings::default(),
            penalties: PenaltySettings::default(),
            stop: Vec::new(),
            template: TemplateOptions::default(),
            engine: EngineSettings::default(),
            stop_token_ids: None,
            loss: LossSettings::default(),
            advantage: AdvantageSettings::default(),
            optim: OptimSettings::at(1e-6),
            lora: None,
            router_aux_loss_coef: 0.0,
            num_iterations: 1,
            gradient_accumulation_steps: 1,
            micro_batch_tokens: 0,
            gradient_checkpointing: false,
            logprob_chunk_size: 0,
            shared_prefix: true,
            mask_truncated_completions: false,
            dynamic_sampling: 0,
            overlong_buffer: 0,
            ref_sync_steps: 0,
            ref_model_mixup_alpha: 0.6,
            max_steps: 0,
            num_epochs: 1,
            eval_steps: 0,
            eval_dataset: None,
            save_steps: 0,
            save_total_limit: 3,
            log_completions: true,
            on_error: OnError::default(),
            num_completions_to_print: 0,
            logging_steps: 10,
            tensorboard: false,
            seed: 42,
            run_dir: None,
        }
    }
}

impl GrpoSettings {
    /// An error for the first setting out of its range, before any work.
    pub fn check(&self) -> Result<()> {
        if self.num_generations < 2 {
            return Err(Error::setting(
                "num_generations",
                self.num_generations,
                "at least 2: advantages compare the completions of a prompt",
            ));
        }
        let counts = [
            ("prompts_per_step", self.prompts_per_step),
            ("max_completion_length", self.max_completion_length),
            ("num_iterations", self.num_iterations),
            ("num_epochs", self.num_epochs as usize),
            ("logging_steps", self.logging_steps as usize),
            (
                "gradient_accumulation_steps",
                self.gradient_accumulation_steps,
            ),
        ];
        if let Some((name, count)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(Error::setting(*name, count, "at least 1"));
        }
        if self.micro_batch_tokens > 0 && self.gradient_accumulation_steps > 1 {
            let expected = "0 with `gradient_accumulation_steps`: one of them makes the parts";
            let found = self.micro_batch_tokens;
            return Err(Error::setting("micro_batch_tokens", found, expected));
        }
        if self.overlong_buffer > self.max_completion_length {
            let expected = format!(
                "up to max_completion_length = {}",
                self.max_completion_length
            );
            return Err(Error::setting(
                "overlong_buffer",
                self.overlong_buffer,
                &expected,
            ));
        }
        if self.ref_sync_steps > 0 && self.loss.beta == 0.0 {
            let expected = "0, or a `beta` above 0: without one there is no reference";
            return Err(Error::setting(
                "ref_sync_steps",
                self.ref_sync_steps,
                expected,
            ));
        }
        if !(0.0..=1.0).contains(&self.ref_model_mixup_alpha) {
            let found = self.ref_model_mixup_alpha;
            return Err(Error::setting(
                "ref_model_mixup_alpha",
                found,
                "from 0 to 1",
            ));
        }
        if self.eval_steps > 0 && self.eval_dataset.is_none() {
            let expected = "0, or an `eval_dataset` beside it";
            return Err(Error::setting("eval_steps", self.eval_steps, expected));
        }
        if self.sampler.temperature == 0.0 {
            let expected = "a positive number: greedy completions of a prompt are all the same";
            return Err(Error::setting("temperature", 0, expected));
        }
        self.sampler.check()?;
        self.penalties.check(None)?;
        self.engine.check()?;
        self.loss.check()?;
        self.advantage.check()?;
        self.optim.check()
    }

    /// What the sampler is asked for in a step.
    pub fn generate(&self, stop: &[i32], seed: u64) -> GenerateSettings {
        GenerateSettings {
            max_tokens: self.max_completion_length,
            sampler: self.sampler.clone(),
            penalties: self.penalties.clone(),
            seed,
            stop_token_ids: self.stop_token_ids.clone().unwrap_or(stop.to_vec()),
            num_samples: self.num_generations,
            engine: self.engine,
        }
    }
}
