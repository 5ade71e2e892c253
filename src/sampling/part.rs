//! Rows of a batch that go through the same operations.

use super::chain::{Chain, Filters};
use super::columns::column;
use super::draw::{Chance, Draw, invert, spread};
use super::settings::SamplerSettings;
use crate::error::Result;
use crate::mlx::{Array, Dtype};
use crate::tensor::selective_log_softmax;
use mlx_rs::ops::{self, indexing};

/// Whether rows are greedy, and which filters they have on.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    greedy: bool,
    filters: Filters,
}

impl Way {
    /// The way of a row.
    pub fn of(s: &SamplerSettings) -> Self {
        Self {
            greedy: s.temperature == 0.0,
            filters: Filters::of(s),
        }
    }
}

/// Rows with the same way.
#[derive(Clone, Debug)]
pub struct Part {
    greedy: bool,
    chain: Chain,
    /// What logits are multiplied with, `[]` or `[B, 1]`; `None` where it is 1.
    scale: Option<Array>,
}

/// Logits of a step, f32 `[B, V]`.
pub struct Logits {
    /// As the model gave them.
    pub model: Array,
    /// After bias and penalties, where there are any.
    pub changed: Option<Array>,
}

impl Logits {
    fn seen(&self) -> &Array {
        self.changed.as_ref().unwrap_or(&self.model)
    }
}

/// Probabilities to draw by.
struct Choice {
    /// f32 `[B, N]`
    probabilities: Array,
    /// `[B, N]`; `None` where the places are the ids.
    ids: Option<Array>,
    /// f32 `[B, 1]`: the log-sum-exp of the logits that were seen, where it is known.
    total: Option<Array>,
}

impl Part {
    /// Of rows with one way: one settings for all, or one for each.
    pub fn new(way: Way, rows: &[&SamplerSettings]) -> Self {
        let scales: Vec<f32> = rows
            .iter()
            .map(|row| 1.0 / row.logprob_temperature())
            .collect();
        let plain = scales.iter().all(|scale| *scale == 1.0);
        Self {
            greedy: way.greedy,
            chain: Chain::new(way.filters, rows),
            scale: (!plain).then(|| column(&scales)),
        }
    }

    /// As [`Chain::filter`].
    pub fn filter(&self, logprobs: &Array, chances: &[Chance]) -> Result<Array> {
        self.chain.filter(logprobs, chances)
    }

    /// Draws one token for each row.
    ///
    /// # Shapes
    /// - chances: one for each row
    pub fn draw(&self, logits: &Logits, chances: &[Chance]) -> Result<Draw> {
        if self.greedy {
            return greedy(logits);
        }
        let choice = self.choice(logits, chances)?;
        let places = invert(&choice.probabilities, chances)?;
        let chosen = match &choice.ids {
            None => places,
            Some(ids) => indexing::take_along_axis(ids, &places, -1)?,
        };
        let tokens = chosen.squeeze_axes(&[-1])?.as_dtype(Dtype::Int32)?;
        let logprobs = self.logprobs(logits, &choice, &chosen, &tokens)?;
        Ok(Draw { tokens, logprobs })
    }

    /// Log-probabilities of what was drawn, from sums that are there already if they can be.
    fn logprobs(
        &self,
        logits: &Logits,
        choice: &Choice,
        chosen: &Array,
        tokens: &Array,
    ) -> Result<Array> {
        let unchanged = logits.changed.is_none();
        if unchanged && self.chain.is_off() {
            let chosen = indexing::take_along_axis(&choice.probabilities, chosen, -1)?;
            return Ok(chosen.squeeze_axes(&[-1])?.log()?);
        }
        match &choice.total {
            Some(total) if unchanged && self.scale.is_none() => {
                let chosen = indexing::take_along_axis(&logits.model, chosen, -1)?;
                Ok(chosen.subtract(total)?.squeeze_axes(&[-1])?)
            }
            _ => selective_log_softmax(&self.scaled(&logits.model)?, tokens),
        }
    }

    /// The probabilities that are drawn from.
    ///
    /// # Shapes
    /// - returns: f32 `[B, V]`
    pub fn distribution(&self, logits: &Logits, chances: &[Chance]) -> Result<Array> {
        let vocab = logits.model.dim(-1);
        if self.greedy {
            let best = indexing::argmax_axis(logits.seen(), -1, true)?;
            return spread(&best, &Array::from_f32(1.0), vocab);
        }
        let choice = self.choice(logits, chances)?;
        match &choice.ids {
            None => Ok(choice.probabilities),
            Some(ids) => spread(ids, &choice.probabilities, vocab),
        }
    }

    fn choice(&self, logits: &Logits, chances: &[Chance]) -> Result<Choice> {
        let seen = logits.seen();
        let (mut ids, mut total) = (None, None);
        let kept = if self.chain.is_off() {
            seen.clone()
        } else if self.chain.can_be_few(seen.dim(-1)) {
            let few = self.chain.few(seen)?;
            (ids, total) = (Some(few.ids), few.total);
            few.logits
        } else {
            // Filters look at differences only; this one keeps exponentials in range.
            let best = seen.max_axis(-1, true)?;
            self.chain.filter(&seen.subtract(&best)?, chances)?
        };
        Ok(Choice {
            probabilities: ops::softmax_axis(&self.scaled(&kept)?, -1, true)?,
            ids,
            total,
        })
    }

    /// Logits at the temperatures of their rows.
    fn scaled(&self, logits: &Array) -> Result<Array> {
        match &self.scale {
            None => Ok(logits.clone()),
            Some(scale) => Ok(logits.multiply(scale)?),
        }
    }
}

/// The likeliest tokens, and their log-probabilities at temperature 1.
fn greedy(logits: &Logits) -> Result<Draw> {
    let best = indexing::argmax_axis(logits.seen(), -1, false)?;
    let tokens = best.as_dtype(Dtype::Int32)?;
    let logprobs = match logits.changed {
        // The largest logit is the chosen one: no need to look it up.
        None => {
            let total = ops::logsumexp_axis(&logits.model, -1, false)?;
            logits.model.max_axis(-1, false)?.subtract(total)?
        }
        Some(_) => selective_log_softmax(&logits.model, &tokens)?,
    };
    Ok(Draw { tokens, logprobs })
}
