//! Filters in a chain, then one draw.

use super::filters::{min_p, top_k, top_p};
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype};
use crate::tensor::selective_log_softmax;
use mlx_rs::ops::{self, indexing};

/// How tokens are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplerSettings {
    /// 0 takes the likeliest token and ignores everything else.
    pub temperature: f32,
    pub top_p: f32,
    /// 0 is off.
    pub top_k: i32,
    pub min_p: f32,
    pub min_tokens_to_keep: i32,
}

impl Default for SamplerSettings {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            min_tokens_to_keep: 1,
        }
    }
}

impl SamplerSettings {
    /// An error for the first setting out of its range, before anything random happens.
    pub fn check(&self) -> Result<()> {
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return Err(Error::setting(
                "temperature",
                self.temperature,
                "0 (greedy) or a positive number",
            ));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(Error::setting(
                "top_p",
                self.top_p,
                "a number above 0, up to 1",
            ));
        }
        if self.top_k < 0 {
            return Err(Error::setting(
                "top_k",
                self.top_k,
                "0 (off) or a positive number",
            ));
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return Err(Error::setting("min_p", self.min_p, "a number from 0 to 1"));
        }
        if self.min_tokens_to_keep < 1 {
            let found = self.min_tokens_to_keep;
            return Err(Error::setting("min_tokens_to_keep", found, "at least 1"));
        }
        Ok(())
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

/// Checked settings, ready to draw.
#[derive(Clone, Copy, Debug)]
pub struct Sampler {
    settings: SamplerSettings,
}

/// What was drawn: ids and their log-probabilities, `[B]` each.
#[derive(Clone, Debug)]
pub struct Draw {
    /// `int32` `[B]`
    pub tokens: Array,
    /// f32 `[B]`: under the model at the sampling temperature, without filters.
    pub logprobs: Array,
}

impl Sampler {
    /// # Errors
    /// A setting out of its range.
    pub fn new(settings: SamplerSettings) -> Result<Self> {
        settings.check()?;
        Ok(Self { settings })
    }

    /// The settings.
    pub fn settings(&self) -> &SamplerSettings {
        &self.settings
    }

    /// Log-probabilities with `-inf` for excluded tokens, in mlx-lm's order: top-p, min-p, top-k.
    /// The temperature comes after the filters, so they see the model's own probabilities.
    ///
    /// # Shapes
    /// - logprobs: `[.., V]`
    /// - returns: `[.., V]`
    pub fn filter(&self, logprobs: &Array) -> Result<Array> {
        let s = &self.settings;
        let kept = top_p(logprobs, s.top_p)?;
        let kept = min_p(&kept, s.min_p, s.min_tokens_to_keep)?;
        top_k(&kept, s.top_k)
    }

    /// Draws one token for each row.
    ///
    /// The draw inverts the cumulative distribution at one given number for each row, so a row's
    /// token depends on nothing but its own logits and its own number.
    ///
    /// # Shapes
    /// - logits: `[B, V]`
    /// - uniforms: B numbers in `[0, 1)`
    pub fn draw(&self, logits: &Array, uniforms: &[f32]) -> Result<Draw> {
        let logits = logits.as_dtype(Dtype::Float32)?;
        let s = &self.settings;
        if s.temperature == 0.0 {
            let tokens = indexing::argmax_axis(&logits, -1, false)?.as_dtype(Dtype::Int32)?;
            let logprobs = selective_log_softmax(&logits, &tokens)?;
            return Ok(Draw { tokens, logprobs });
        }
        let filters = s.top_p < 1.0 || s.min_p > 0.0 || s.top_k > 0;
        if !filters {
            // One pass of exponentials serves the draw and the log-probability.
            let probabilities = ops::softmax_axis(&scale(&logits, s.temperature)?, -1, true)?;
            let tokens = invert(&probabilities, uniforms)?;
            let index = tokens.expand_dims(-1)?;
            let chosen = indexing::take_along_axis(&probabilities, &index, -1)?;
            let logprobs = chosen.squeeze_axes(&[-1])?.log()?;
            return Ok(Draw { tokens, logprobs });
        }
        let total = ops::logsumexp_axis(&logits, -1, true)?;
        let filtered = self.filter(&logits.subtract(total)?)?;
        let probabilities = ops::softmax_axis(&scale(&filtered, s.temperature)?, -1, true)?;
        let tokens = invert(&probabilities, uniforms)?;
        let logprobs = selective_log_softmax(&scale(&logits, s.temperature)?, &tokens)?;
        Ok(Draw { tokens, logprobs })
    }
}

fn scale(logits: &Array, temperature: f32) -> Result<Array> {
    if temperature == 1.0 {
        return Ok(logits.clone());
    }
    Ok(logits.multiply(Array::from_f32(1.0 / temperature))?)
}

/// The first token whose cumulative probability exceeds the row's number.
fn invert(probabilities: &Array, uniforms: &[f32]) -> Result<Array> {
    let vocab = probabilities.dim(-1);
    let cumulative = probabilities.cumsum(-1, false, true)?;
    let total = cumulative.max_axis(-1, true)?;
    let target = total.multiply(Array::from_slice(uniforms, &[uniforms.len() as i32, 1]))?;
    let index = cumulative
        .le(&target)?
        .as_dtype(Dtype::Int32)?
        .sum_axis(-1, false)?;
    Ok(ops::minimum(&index, Array::from_int(vocab - 1))?.as_dtype(Dtype::Int32)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mlx::random::Host;
    use crate::tensor::{to_f32, to_i32};

    fn sampler(change: impl Fn(&mut SamplerSettings)) -> Sampler {
        let mut settings = SamplerSettings::default();
        change(&mut settings);
        Sampler::new(settings).unwrap()
    }

    /// Draws `n` tokens from the same distribution and counts them.
    fn counts(sampler: &Sampler, logits: &[f32], n: usize) -> Vec<f64> {
        let mut host = Host::new(11);
        let uniforms: Vec<f32> = (0..n).map(|_| host.uniform()).collect();
        let vocab = logits.len() as i32;
        let logits = Array::from_slice(logits, &[1, vocab]);
        let logits = ops::broadcast_to(&logits, &[n as i32, vocab]).unwrap();
        let draw = sampler.draw(&logits, &uniforms).unwrap();
        let mut counts = vec![0.0; vocab as usize];
        for token in to_i32(&draw.tokens).unwrap() {
            counts[token as usize] += 1.0;
        }
        counts
    }

    #[test]
    fn frequencies_follow_the_distribution() {
        let logits = [1.0f32, 0.0, -1.0, 2.0, 0.5];
        for temperature in [1.0f32, 0.7] {
            let n = 20_000;
            let counts = counts(&sampler(|s| s.temperature = temperature), &logits, n);
            let weights: Vec<f64> = logits
                .iter()
                .map(|l| f64::from(l / temperature).exp())
                .collect();
            let total: f64 = weights.iter().sum();
            let chi: f64 = weights
                .iter()
                .zip(&counts)
                .map(|(w, c)| {
                    let expected = w / total * n as f64;
                    (c - expected).powi(2) / expected
                })
                .sum();
            // The 0.1 % point of chi-square with 4 degrees of freedom.
            assert!(chi < 18.47, "T = {temperature}: {chi}");
        }
    }

    #[test]
    fn excluded_tokens_are_never_drawn() {
        let counts = counts(&sampler(|s| s.top_k = 2), &[1.0, 0.0, -1.0, 2.0, 0.5], 5000);
        assert!(counts[0] > 0.0 && counts[3] > 0.0);
        assert_eq!([counts[1], counts[2], counts[4]], [0.0; 3]);
    }

    #[test]
    fn log_probabilities_ignore_filters_and_know_the_temperature() {
        let logits = Array::from_slice(&[1.0f32, 0.0, -1.0], &[1, 3]);
        let draw = sampler(|s| {
            s.temperature = 0.5;
            s.top_k = 1;
        })
        .draw(&logits, &[0.99])
        .unwrap();
        assert_eq!(to_i32(&draw.tokens).unwrap(), [0]);
        let total: f32 = [2.0f32, 0.0, -2.0].iter().map(|x| x.exp()).sum();
        assert!((to_f32(&draw.logprobs).unwrap()[0] - (2.0 - total.ln())).abs() < 1e-6);
    }

    #[test]
    fn greedy_takes_the_first_of_the_likeliest() {
        let logits = Array::from_slice(&[1.0f32, 3.0, 3.0], &[1, 3]);
        let draw = sampler(|s| s.temperature = 0.0)
            .draw(&logits, &[0.5])
            .unwrap();
        assert_eq!(to_i32(&draw.tokens).unwrap(), [1]);
    }

    #[test]
    fn settings_are_checked_when_made() {
        let with = |change: &dyn Fn(&mut SamplerSettings)| {
            let mut settings = SamplerSettings::default();
            change(&mut settings);
            Sampler::new(settings).is_err()
        };
        assert!(with(&|s| s.temperature = -1.0));
        assert!(with(&|s| s.temperature = f32::NAN));
        assert!(with(&|s| s.top_p = 0.0));
        assert!(with(&|s| s.top_k = -1));
        assert!(with(&|s| s.min_p = 2.0));
    }
}
