//! Whether an output is as long as it should be, and does not go round in circles.

use crate::error::{Error, Result};
use crate::rl::{RewardOutput, Score};
use std::collections::HashSet;

/// The lengths that are right.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    pub min: usize,
    pub max: usize,
    /// So far outside of them the reward has fallen to 0; 0 is at once.
    pub margin: usize,
    /// Counts characters of the text, not tokens.
    pub characters: bool,
}

impl Length {
    /// An error for lengths that none can have.
    pub fn check(&self) -> Result<()> {
        if self.max < self.min {
            let expected = format!("at least `min`, {}", self.min);
            return Err(Error::setting("max", self.max, &expected));
        }
        Ok(())
    }
}

/// 1 for a length within the bounds, falling in a straight line to 0 at `margin` outside of them.
pub fn length(output: &RewardOutput, bounds: &Length) -> Score {
    let length = match bounds.characters {
        true => output.completion.text.chars().count(),
        false => output.completion.token_ids.len(),
    };
    let off = bounds
        .min
        .saturating_sub(length)
        .max(length.saturating_sub(bounds.max));
    Score::Value(match (off, bounds.margin) {
        (0, _) => 1.0,
        (_, 0) => 0.0,
        (off, margin) => (1.0 - off as f64 / margin as f64).max(0.0),
    })
}

/// `max_penalty` times the share of n-grams of tokens that came before
/// (<https://arxiv.org/abs/2502.03373>, appendix C.2): TRL's `get_repetition_penalty_reward`.
pub fn repetition(output: &RewardOutput, ngram_size: usize, max_penalty: f64) -> Score {
    let ids = &output.completion.token_ids;
    let all = (ids.len() + 1).saturating_sub(ngram_size);
    if all == 0 || ngram_size == 0 {
        return Score::Value(0.0);
    }
    let distinct: HashSet<&[i32]> = ids.windows(ngram_size).collect();
    Score::Value((1.0 - distinct.len() as f64 / all as f64) * max_penalty)
}

/// 0 up to `cache` tokens before the longest completion, then falling in a straight line to -1 at it
/// (DAPO, <https://arxiv.org/abs/2503.14476>, equation 13): TRL's `get_soft_overlong_punishment`.
pub fn soft_overlong(length: usize, longest: usize, cache: usize) -> f64 {
    let over = length as f64 - (longest as f64 - cache as f64);
    match cache {
        0 => -f64::from(u8::from(length > longest)),
        cache => -(over / cache as f64).clamp(0.0, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::soft_overlong;

    #[test]
    fn long_completions_are_punished_in_proportion() {
        // Values of TRL's get_soft_overlong_punishment(100, 20).
        assert_eq!(soft_overlong(50, 100, 20), 0.0);
        assert_eq!(soft_overlong(80, 100, 20), 0.0);
        assert_eq!(soft_overlong(90, 100, 20), -0.5);
        assert_eq!(soft_overlong(100, 100, 20), -1.0);
        assert_eq!(soft_overlong(110, 100, 20), -1.0);
    }
}
