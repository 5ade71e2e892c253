//! Speculative decoding: a draft guesses some tokens, one forward of the model checks them all.
//!
//! A guess is kept with probability `min(1, p / q)`, p being the model's probability of it and q
//! the draft's; in place of the first that is not, a token is drawn from what p has over q. The
//! result has the model's own distribution (<https://arxiv.org/abs/2211.17192>, theorem 1), and
//! greedy output is that without a draft.

use super::draft::{Draft, Drafter, Guess};
use super::live::{History, Row};
use super::settings::{EngineSettings, Generated, Observer, Request};
use super::step::prefill;
use crate::cache::{self, Cache, Kind};
use crate::error::{Error, Result};
use crate::mlx::{self, Array, Dtype, interrupt, slice};
use crate::models::Qwen3;
use crate::sampling::{Chance, Sampler, draw_from};
use crate::tensor::{selective_log_softmax, to_f32, to_i32};
use mlx_rs::ops::{self, indexing};

/// Settings of speculative decoding.
#[derive(Clone, Copy, Debug)]
pub struct Speculation<'a> {
    pub draft: Draft<'a>,
    /// How many tokens are guessed at once.
    pub num_draft_tokens: usize,
}

/// Completes requests one after another with the help of a draft.
///
/// # Errors
/// Those of [`complete`](super::complete); a draft with other tokens; a cache that cannot be
/// trimmed.
pub fn speculate(
    model: &Qwen3,
    requests: &[Request],
    how: &Speculation,
    settings: &EngineSettings,
    observer: &mut dyn Observer,
) -> Result<Vec<Generated>> {
    settings.check()?;
    requests.iter().try_for_each(|one| one.check(model))?;
    if how.num_draft_tokens == 0 {
        return Err(Error::setting("num_draft_tokens", 0, "at least 1"));
    }
    if let Kind::Rotating { .. } = settings.cache {
        let expected = "a full or a quantized one: what a draft got wrong is trimmed, and a ring \
                        that has gone round cannot be";
        return Err(Error::setting("cache", "a rotating cache", expected));
    }
    let one = |(number, request)| {
        let mut text = Text::new(model, Row::new(number, request), how, settings)?;
        match text.run(how.num_draft_tokens, settings.prefill_step_size, observer) {
            Ok(()) | Err(Error::Interrupted) => {}
            Err(error) => return Err(error),
        }
        tracing::debug!(
            guessed = text.guessed,
            kept = text.kept,
            "speculative decoding"
        );
        Ok(text.row.done)
    };
    requests.iter().enumerate().map(one).collect()
}

/// One completion under way.
struct Text<'a> {
    model: &'a Qwen3,
    row: Row<'a>,
    /// Prompt and completion; the cache holds all of it but the last token.
    ids: Vec<i32>,
    cache: Cache,
    drafter: Drafter<'a>,
    sampler: Sampler,
    guessed: usize,
    kept: usize,
}

/// What a check of `k` guesses computes, one entry for each of the `k + 1` positions.
struct Checked {
    /// The guesses, `k` of them.
    tokens: Vec<i32>,
    /// The model's and the draft's probability of each guess.
    p: Vec<f32>,
    q: Vec<f32>,
    /// What comes in place of a guess, or after the last.
    others: Vec<i32>,
    logprobs: Vec<f32>,
    others_logprobs: Vec<f32>,
}

impl<'a> Text<'a> {
    fn new(
        model: &'a Qwen3,
        row: Row<'a>,
        how: &Speculation<'a>,
        settings: &EngineSettings,
    ) -> Result<Self> {
        Ok(Self {
            model,
            ids: row.request.prompt.clone(),
            cache: settings.cache.cache(model.layers.len(), 0)?,
            drafter: Drafter::new(how.draft, model, settings.prefill_step_size)?,
            sampler: Sampler::uniform(row.request.sampling.clone())?,
            row,
            guessed: 0,
            kept: 0,
        })
    }

    fn run(&mut self, k: usize, chunk: usize, observer: &mut dyn Observer) -> Result<()> {
        // 1. The prompt, and the first token.
        let ids = Array::from_slice(&self.ids, &[1, self.ids.len() as i32]);
        let logits = prefill(self.model, &mut self.cache, &ids, chunk)?;
        let history = self
            .sampler
            .context()
            .map(|n| History::new(&[&self.ids], n));
        let chance = self.row.chance();
        let history = history.as_ref().map(History::tokens);
        let draw = self.sampler.draw(&logits, history, &[chance])?;
        let first = (to_i32(&draw.tokens)?[0], to_f32(&draw.logprobs)?[0]);
        let mut goes_on = self.push(first, observer)?;
        // 2. Guess and check.
        while goes_on {
            interrupt::check()?;
            let rest = self.row.request.max_tokens - self.row.done.token_ids.len();
            let chances: Vec<Chance> = (0..k).map(|_| self.row.chance()).collect();
            let context = self.sampler.context();
            let most = k.min(rest - 1);
            let guess = self
                .drafter
                .guess(&self.ids, most, &self.sampler, context, &chances)?;
            goes_on = self.check(guess, observer)?;
        }
        Ok(())
    }

    fn push(&mut self, token: (i32, f32), observer: &mut dyn Observer) -> Result<bool> {
        self.ids.push(token.0);
        self.row.push(token, observer)
    }

    /// Keeps the guesses that stand, and one token more.
    fn check(&mut self, guess: Option<Guess>, observer: &mut dyn Observer) -> Result<bool> {
        let before = self.ids.len();
        let checked = self.compute(guess)?;
        let k = checked.tokens.len();
        self.guessed += k;
        for i in 0..k {
            if self.row.uniform() * checked.q[i] >= checked.p[i] {
                let other = (checked.others[i], checked.others_logprobs[i]);
                let goes_on = self.push(other, observer)?;
                self.forget(before, k, i)?;
                return Ok(goes_on);
            }
            self.kept += 1;
            if !self.push((checked.tokens[i], checked.logprobs[i]), observer)? {
                return Ok(false);
            }
        }
        self.forget(before, k, k)?;
        self.push((checked.others[k], checked.others_logprobs[k]), observer)
    }

    /// Takes the guesses from the `kept`th on out of the caches.
    fn forget(&mut self, before: usize, k: usize, kept: usize) -> Result<()> {
        cache::truncate(&mut self.cache, (k - kept) as i32)?;
        self.drafter.keep(before + kept)
    }

    fn compute(&mut self, guess: Option<Guess>) -> Result<Checked> {
        let last = *self.ids.last().unwrap_or(&0);
        let last = Array::from_slice(&[last], &[1]);
        let tokens = match &guess {
            Some(guess) => ops::concatenate(&[&last, &guess.tokens], 0)?,
            None => last,
        };
        // 1. The model's distribution at each position.
        let positions = tokens.dim(0);
        let k = positions - 1;
        let hidden = self
            .model
            .hidden(&tokens.expand_dims(0)?, Some(&mut self.cache))?;
        let logits = self.model.head(&hidden.squeeze_axes(&[0])?)?;
        let logits = logits.as_dtype(Dtype::Float32)?;
        let chances: Vec<Chance> = (0..positions).map(|_| self.row.chance()).collect();
        let history = self.histories(guess.as_ref())?;
        let p = self
            .sampler
            .distribution(&logits, history.as_ref(), &chances)?;
        // 2. What it has over the draft's, from which the other tokens are drawn.
        let vocab = p.dim(1);
        let of_guesses = slice(&p, &[0, 0], &[k, vocab])?;
        let after = slice(&p, &[k, 0], &[positions, vocab])?;
        let others = match &guess {
            None => after.clone(),
            Some(guess) => {
                let over = over(&of_guesses, &guess.probabilities)?;
                ops::concatenate(&[&over, &after], 0)?
            }
        };
        let others = draw_from(&others, &chances)?;
        // 3. Log-probabilities as they are recorded: of the model, at the sampling temperature.
        let temperature = self.row.request.sampling.sampler.logprob_temperature();
        let scaled = logits.multiply(Array::from_f32(1.0 / temperature))?;
        let others_logprobs = selective_log_softmax(&scaled, &others)?;
        let mut checked = Checked {
            tokens: Vec::new(),
            p: Vec::new(),
            q: Vec::new(),
            others: Vec::new(),
            logprobs: Vec::new(),
            others_logprobs: Vec::new(),
        };
        if let Some(guess) = &guess {
            let index = guess.tokens.expand_dims(-1)?;
            let of = |table: &Array| indexing::take_along_axis(table, &index, -1);
            let (p, q) = (of(&of_guesses)?, of(&guess.probabilities)?);
            let scaled = slice(&scaled, &[0, 0], &[k, vocab])?;
            let logprobs = selective_log_softmax(&scaled, &guess.tokens)?;
            mlx::eval([&others, &others_logprobs, &p, &q, &logprobs])?;
            checked.tokens = to_i32(&guess.tokens)?;
            (checked.p, checked.q) = (to_f32(&p)?, to_f32(&q)?);
            checked.logprobs = to_f32(&logprobs)?;
        }
        checked.others = to_i32(&others)?;
        checked.others_logprobs = to_f32(&others_logprobs)?;
        Ok(checked)
    }

    /// What stands before each position, for penalties: the text, and the guesses so far.
    ///
    /// # Shapes
    /// - returns: `int32` `[k + 1, C]`, shorter ones with -1 before them
    fn histories(&self, guess: Option<&Guess>) -> Result<Option<Array>> {
        let Some(context) = self.sampler.context() else {
            return Ok(None);
        };
        let mut history = History::new(&[&self.ids], context);
        let mut all = history.clone();
        if let Some(guess) = guess {
            for i in 0..guess.tokens.dim(0) {
                history = history.push(&slice(&guess.tokens, &[i], &[i + 1])?)?;
                all = all.join(&history)?;
            }
        }
        Ok(Some(all.tokens().clone()))
    }
}

/// The positive part of `p - q`; p itself where the two are the same.
fn over(p: &Array, q: &Array) -> Result<Array> {
    let over = ops::maximum(p.subtract(q)?, Array::from_f32(0.0))?;
    let is_something = over.sum_axis(-1, true)?.gt(Array::from_f32(0.0))?;
    Ok(ops::select(&is_something, &over, p)?)
}
