//! What a row is sampled by, checked before anything random happens.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How tokens are chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamplerSettings {
    /// 0 takes the likeliest token and ignores every other setting here.
    pub temperature: f32,
    pub top_p: f32,
    /// 0 is off.
    pub top_k: i32,
    pub min_p: f32,
    pub min_tokens_to_keep: i32,
    /// How often the likeliest tokens are excluded.
    pub xtc_probability: f32,
    /// Of the tokens above it only the least likely one stays.
    pub xtc_threshold: f32,
    /// Ids that are never excluded so.
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

impl SamplerSettings {
    /// An error for the first setting out of its range.
    pub fn check(&self) -> Result<()> {
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            let expected = "0 (greedy) or a positive number";
            return Err(Error::setting("temperature", self.temperature, expected));
        }
        check_top_p(self.top_p)?;
        check_top_k(self.top_k)?;
        check_min_p(self.min_p, self.min_tokens_to_keep)?;
        check_xtc(self.xtc_probability, self.xtc_threshold)?;
        check_ids("xtc_special_tokens", &self.xtc_special_tokens)
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

/// How what came before changes logits. A context size counts the last tokens that are looked at,
/// the prompt's among them; 0 is all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PenaltySettings {
    /// 1 is off.
    pub repetition_penalty: f32,
    pub repetition_context_size: usize,
    /// 0 is off.
    pub presence_penalty: f32,
    pub presence_context_size: usize,
    /// 0 is off.
    pub frequency_penalty: f32,
    pub frequency_context_size: usize,
    /// Added to the logits of ids.
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
    /// An error for the first setting out of its range; ids are held against the vocabulary where
    /// it is known.
    pub fn check(&self, vocab: Option<i32>) -> Result<()> {
        check_repetition(self.repetition_penalty)?;
        check_finite("presence_penalty", self.presence_penalty)?;
        check_finite("frequency_penalty", self.frequency_penalty)?;
        check_bias(&self.logit_bias, vocab)
    }

    /// Whether the tokens so far matter.
    pub fn needs_history(&self) -> bool {
        self.repetition_penalty != 1.0
            || self.presence_penalty != 0.0
            || self.frequency_penalty != 0.0
    }

    /// Whether logits stay as they are.
    pub fn is_off(&self) -> bool {
        !self.needs_history() && self.logit_bias.is_empty()
    }
}

/// What one row of a batch is sampled by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowSettings {
    pub sampler: SamplerSettings,
    pub penalties: PenaltySettings,
}

impl RowSettings {
    /// An error for the first setting out of its range.
    pub fn check(&self) -> Result<()> {
        self.sampler.check()?;
        self.penalties.check(None)
    }
}

pub(super) fn check_top_p(p: f32) -> Result<()> {
    match p > 0.0 && p <= 1.0 {
        true => Ok(()),
        false => Err(Error::setting("top_p", p, "a number above 0, up to 1")),
    }
}

pub(super) fn check_top_k(k: i32) -> Result<()> {
    match k >= 0 {
        true => Ok(()),
        false => Err(Error::setting("top_k", k, "0 (off) or a positive number")),
    }
}

pub(super) fn check_min_p(p: f32, keep: i32) -> Result<()> {
    if !(0.0..=1.0).contains(&p) {
        return Err(Error::setting("min_p", p, "a number from 0 to 1"));
    }
    match keep >= 1 {
        true => Ok(()),
        false => Err(Error::setting("min_tokens_to_keep", keep, "at least 1")),
    }
}

pub(super) fn check_xtc(probability: f32, threshold: f32) -> Result<()> {
    if !(0.0..=1.0).contains(&probability) {
        let expected = "a number from 0 to 1";
        return Err(Error::setting("xtc_probability", probability, expected));
    }
    match (0.0..=0.5).contains(&threshold) {
        true => Ok(()),
        // Above a half, no two tokens could pass it, and nothing would ever be excluded.
        false => Err(Error::setting(
            "xtc_threshold",
            threshold,
            "a number from 0 to 0.5",
        )),
    }
}

pub(super) fn check_repetition(penalty: f32) -> Result<()> {
    match penalty > 0.0 && penalty.is_finite() {
        true => Ok(()),
        false => Err(Error::setting(
            "repetition_penalty",
            penalty,
            "a positive number; 1 is off",
        )),
    }
}

pub(super) fn check_finite(name: &str, penalty: f32) -> Result<()> {
    match penalty.is_finite() {
        true => Ok(()),
        false => Err(Error::setting(name, penalty, "a finite number; 0 is off")),
    }
}

pub(super) fn check_bias(bias: &[(i32, f32)], vocab: Option<i32>) -> Result<()> {
    // Of infinite logits no distribution can be made; minus infinity only excludes a token.
    let unusable = |bias: f32| bias.is_nan() || bias == f32::INFINITY;
    if let Some((id, bias)) = bias.iter().find(|(_, bias)| unusable(*bias)) {
        let found = format!("{bias} for token {id}");
        let expected = "a number, or minus infinity; 100 is enough to force a token";
        return Err(Error::setting("logit_bias", found, expected));
    }
    if let Some((id, _)) = bias.iter().find(|(id, _)| *id < 0) {
        return Err(Error::setting("logit_bias", id, "token ids of at least 0"));
    }
    match vocab {
        Some(vocab) => check_inside(bias.iter().map(|(id, _)| *id), vocab),
        None => Ok(()),
    }
}

fn check_ids(name: &str, ids: &[i32]) -> Result<()> {
    match ids.iter().find(|id| **id < 0) {
        None => Ok(()),
        Some(id) => Err(Error::setting(name, id, "token ids of at least 0")),
    }
}

/// An error for an id outside the vocabulary: MLX does not check what it is told to change.
pub(super) fn check_inside(ids: impl IntoIterator<Item = i32>, vocab_size: i32) -> Result<()> {
    let outside = ids.into_iter().find(|id| !(0..vocab_size).contains(id));
    match outside.map(i64::from) {
        None => Ok(()),
        Some(id) => Err(Error::TokenId { id, vocab_size }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl Fn(&mut RowSettings)) -> String {
        let mut settings = RowSettings::default();
        change(&mut settings);
        settings.check().unwrap_err().to_string()
    }

    #[test]
    fn every_setting_is_checked_and_named() {
        assert!(RowSettings::default().check().is_ok());
        assert!(refused(|s| s.sampler.temperature = -1.0).contains("temperature"));
        assert!(refused(|s| s.sampler.temperature = f32::NAN).contains("temperature"));
        assert!(refused(|s| s.sampler.temperature = f32::INFINITY).contains("temperature"));
        assert!(refused(|s| s.sampler.top_p = 0.0).contains("top_p"));
        assert!(refused(|s| s.sampler.top_p = 1.5).contains("top_p"));
        assert!(refused(|s| s.sampler.top_k = -1).contains("top_k"));
        assert!(refused(|s| s.sampler.min_p = 2.0).contains("min_p"));
        assert!(refused(|s| s.sampler.min_tokens_to_keep = 0).contains("min_tokens_to_keep"));
        assert!(refused(|s| s.sampler.xtc_probability = 1.1).contains("xtc_probability"));
        assert!(refused(|s| s.sampler.xtc_threshold = 0.6).contains("xtc_threshold"));
        let special = refused(|s| s.sampler.xtc_special_tokens = vec![-1]);
        assert!(special.contains("xtc_special_tokens"), "{special}");
        // In mlx-lm 0 means off, which here is 1: the error says so.
        let repetition = refused(|s| s.penalties.repetition_penalty = 0.0);
        assert!(repetition.contains("repetition_penalty") && repetition.contains("1 is off"));
        assert!(refused(|s| s.penalties.presence_penalty = f32::NAN).contains("presence_penalty"));
        let frequency = refused(|s| s.penalties.frequency_penalty = f32::INFINITY);
        assert!(frequency.contains("frequency_penalty"));
        let bias = refused(|s| s.penalties.logit_bias = vec![(3, f32::NAN)]);
        assert!(bias.contains("logit_bias") && bias.contains("token 3"));
    }

    #[test]
    fn biased_ids_are_held_against_a_known_vocabulary() {
        let penalties = PenaltySettings {
            logit_bias: vec![(9, f32::NEG_INFINITY)],
            ..PenaltySettings::default()
        };
        assert!(penalties.check(None).is_ok());
        assert!(penalties.check(Some(10)).is_ok());
        let error = penalties.check(Some(9)).unwrap_err().to_string();
        assert!(error.contains("token id 9"), "{error}");
    }

    #[test]
    fn penalties_know_whether_they_look_back() {
        let mut penalties = PenaltySettings::default();
        assert!(penalties.is_off() && !penalties.needs_history());
        penalties.logit_bias = vec![(1, 1.0)];
        assert!(!penalties.is_off() && !penalties.needs_history());
        penalties.presence_penalty = -0.5;
        assert!(penalties.needs_history());
    }
}
