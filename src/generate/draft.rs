//! Guesses at the next tokens, which a model then checks all at once.

use super::live::History;
use super::step::prefill;
use crate::cache::{self, Cache, Kind};
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype};
use crate::models::Qwen3;
use crate::sampling::{Chance, Sampler, draw_from};
use mlx_rs::ops::{self, indexing};

/// Where guesses come from.
#[derive(Clone, Copy, Debug)]
pub enum Draft<'a> {
    /// A smaller model with the same tokens (<https://arxiv.org/abs/2211.17192>).
    Model(&'a Qwen3),
    /// The text itself: what followed the last time that its latest tokens, at most so many,
    /// stood in it.
    Ngram { longest: usize },
}

/// Some guessed tokens.
pub(super) struct Guess {
    /// `int32` `[k]`
    pub tokens: Array,
    /// What they were drawn from, f32 `[k, V]`.
    pub probabilities: Array,
}

/// A draft at work on one text.
pub(super) struct Drafter<'a> {
    draft: Draft<'a>,
    vocab_size: i32,
    cache: Cache,
    /// How many tokens of the text the cache holds.
    held: usize,
    chunk: usize,
}

impl<'a> Drafter<'a> {
    /// # Errors
    /// A draft model with other tokens than `model`.
    pub fn new(draft: Draft<'a>, model: &Qwen3, chunk: usize) -> Result<Self> {
        let vocab_size = model.config.vocab_size;
        let mut cache = Vec::new();
        if let Draft::Model(small) = draft {
            if small.config.vocab_size != vocab_size {
                let found = format!("a model with {} tokens", small.config.vocab_size);
                let expected = format!("one with the same {vocab_size} tokens");
                return Err(Error::setting("draft_model", found, &expected));
            }
            cache = Kind::Full.cache(small.layers.len(), 0)?;
        }
        if let Draft::Ngram { longest: 0 } = draft {
            return Err(Error::setting("ngram_size", 0, "at least 1"));
        }
        Ok(Self {
            draft,
            vocab_size,
            cache,
            held: 0,
            chunk,
        })
    }

    /// Up to `k` tokens after a text; none is a guess, too.
    pub fn guess(
        &mut self,
        text: &[i32],
        k: usize,
        sampler: &Sampler,
        context: Option<usize>,
        chances: &[Chance],
    ) -> Result<Option<Guess>> {
        match self.draft {
            _ if k == 0 => Ok(None),
            Draft::Ngram { longest } => {
                let found = look_up(text, longest, k);
                (!found.is_empty()).then(|| self.certain(found)).transpose()
            }
            Draft::Model(model) => self.draw(model, text, k, sampler, context, chances),
        }
    }

    /// Tokens that are guessed with certainty.
    fn certain(&self, tokens: &[i32]) -> Result<Guess> {
        let tokens = Array::from_slice(tokens, &[tokens.len() as i32]);
        let none = ops::zeros_dtype(&[tokens.dim(0), self.vocab_size], Dtype::Float32)?;
        let index = tokens.expand_dims(-1)?;
        let probabilities =
            indexing::put_along_axis(&none, &index, Array::from_f32(1.0), Some(-1))?;
        Ok(Guess {
            tokens,
            probabilities,
        })
    }

    fn draw(
        &mut self,
        model: &Qwen3,
        text: &[i32],
        k: usize,
        sampler: &Sampler,
        context: Option<usize>,
        chances: &[Chance],
    ) -> Result<Option<Guess>> {
        let mut history = context.map(|n| History::new(&[text], n));
        let new = &text[self.held..];
        let mut ids = Array::from_slice(new, &[1, new.len() as i32]);
        let (mut tokens, mut probabilities) = (Vec::new(), Vec::new());
        for chance in chances.iter().take(k) {
            let logits = prefill(model, &mut self.cache, &ids, self.chunk)?;
            let seen = history.as_ref().map(History::tokens);
            let chance = std::slice::from_ref(chance);
            let p = sampler.distribution(&logits, seen, chance)?;
            let token = draw_from(&p, chance)?;
            history = history.map(|history| history.push(&token)).transpose()?;
            ids = token.expand_dims(0)?;
            tokens.push(token);
            probabilities.push(p);
        }
        // The last guess was not forwarded.
        self.held = text.len() + k - 1;
        Ok(Some(Guess {
            tokens: ops::concatenate(&tokens, 0)?,
            probabilities: ops::concatenate(&probabilities, 0)?,
        }))
    }

    /// Forgets what was guessed behind the first `length` tokens of the text.
    pub fn keep(&mut self, length: usize) -> Result<()> {
        let surplus = self.held.saturating_sub(length);
        if surplus > 0 {
            cache::truncate(&mut self.cache, surplus as i32)?;
            self.held = length;
        }
        Ok(())
    }
}

/// What followed the latest tokens of a text when they last stood in it: the longest run of
/// tokens first, at most `k` tokens.
fn look_up(text: &[i32], longest: usize, k: usize) -> &[i32] {
    let end = text.len();
    for n in (1..=longest.min(end.saturating_sub(1))).rev() {
        let latest = &text[end - n..];
        let before = text[..end - 1].windows(n);
        if let Some(at) = before.rev().position(|window| window == latest) {
            // Windows are counted from the last, which ends one token before the text does.
            let start = end - 1 - at;
            return &text[start..(start + k).min(end)];
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::look_up;

    #[test]
    fn what_followed_the_last_time_is_found() {
        let text = [1, 2, 3, 9, 1, 2, 3, 4, 5, 2, 3];
        assert_eq!(look_up(&text, 2, 2), [4, 5]);
        assert_eq!(look_up(&text, 1, 9), [4, 5, 2, 3]);
        assert_eq!(look_up(&[7, 7], 3, 2), [7]);
        assert!(look_up(&[1, 2, 3], 3, 2).is_empty());
        assert!(look_up(&[1], 3, 2).is_empty());
    }
}
