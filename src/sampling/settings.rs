//! What tokens are chosen by, and what is out of range.

use crate::error::{Error, Result};

/// How tokens are chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplerSettings {
    /// 0 takes the likeliest token and ignores everything else.
    pub temperature: f32,
    pub top_p: f32,
    /// 0 is off.
    pub top_k: i32,
    pub min_p: f32,
    pub min_tokens_to_keep: i32,
    /// How often the likeliest tokens are excluded; 0 is never.
    pub xtc_probability: f32,
    /// Which tokens count as likely.
    pub xtc_threshold: f32,
    /// Tokens that XTC never excludes.
    pub xtc_special_tokens: Vec<i32>,
}

impl Default for SamplerSettings {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            min_tokens_to_keep: 1,
            xtc_probability: 0.0,
            xtc_threshold: 0.1,
            xtc_special_tokens: Vec::new(),
        }
    }
}

/// An error for a number that is not between two others, `low` included only where that is said.
fn check_within(name: &str, value: f32, [low, high]: [f32; 2], expected: &str) -> Result<()> {
    match (low..=high).contains(&value) {
        true => Ok(()),
        false => Err(Error::setting(name, value, expected)),
    }
}

pub(super) fn check_top_p(p: f32) -> Result<()> {
    match p > 0.0 && p <= 1.0 {
        true => Ok(()),
        false => Err(Error::setting("top_p", p, "a number above 0, up to 1")),
    }
}

pub(super) fn check_min_p(p: f32, min_tokens_to_keep: i32) -> Result<()> {
    check_within("min_p", p, [0.0, 1.0], "a number from 0 to 1")?;
    match min_tokens_to_keep >= 1 {
        true => Ok(()),
        false => Err(Error::setting(
            "min_tokens_to_keep",
            min_tokens_to_keep,
            "at least 1",
        )),
    }
}

pub(super) fn check_top_k(k: i32) -> Result<()> {
    match k >= 0 {
        true => Ok(()),
        false => Err(Error::setting("top_k", k, "0 (off) or a positive number")),
    }
}

pub(super) fn check_xtc(probability: f32, threshold: f32) -> Result<()> {
    let expected = "a number from 0 to 1";
    check_within("xtc_probability", probability, [0.0, 1.0], expected)?;
    let expected = "a number from 0 to 0.5: of two likely tokens, none has more than that";
    check_within("xtc_threshold", threshold, [0.0, 0.5], expected)
}

pub(super) fn check_repetition(penalty: f32) -> Result<()> {
    match penalty > 0.0 && penalty.is_finite() {
        true => Ok(()),
        false => {
            let expected = "a positive number; 1 is none, more makes repetition less likely";
            Err(Error::setting("repetition_penalty", penalty, expected))
        }
    }
}

pub(super) fn check_finite(name: &str, penalty: f32) -> Result<()> {
    match penalty.is_finite() {
        true => Ok(()),
        false => Err(Error::setting(name, penalty, "a number; 0 is none")),
    }
}

impl SamplerSettings {
    /// An error for the first setting out of its range, before anything random happens.
    pub fn check(&self) -> Result<()> {
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            let expected = "0 (greedy) or a positive number";
            return Err(Error::setting("temperature", self.temperature, expected));
        }
        check_top_p(self.top_p)?;
        check_top_k(self.top_k)?;
        check_min_p(self.min_p, self.min_tokens_to_keep)?;
        check_xtc(self.xtc_probability, self.xtc_threshold)
    }

    /// The temperature at which log-probabilities are reported: the sampling temperature, and 1
    /// for greedy choices.
    pub fn logprob_temperature(&self) -> f32 {
        if self.temperature == 0.0 {
            1.0
        } else {
            self.temperature
        }
    }
}

/// What makes tokens that were there before less likely, and others more. A context is how many
/// of the last tokens are looked at; 0 is all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct PenaltySettings {
    /// 1 is none.
    pub repetition_penalty: f32,
    pub repetition_context_size: usize,
    /// 0 is none.
    pub presence_penalty: f32,
    pub presence_context_size: usize,
    /// 0 is none.
    pub frequency_penalty: f32,
    pub frequency_context_size: usize,
    /// Tokens and what is added to their logits.
    pub logit_bias: Vec<(i32, f32)>,
}

impl Default for PenaltySettings {
    fn default() -> Self {
        Self {
            repetition_penalty: 1.0,
            repetition_context_size: 20,
            presence_penalty: 0.0,
            presence_context_size: 20,
            frequency_penalty: 0.0,
            frequency_context_size: 20,
            logit_bias: Vec::new(),
        }
    }
}

impl PenaltySettings {
    /// An error for the first setting out of its range; ids are compared with the vocabulary where
    /// that is known.
    pub fn check(&self, vocab_size: Option<i32>) -> Result<()> {
        check_repetition(self.repetition_penalty)?;
        check_finite("presence_penalty", self.presence_penalty)?;
        check_finite("frequency_penalty", self.frequency_penalty)?;
        check_bias(&self.logit_bias, vocab_size)
    }

    /// How many of the last tokens are looked at, if any; 0 is all of them.
    pub fn context(&self) -> Option<usize> {
        let uses = [
            (self.repetition_penalty != 1.0, self.repetition_context_size),
            (self.presence_penalty != 0.0, self.presence_context_size),
            (self.frequency_penalty != 0.0, self.frequency_context_size),
        ];
        let sizes = uses.iter().filter(|(used, _)| *used);
        sizes.map(|(_, size)| *size).reduce(wider)
    }
}

/// The wider of two contexts.
pub(super) fn wider(a: usize, b: usize) -> usize {
    if a == 0 || b == 0 { 0 } else { a.max(b) }
}

pub(super) fn check_bias(bias: &[(i32, f32)], vocab_size: Option<i32>) -> Result<()> {
    let limit = vocab_size.unwrap_or(i32::MAX);
    for (id, value) in bias {
        if !(0..limit).contains(id) {
            let found = format!("token id {id}");
            let expected = match vocab_size {
                Some(size) => format!("ids of the vocabulary of {size} tokens"),
                None => "ids of the vocabulary".into(),
            };
            return Err(Error::setting("logit_bias", found, &expected));
        }
        // Minus infinity forbids a token; plus infinity would leave no distribution.
        if value.is_nan() || *value == f32::INFINITY {
            let found = format!("{value} for token {id}");
            return Err(Error::setting("logit_bias", found, "numbers"));
        }
    }
    Ok(())
}

/// What one row of a batch is sampled by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowSettings {
    pub sampler: SamplerSettings,
    pub penalties: PenaltySettings,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_before_anything_else() {
        let error = |change: &dyn Fn(&mut SamplerSettings)| {
            let mut settings = SamplerSettings::default();
            change(&mut settings);
            settings.check().unwrap_err().to_string()
        };
        assert!(error(&|s| s.temperature = -1.0).contains("temperature"));
        assert!(error(&|s| s.temperature = f32::NAN).contains("temperature"));
        assert!(error(&|s| s.top_p = 0.0).contains("top_p"));
        assert!(error(&|s| s.top_p = 1.1).contains("top_p"));
        assert!(error(&|s| s.top_k = -1).contains("top_k"));
        assert!(error(&|s| s.min_p = 2.0).contains("min_p"));
        assert!(error(&|s| s.min_tokens_to_keep = 0).contains("min_tokens_to_keep"));
        assert!(error(&|s| s.xtc_probability = -0.1).contains("xtc_probability"));
        assert!(error(&|s| s.xtc_threshold = 0.6).contains("xtc_threshold"));
        SamplerSettings::default().check().unwrap();
    }

    #[test]
    fn penalties_are_checked_and_know_their_context() {
        let with = |change: &dyn Fn(&mut PenaltySettings)| {
            let mut settings = PenaltySettings::default();
            change(&mut settings);
            settings
        };
        let error = |change: &dyn Fn(&mut PenaltySettings)| {
            with(change).check(Some(10)).unwrap_err().to_string()
        };
        assert!(error(&|s| s.repetition_penalty = 0.0).contains("1 is none"));
        assert!(error(&|s| s.presence_penalty = f32::NAN).contains("presence_penalty"));
        assert!(error(&|s| s.frequency_penalty = f32::INFINITY).contains("frequency"));
        assert!(error(&|s| s.logit_bias = vec![(10, 1.0)]).contains("10 tokens"));
        assert!(error(&|s| s.logit_bias = vec![(1, f32::NAN)]).contains("NaN"));
        assert_eq!(PenaltySettings::default().context(), None);
        assert_eq!(with(&|s| s.presence_penalty = -1.0).context(), Some(20));
        let both = with(&|s| {
            (s.presence_penalty, s.frequency_penalty) = (1.0, 1.0);
            s.frequency_context_size = 0;
        });
        assert_eq!(both.context(), Some(0));
    }
}
