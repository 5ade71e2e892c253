//! What the loss is computed from, and the same made safe to compute with.

use super::settings::{LossSettings, Ratio};
use crate::error::{Error, Result};
use crate::mlx::autograd::stop_gradient;
use crate::mlx::{Array, Dtype};
use crate::tensor::dims2;
use mlx_rs::ops;

/// What the loss is computed from. [`LossInputs::new`] fills in what may be left out.
#[derive(Clone, Debug)]
pub struct LossInputs<'a> {
    /// `[B, T]`: log-probabilities under the model that is trained.
    pub logprobs: &'a Array,
    /// `[B, T]`: those at sampling time; `None` means the same, and a ratio of exactly 1.
    pub old_logprobs: Option<&'a Array>,
    /// `[B, T]`: those of the reference model, for `beta` above 0.
    pub ref_logprobs: Option<&'a Array>,
    /// `[B, T]`: the sampler's own, for the off-policy mask; `None` is `old_logprobs`. NaN is a token
    /// that the sampler did not score, and says nothing.
    pub sampling_logprobs: Option<&'a Array>,
    /// `[B, T]`: nats, for `top_entropy_quantile` below 1 and for `entropy_coef`, whose gradient
    /// goes through them.
    pub entropies: Option<&'a Array>,
    /// `[B, T]`, `[B, 1]` or `[B]`: the probabilities at `old_logprobs` over those of the sampler.
    /// Multiplies the token losses, as a constant; `vespo` has it in its weight instead.
    pub importance_ratio: Option<&'a Array>,
    /// `[B]` or `[B, T]`
    pub advantages: &'a Array,
    /// `[B, T]`: 1 for tokens that count.
    pub mask: &'a Array,
    /// The entropy from which on tokens are kept, if it is known of the whole step
    /// ([`super::entropy_threshold`]): micro-batches then keep the tokens that the step would keep.
    /// `None` is that of this batch.
    pub entropy_threshold: Option<f32>,
    /// `[B, T]`: 1 for tokens that are kept for their entropy, where the step has decided that; then
    /// neither a threshold nor this batch's quantile does.
    pub entropy_kept: Option<&'a Array>,
    /// Tokens of the whole step that the entropy bonus is the mean of, where that is known; `None`
    /// is those of this batch, and the bonus is divided by `gradient_accumulation_steps`.
    pub num_entropies: Option<f32>,
    /// Tokens of the whole step, also of its other micro-batches; `None` is those of `mask`.
    pub num_items_in_batch: Option<f32>,
    /// For `dr_grpo`; `None` is T.
    pub max_completion_length: Option<i32>,
    /// What is not divided by the tokens of the whole step is divided by this: the number of equal
    /// micro-batches of a step, or 1 over the share of the step that this batch is.
    pub gradient_accumulation_steps: f32,
}

impl<'a> LossInputs<'a> {
    /// On-policy inputs, which are the whole step.
    pub fn new(logprobs: &'a Array, advantages: &'a Array, mask: &'a Array) -> Self {
        Self {
            logprobs,
            old_logprobs: None,
            ref_logprobs: None,
            sampling_logprobs: None,
            entropies: None,
            importance_ratio: None,
            advantages,
            mask,
            entropy_threshold: None,
            entropy_kept: None,
            num_entropies: None,
            num_items_in_batch: None,
            max_completion_length: None,
            gradient_accumulation_steps: 1.0,
        }
    }
}

/// Log-ratios count up to this size, and have no gradient beyond: `exp` of it, times advantages
/// below 100, is still a number in f32.
pub(super) const LIMIT: f32 = 84.0;

/// `exp(x)` that stays finite.
pub(super) fn bounded_exp(x: &Array) -> Result<Array> {
    Ok(ops::clip(x, (number(-LIMIT), number(LIMIT)))?.exp()?)
}

pub(super) fn number(value: f32) -> Array {
    Array::from_f32(value)
}

/// The inputs in f32, of known shapes, with 0 wherever the mask is 0.
pub(super) struct Tokens {
    pub shape: [i32; 2],
    /// `[B, T]`
    pub mask: Array,
    /// `[B, T]`: where the mask is not 0.
    pub real: Array,
    /// `[B, 1]`: the sum of the mask, at least 1.
    pub lengths: Array,
    /// `[B, T]`
    pub logprobs: Array,
    /// `[B, T]`
    pub old: Array,
    /// `[B, 1]` or `[B, T]`
    pub advantages: Array,
    level: Ratio,
}

impl Tokens {
    pub fn new(inputs: &LossInputs, settings: &LossSettings) -> Result<Self> {
        let shape = dims2(inputs.logprobs, "logprobs")?;
        let mask = same_shape(inputs.mask, shape, "mask")?;
        let real = mask.gt(number(0.0))?;
        let logprobs = cleaned(inputs.logprobs, &real, shape, "logprobs")?;
        let old = match inputs.old_logprobs {
            Some(old) => cleaned(old, &real, shape, "old_logprobs")?,
            None => stop_gradient(&logprobs)?,
        };
        let lengths = ops::maximum(&mask.sum_axis(-1, true)?, number(1.0))?;
        let mut tokens = Self {
            shape,
            mask,
            real,
            lengths,
            logprobs,
            old,
            advantages: number(0.0),
            level: settings.importance_sampling_level,
        };
        tokens.advantages = tokens.per_row(inputs.advantages, "advantages", 0.0)?;
        Ok(tokens)
    }

    /// Another array `[B, T]`, with 0 at masked positions.
    pub fn clean(&self, a: &Array, what: &'static str) -> Result<Array> {
        cleaned(a, &self.real, self.shape, what)
    }

    /// `[B]`, `[B, 1]` or `[B, T]` as one of the latter two, with `padding` where nothing counts.
    pub fn per_row(&self, a: &Array, what: &'static str, padding: f32) -> Result<Array> {
        let [b, t] = self.shape;
        let real = match *a.shape() {
            [n] if n == b => self.real.any_axis(-1, true)?,
            [n, m] if (n, m) == (b, t) => self.real.clone(),
            [n, 1] if n == b => self.real.any_axis(-1, true)?,
            _ => {
                let expected = format!("[{b}] or [{b}, {t}]");
                return Err(Error::shape(what, expected, a.shape()));
            }
        };
        let a = a.reshape(real.shape())?.as_dtype(Dtype::Float32)?;
        Ok(ops::select(&real, &a, number(padding))?)
    }

    /// The ratio to the policy that sampled, `[B, T]` or `[B, 1]`.
    pub fn ratio(&self) -> Result<Array> {
        let log_ratio = self.logprobs.subtract(&self.old)?;
        match self.level {
            Ratio::Token => bounded_exp(&log_ratio),
            Ratio::Sequence => bounded_exp(&log_ratio.sum_axis(-1, true)?.divide(&self.lengths)?),
        }
    }

    /// `[B, T]`, with 0 at masked positions.
    pub fn spread(&self, a: &Array) -> Result<Array> {
        Ok(ops::broadcast_to(a, &self.shape)?.multiply(&self.mask)?)
    }

    /// The mean over tokens; over rows, if there is one number a row.
    pub fn mean(&self, a: &Array) -> Result<Array> {
        if self.is_per_row(a) {
            return Ok(a.mean(false)?);
        }
        let count = ops::maximum(&self.mask.sum(false)?, number(1.0))?;
        Ok(self.spread(a)?.sum(false)?.divide(count)?)
    }

    /// The smallest and the largest mean of a row, of rows that have tokens; 0 if there are none.
    pub fn extremes(&self, a: &Array) -> Result<(Array, Array)> {
        let rows = match self.is_per_row(a) {
            true => a.clone(),
            false => self.spread(a)?.sum_axis(-1, true)?.divide(&self.lengths)?,
        };
        let real = self.real.any_axis(-1, true)?;
        let nowhere = self.real.any(false)?.logical_not()?;
        let of_real = |instead: f32| ops::select(&real, &rows, number(instead));
        let low = of_real(f32::INFINITY)?.min(false)?;
        let high = of_real(f32::NEG_INFINITY)?.max(false)?;
        let or_0 = |a: Array| ops::select(&nowhere, number(0.0), &a);
        Ok((or_0(low)?, or_0(high)?))
    }

    fn is_per_row(&self, a: &Array) -> bool {
        a.dim(-1) == 1 && (self.shape[1] != 1 || self.level == Ratio::Sequence)
    }
}

fn cleaned(a: &Array, real: &Array, shape: [i32; 2], what: &'static str) -> Result<Array> {
    let a = same_shape(a, shape, what)?;
    Ok(ops::select(real, &a, number(0.0))?)
}

pub(super) fn same_shape(a: &Array, shape: [i32; 2], what: &'static str) -> Result<Array> {
    if a.shape() != shape {
        let expected = format!("{shape:?}, as logprobs");
        return Err(Error::shape(what, expected, a.shape()));
    }
    Ok(a.as_dtype(Dtype::Float32)?)
}
