//! The policy loss, a pure function of arrays.

use crate::error::{Error, Result};
use crate::mlx::autograd::stop_gradient;
use crate::mlx::{Array, Dtype};
use crate::tensor::dims2;
use mlx_rs::ops;

/// How token losses become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LossType {
    /// Mean over each sequence, then over sequences (<https://arxiv.org/abs/2402.03300>).
    Grpo,
    /// Sum over all tokens, divided by the tokens of the whole step
    /// (<https://arxiv.org/abs/2503.14476>).
    #[default]
    Dapo,
    /// Sum over all tokens, divided by rows times the longest allowed completion
    /// (<https://arxiv.org/abs/2503.20783>).
    DrGrpo,
    /// Mean over the tokens of the micro-batch.
    Bnpo,
}

impl LossType {
    /// The type of a name.
    ///
    /// # Errors
    /// An unknown name; the error lists the known ones.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "grpo" => Ok(Self::Grpo),
            "dapo" => Ok(Self::Dapo),
            "dr_grpo" => Ok(Self::DrGrpo),
            "bnpo" => Ok(Self::Bnpo),
            other => Err(Error::setting(
                "loss_type",
                other,
                "grpo, dapo, dr_grpo or bnpo",
            )),
        }
    }

    /// Whether the mean is over the tokens of the batch at hand.
    pub fn is_by_local_tokens(self) -> bool {
        self == Self::Bnpo
    }

    /// The name in settings and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpo => "grpo",
            Self::Dapo => "dapo",
            Self::DrGrpo => "dr_grpo",
            Self::Bnpo => "bnpo",
        }
    }
}

/// What the probability ratio is taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ratio {
    #[default]
    Token,
    /// The geometric mean over the sequence (GSPO, <https://arxiv.org/abs/2507.18071>).
    Sequence,
}

impl Ratio {
    /// The level of a name.
    ///
    /// # Errors
    /// An unknown name; the error lists the known ones.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "token" => Ok(Self::Token),
            "sequence" => Ok(Self::Sequence),
            other => Err(Error::setting(
                "importance_sampling_level",
                other,
                "token or sequence",
            )),
        }
    }
}

/// Settings, under TRL's names.
#[derive(Clone, Copy, Debug)]
pub struct LossSettings {
    pub loss_type: LossType,
    pub importance_sampling_level: Ratio,
    pub epsilon: f32,
    /// `None` is `epsilon`.
    pub epsilon_high: Option<f32>,
    /// Upper bound of the unclipped ratio, for two-sided clipping.
    pub delta: Option<f32>,
    /// Weight of the divergence from the reference model; 0 needs no reference.
    pub beta: f32,
    pub top_entropy_quantile: f32,
    pub entropy_coef: f32,
}

impl Default for LossSettings {
    fn default() -> Self {
        Self {
            loss_type: LossType::default(),
            importance_sampling_level: Ratio::default(),
            epsilon: 0.2,
            epsilon_high: None,
            delta: None,
            beta: 0.0,
            top_entropy_quantile: 1.0,
            entropy_coef: 0.0,
        }
    }
}

impl LossSettings {
    /// An error for the first setting out of its range.
    pub fn check(&self) -> Result<()> {
        let from_zero = [
            ("epsilon", Some(self.epsilon)),
            ("epsilon_high", self.epsilon_high),
            ("delta", self.delta),
            ("beta", Some(self.beta)),
        ];
        for (name, value) in from_zero {
            if let Some(value) = value.filter(|v| !(*v >= 0.0 && v.is_finite())) {
                return Err(Error::setting(name, value, "0 or a positive number"));
            }
        }
        Ok(())
    }
}

/// What the loss is computed from.
#[derive(Clone, Debug)]
pub struct LossInputs<'a> {
    /// `[B, T]`: log-probabilities under the model that is trained.
    pub logprobs: &'a Array,
    /// `[B, T]`: those at sampling time; `None` means the same, and a ratio of exactly 1.
    pub old_logprobs: Option<&'a Array>,
    /// `[B, T]`: those of the reference model, for `beta` above 0.
    pub ref_logprobs: Option<&'a Array>,
    /// `[B]` or `[B, T]`
    pub advantages: &'a Array,
    /// `[B, T]`: 1 for tokens that count.
    pub mask: &'a Array,
    /// Tokens of the whole step; `None` is those of `mask`.
    pub num_items_in_batch: Option<f32>,
    /// For `dr_grpo`; `None` is T.
    pub max_completion_length: Option<i32>,
    /// The share of the step that this batch is: the loss is divided by it.
    pub gradient_accumulation_steps: f32,
    pub sampling_logprobs: Option<&'a Array>,
    pub entropies: Option<&'a Array>,
    pub entropy_threshold: Option<f32>,
}

impl<'a> LossInputs<'a> {
    pub fn new(logprobs: &'a Array, advantages: &'a Array, mask: &'a Array) -> Self {
        Self {
            logprobs,
            old_logprobs: None,
            ref_logprobs: None,
            advantages,
            mask,
            num_items_in_batch: None,
            max_completion_length: None,
            gradient_accumulation_steps: 1.0,
            sampling_logprobs: None,
            entropies: None,
            entropy_threshold: None,
        }
    }
}

pub fn quantile(values: &mut [f32], q: f32) -> Option<f32> {
    values.first().map(|v| v * q)
}

/// The loss `[]`, and numbers to watch, each `[]`: `clip_ratio/low_mean`,
/// `clip_ratio/high_mean`, `clip_ratio/region_mean`, and `kl` where there is a reference.
///
/// Per token `-min(r A, clip(r, 1 - epsilon, 1 + epsilon_high) A) + beta KL`, with the k3
/// estimator of the divergence (<http://joschu.net/blog/kl-approx.html>). Everything is f32, and
/// nothing at a masked position has any effect, whatever stands there.
pub fn loss(inputs: &LossInputs, settings: &LossSettings) -> Result<(Array, Vec<(String, Array)>)> {
    settings.check()?;
    let number = Array::from_f32;
    // 1. Shapes and dtypes; masked positions become 0.
    let [b, t] = dims2(inputs.logprobs, "logprobs")?;
    let mask = same_shape(inputs.mask, [b, t], "mask")?;
    let real = mask.gt(number(0.0))?;
    let clean = |a: &Array, what| -> Result<Array> {
        let a = same_shape(a, [b, t], what)?;
        Ok(ops::select(&real, &a, number(0.0))?)
    };
    let logprobs = clean(inputs.logprobs, "logprobs")?;
    let advantages = match inputs.advantages.shape() {
        [n] if *n == b => inputs.advantages.reshape(&[b, 1])?,
        [n, m] if (*n, *m) == (b, t) => inputs.advantages.clone(),
        other => {
            let expected = format!("[{b}] or [{b}, {t}]");
            return Err(Error::shape("advantages", expected, other));
        }
    }
    .as_dtype(Dtype::Float32)?;
    let lengths = ops::maximum(&mask.sum_axis(-1, true)?, number(1.0))?;
    // 2. The ratio to the policy that sampled.
    let old = match inputs.old_logprobs {
        Some(old) => clean(old, "old_logprobs")?,
        None => stop_gradient(&logprobs)?,
    };
    let mut log_ratio = logprobs.subtract(&old)?;
    if settings.importance_sampling_level == Ratio::Sequence {
        log_ratio = log_ratio.sum_axis(-1, true)?.divide(&lengths)?;
    }
    let ratio = log_ratio.exp()?;
    // 3. The clipped objective.
    let low = number(1.0 - settings.epsilon);
    let high = number(1.0 + settings.epsilon_high.unwrap_or(settings.epsilon));
    let clipped = ops::clip(&ratio, (&low, &high))?;
    let capped = match settings.delta {
        Some(delta) => ops::minimum(&ratio, number(delta))?,
        None => ratio,
    };
    let objective = ops::minimum(
        &capped.multiply(&advantages)?,
        &clipped.multiply(&advantages)?,
    )?;
    let mut tokens = objective.negative()?;
    // 4. The divergence from the reference.
    let mut metrics = Vec::new();
    if settings.beta > 0.0 {
        let Some(reference) = inputs.ref_logprobs else {
            return Err(Error::value(
                "ref_logprobs",
                "none",
                "an array, because beta > 0",
            ));
        };
        let difference = clean(reference, "ref_logprobs")?.subtract(&logprobs)?;
        let kl = difference
            .exp()?
            .subtract(&difference)?
            .subtract(number(1.0))?;
        tokens = tokens.add(kl.multiply(number(settings.beta))?)?;
        metrics.push(("kl".to_string(), masked_mean(&kl, &mask)?));
    }
    // 5. One number.
    let tokens = ops::broadcast_to(&tokens, &[b, t])?.multiply(&mask)?;
    let total = tokens.sum(false)?;
    let share = inputs.gradient_accumulation_steps;
    let loss = match settings.loss_type {
        LossType::Grpo => tokens
            .sum_axis(-1, true)?
            .divide(&lengths)?
            .mean(false)?
            .divide(number(share))?,
        LossType::Bnpo => total
            .divide(ops::maximum(&mask.sum(false)?, number(1.0))?)?
            .divide(number(share))?,
        LossType::DrGrpo => {
            let longest = inputs.max_completion_length.unwrap_or(t);
            total.divide(number(b as f32 * longest as f32 * share))?
        }
        LossType::Dapo => match inputs.num_items_in_batch {
            Some(items) => total.divide(number(items.max(1.0)))?,
            None => total.divide(ops::maximum(&mask.sum(false)?, number(1.0))?)?,
        },
    };
    let negative = advantages.lt(number(0.0))?;
    let positive = advantages.gt(number(0.0))?;
    let is_low = capped.lt(&low)?.logical_and(&negative)?;
    let is_high = capped.gt(&high)?.logical_and(&positive)?;
    let region = is_low.logical_or(&is_high)?;
    for (name, clipped) in [
        ("low_mean", &is_low),
        ("high_mean", &is_high),
        ("region_mean", &region),
    ] {
        let share = ops::broadcast_to(clipped.as_dtype(Dtype::Float32)?, &[b, t])?;
        metrics.push((format!("clip_ratio/{name}"), masked_mean(&share, &mask)?));
    }
    Ok((loss, metrics))
}

fn same_shape(a: &Array, shape: [i32; 2], what: &'static str) -> Result<Array> {
    if a.shape() != shape {
        return Err(Error::shape(
            what,
            format!("{shape:?}, as logprobs"),
            a.shape(),
        ));
    }
    Ok(a.as_dtype(Dtype::Float32)?)
}

fn masked_mean(values: &Array, mask: &Array) -> Result<Array> {
    let count = ops::maximum(&mask.sum(false)?, Array::from_f32(1.0))?;
    Ok(values.multiply(mask)?.sum(false)?.divide(count)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::item;

    fn on_policy(loss_type: LossType) -> f32 {
        let logprobs = Array::from_slice(
            &[
                -0.5f32, -1.2, -0.3, -2.0, -0.9, -1.1, -0.4, -0.7, -0.6, -0.8, -0.25, -1.75, -0.95,
                -0.15, -1.3,
            ],
            &[3, 5],
        );
        let mask = crate::tensor::mask::length_mask(&[5, 3, 4], 5).unwrap();
        let inputs = LossInputs {
            logprobs: &logprobs,
            old_logprobs: None,
            ref_logprobs: None,
            advantages: &Array::from_slice(&[1.2f32, -0.8, 0.5], &[3]),
            mask: &mask.as_dtype(Dtype::Float32).unwrap(),
            num_items_in_batch: Some(12.0),
            max_completion_length: Some(8),
            gradient_accumulation_steps: 1.0,
            sampling_logprobs: None,
            entropies: None,
            entropy_threshold: None,
        };
        let settings = LossSettings {
            loss_type,
            ..LossSettings::default()
        };
        item(&loss(&inputs, &settings).unwrap().0).unwrap()
    }

    #[test]
    fn on_policy_values_are_trl_s() {
        assert!((on_policy(LossType::Grpo) + 0.3).abs() < 1e-6);
        assert!((on_policy(LossType::Dapo) + 0.466_666_67).abs() < 1e-6);
        assert!((on_policy(LossType::Bnpo) + 0.466_666_67).abs() < 1e-6);
        assert!((on_policy(LossType::DrGrpo) + 0.233_333_33).abs() < 1e-6);
    }

    #[test]
    fn masked_positions_have_no_effect_and_extremes_stay_finite() {
        let logprobs = Array::from_slice(&[-80.0f32, f32::NAN, -1.0, f32::NEG_INFINITY], &[2, 2]);
        let old = Array::from_slice(&[0.0f32, 1.0, -81.0, 2.0], &[2, 2]);
        let mask = Array::from_slice(&[1.0f32, 0.0, 1.0, 0.0], &[2, 2]);
        let inputs = LossInputs {
            logprobs: &logprobs,
            old_logprobs: Some(&old),
            ref_logprobs: None,
            advantages: &Array::from_slice(&[1.0f32, 1.0], &[2]),
            mask: &mask,
            num_items_in_batch: None,
            max_completion_length: None,
            gradient_accumulation_steps: 1.0,
            sampling_logprobs: None,
            entropies: None,
            entropy_threshold: None,
        };
        let (value, metrics) = loss(&inputs, &LossSettings::default()).unwrap();
        // exp(-80) and the clip at 1.2, averaged over two tokens.
        assert!((item(&value).unwrap() + 0.6).abs() < 1e-6);
        assert_eq!(metrics[1].0, "clip_ratio/high_mean");
        assert_eq!(item(&metrics[1].1).unwrap(), 0.5);
    }

    #[test]
    fn a_reference_is_asked_for() {
        let one = Array::from_slice(&[0.0f32], &[1, 1]);
        let inputs = LossInputs {
            logprobs: &one,
            old_logprobs: None,
            ref_logprobs: None,
            advantages: &Array::from_slice(&[1.0f32], &[1]),
            mask: &Array::from_slice(&[1.0f32], &[1, 1]),
            num_items_in_batch: None,
            max_completion_length: None,
            gradient_accumulation_steps: 1.0,
            sampling_logprobs: None,
            entropies: None,
            entropy_threshold: None,
        };
        let settings = LossSettings {
            beta: 0.1,
            ..LossSettings::default()
        };
        let error = loss(&inputs, &settings).unwrap_err().to_string();
        assert!(error.contains("ref_logprobs"), "{error}");
    }
}
