//! What a generation is asked for, and what it gives.

use crate::cache::Kind;
use crate::error::{Error, Result};
use crate::mlx::random::derive;
use crate::models::Qwen3;
use crate::sampling::{PenaltySettings, RowSettings, SamplerSettings};

/// What one completion is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    pub prompt: Vec<i32>,
    pub max_tokens: usize,
    pub sampling: RowSettings,
    /// Ids after which it ends; the id itself is kept.
    pub stop_token_ids: Vec<i32>,
    /// All its randomness: the same tokens come alone or in a batch.
    pub seed: u64,
}

impl Request {
    /// An error for what cannot be done, before any work.
    pub fn check(&self, model: &Qwen3) -> Result<()> {
        if self.prompt.is_empty() {
            let expected = "at least one token";
            return Err(Error::value("prompt", "an empty prompt", expected));
        }
        if self.max_tokens == 0 {
            return Err(Error::setting("max_tokens", 0, "at least 1"));
        }
        let vocab_size = model.config.vocab_size;
        self.sampling.sampler.check()?;
        self.sampling.penalties.check(Some(vocab_size))?;
        model.check_ids(&self.prompt)?;
        self.check_length(0, model.config.max_position_embeddings)
    }

    /// An error if the text would become longer than those that the model was trained on.
    pub(super) fn check_length(&self, before: usize, longest: i32) -> Result<()> {
        let prompt = before + self.prompt.len();
        if prompt + self.max_tokens <= longest as usize {
            return Ok(());
        }
        let found = format!("{} after a prompt of {prompt} tokens", self.max_tokens);
        let rest = (longest as usize).saturating_sub(prompt);
        let expected = match rest {
            0 => format!("a shorter prompt: the model's texts have up to {longest} tokens"),
            _ => format!("at most {rest}: the model's texts have up to {longest} tokens"),
        };
        Err(Error::setting("max_tokens", found, &expected))
    }
}

/// How requests are worked on, whatever they ask for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EngineSettings {
    /// How many tokens of a prompt are forwarded at once.
    pub prefill_step_size: usize,
    /// How the past is kept.
    pub cache: Kind,
    /// At most so many completions grow at the same time; the others wait.
    pub max_batch_size: usize,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            prefill_step_size: 2048,
            cache: Kind::Full,
            max_batch_size: 256,
        }
    }
}

impl EngineSettings {
    /// An error for the first setting out of its range.
    pub fn check(&self) -> Result<()> {
        let counts = [
            ("prefill_step_size", self.prefill_step_size),
            ("max_batch_size", self.max_batch_size),
        ];
        if let Some((name, count)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(Error::setting(*name, count, "at least 1"));
        }
        self.cache.layer(0).map(drop)
    }
}

/// Settings of a generation in which all prompts are treated alike.
#[derive(Clone, Debug)]
pub struct GenerateSettings {
    pub max_tokens: usize,
    pub sampler: SamplerSettings,
    pub penalties: PenaltySettings,
    pub seed: u64,
    /// Ids after which a row ends; the id itself is kept.
    pub stop_token_ids: Vec<i32>,
    /// How many completions each prompt gets.
    pub num_samples: usize,
    pub engine: EngineSettings,
}

impl Default for GenerateSettings {
    fn default() -> Self {
        Self {
            max_tokens: 256,
            sampler: SamplerSettings::default(),
            penalties: PenaltySettings::default(),
            seed: 0,
            stop_token_ids: Vec::new(),
            num_samples: 1,
            engine: EngineSettings::default(),
        }
    }
}

impl GenerateSettings {
    /// An error for the first setting out of its range.
    pub fn check(&self) -> Result<()> {
        self.sampler.check()?;
        self.penalties.check(None)?;
        self.engine.check()?;
        let counts = [
            ("max_tokens", self.max_tokens),
            ("num_samples", self.num_samples),
        ];
        match counts.iter().find(|(_, count)| *count == 0) {
            Some((name, count)) => Err(Error::setting(*name, count, "at least 1")),
            None => Ok(()),
        }
    }

    /// One request for each completion of a prompt. `first` is the number of the first among the
    /// completions that share the seed.
    pub fn requests(&self, prompt: &[i32], first: usize) -> Vec<Request> {
        let rows = first..first + self.num_samples;
        rows.map(|row| Request {
            prompt: prompt.to_vec(),
            max_tokens: self.max_tokens,
            sampling: RowSettings {
                sampler: self.sampler.clone(),
                penalties: self.penalties.clone(),
            },
            stop_token_ids: self.stop_token_ids.clone(),
            seed: derive(self.seed, row as u64),
        })
        .collect()
    }
}

/// Why a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It produced a stop token, or whoever listens said that it is enough.
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

impl Generated {
    /// One that has not begun.
    pub(super) fn nothing() -> Self {
        Self {
            token_ids: Vec::new(),
            logprobs: Vec::new(),
            finish: Finish::Interrupted,
        }
    }

    /// Takes a token, tells of it, and says whether more are to come.
    pub(super) fn push(
        &mut self,
        (row, request): (usize, &Request),
        (id, logprob): (i32, f32),
        observer: &mut dyn Observer,
    ) -> Result<bool> {
        self.token_ids.push(id);
        self.logprobs.push(logprob);
        let next = observer.token(row, id)?;
        if request.stop_token_ids.contains(&id) || next == Next::Stop {
            self.finish = Finish::Stop;
        } else if self.token_ids.len() >= request.max_tokens {
            self.finish = Finish::Length;
        } else {
            return Ok(true);
        }
        Ok(false)
    }
}

/// Whether a completion goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Go,
    /// The token that was told of is the last.
    Stop,
}

/// Who is told of tokens as they come.
pub trait Observer {
    /// A row (the number of its request) got one more id. An error ends the generation.
    fn token(&mut self, row: usize, id: i32) -> Result<Next>;
}

/// Tells nobody.
pub struct Silent;

impl Observer for Silent {
    fn token(&mut self, _: usize, _: i32) -> Result<Next> {
        Ok(Next::Go)
    }
}
