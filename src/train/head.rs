//! The head of a model in chunks of targets, with its gradient in closed form.
//!
//! Logits of all targets at once are what training runs out of memory with: `N * V` numbers, and
//! several times that in the backward pass. Here they are made for a chunk of targets, used and
//! dropped, outside of any gradient trace, which would keep them.

use crate::error::Result;
use crate::mlx::{self, Array, Dtype, device, rows};
use crate::models::Qwen3;
use crate::nn::Params;
use crate::tensor::{to_f32, to_i32};
use mlx_rs::ops;
use mlx_rs::ops::indexing;

/// How many numbers a chunk of logits has where nobody says how many targets: 128 MB.
const CHUNK_NUMBERS: usize = 1 << 25;

/// How log-probabilities are computed.
#[derive(Clone, Copy, Debug)]
pub struct HeadSettings {
    /// What logits are divided by.
    pub temperature: f32,
    /// Targets in a chunk; 0 is by the size of the vocabulary.
    pub chunk_size: usize,
    /// Whether entropies are wanted; they cost about as much as the log-probabilities.
    pub entropies: bool,
}

impl Default for HeadSettings {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            chunk_size: 0,
            entropies: false,
        }
    }
}

/// What the head says of N targets.
#[derive(Clone, Debug)]
pub struct TargetScores {
    /// Log-probability of each, f32 `[N]`.
    pub logprobs: Array,
    /// Entropy in nats of the distribution that each was drawn from, f32 `[N]`, if wanted.
    pub entropies: Option<Array>,
    /// Logarithm of the sum of the exponentials of each row of logits, f32 `[N]`.
    log_sums: Array,
}

/// The gradient of the head.
#[derive(Debug)]
pub struct HeadGrads {
    /// By the hidden states, `[N, E]`.
    pub hidden: Array,
    /// By the head's arrays, f32, with their names; none where they are not trained.
    pub weights: Vec<(&'static str, Array)>,
}

/// The head of a model, its hidden states `[N, E]` and targets `[N]`. The arrays are constants: a
/// traced one would keep every chunk.
pub struct Head<'a> {
    pub model: &'a Qwen3,
    pub hidden: &'a Array,
    pub targets: &'a Array,
    pub settings: HeadSettings,
}

impl Head<'_> {
    fn chunks(&self) -> Vec<[i32; 2]> {
        let n = self.targets.size();
        let size = match self.settings.chunk_size {
            0 => (CHUNK_NUMBERS / self.model.config.vocab_size.max(1) as usize).max(64),
            size => size,
        };
        (0..n)
            .step_by(size)
            .map(|start| [start as i32, (start + size).min(n) as i32])
            .collect()
    }

    /// Logits of some targets, f32 `[n, V]`.
    fn logits(&self, [start, stop]: [i32; 2]) -> Result<Array> {
        let hidden = part(self.hidden, [start, stop])?;
        let logits = self.model.head(&hidden)?.as_dtype(Dtype::Float32)?;
        match self.settings.temperature == 1.0 {
            true => Ok(logits),
            false => Ok(logits.multiply(Array::from_f32(1.0 / self.settings.temperature))?),
        }
    }

    /// Log-probabilities, logarithms of sums and, if wanted, entropies of a chunk.
    fn chunk_on_gpu(&self, chunk: [i32; 2]) -> Result<Vec<Array>> {
        let logits = self.logits(chunk)?;
        let targets = part(self.targets, chunk)?.expand_dims(-1)?;
        let chosen = indexing::take_along_axis(&logits, &targets, -1)?.squeeze_axes(&[-1])?;
        let log_sum = ops::logsumexp_axis(&logits, -1, false)?;
        let mut wanted = vec![chosen.subtract(&log_sum)?, log_sum];
        if self.settings.entropies {
            // H = log sum exp z - sum p z; a logit of minus infinity has p = 0 and no part.
            let floor = ops::maximum(&logits, Array::from_f32(f32::MIN))?;
            let mean = ops::softmax_axis(&logits, -1, None)?
                .multiply(floor)?
                .sum_axis(-1, false)?;
            wanted.push(wanted[1].subtract(mean)?);
        }
        Ok(wanted)
    }

    /// The same, where a loop of our own is faster.
    fn chunk_on_cpu(&self, chunk: [i32; 2]) -> Result<Vec<Array>> {
        let found = rows::scores(&self.logits(chunk)?, &to_i32(&part(self.targets, chunk)?)?)?;
        let list = |values: &[f32]| Array::from_slice(values, &[values.len() as i32]);
        let mut wanted = vec![list(&found.logprobs), list(&found.log_sums)];
        if self.settings.entropies {
            wanted.push(list(&found.entropies));
        }
        Ok(wanted)
    }

    /// The gradient by a chunk's logits, but for a factor of each row that its neighbours in a product
    /// can take: both.
    fn by_logits(
        &self,
        chunk: [i32; 2],
        scores: &TargetScores,
        by: &Array,
        by_entropies: Option<&Array>,
    ) -> Result<(Array, Array)> {
        let minus_one = Array::from_f32(-1.0);
        let log_sum = part(&scores.log_sums, chunk)?;
        let both = by_entropies.zip(scores.entropies.as_ref());
        if device::current() == device::Kind::Cpu {
            let log_sums = to_f32(&log_sum)?;
            let Some((by_entropies, entropies)) = both else {
                let p = rows::softmax_in_place(self.logits(chunk)?, &log_sums, None)?;
                return Ok((p, by.negative()?));
            };
            let grads = rows::EntropyGrads {
                by_logprobs: &to_f32(by)?,
                by_entropies: &to_f32(&part(by_entropies, chunk)?)?,
                entropies: &to_f32(&part(entropies, chunk)?)?,
            };
            let p = rows::softmax_in_place(self.logits(chunk)?, &log_sums, Some(&grads))?;
            return Ok((p, minus_one));
        }
        let logprobs = self.logits(chunk)?.subtract(log_sum.expand_dims(-1)?)?;
        let Some((by_entropies, entropies)) = both else {
            return Ok((logprobs.exp()?, by.negative()?));
        };
        let entropy = part(entropies, chunk)?.expand_dims(-1)?;
        let by_entropy = part(by_entropies, chunk)?.expand_dims(-1)?;
        let finite = ops::maximum(&logprobs, Array::from_f32(f32::MIN))?;
        let inner = finite.add(&entropy)?.multiply(by_entropy)?.add(by)?;
        Ok((logprobs.exp()?.multiply(inner)?, minus_one))
    }

    /// Log-probabilities, and entropies if they are wanted, chunk by chunk.
    pub fn scores(&self) -> Result<TargetScores> {
        let (mut logprobs, mut entropies, mut log_sums) = (Vec::new(), Vec::new(), Vec::new());
        for chunk in self.chunks() {
            let wanted = match device::current() {
                device::Kind::Cpu => self.chunk_on_cpu(chunk)?,
                device::Kind::Gpu => self.chunk_on_gpu(chunk)?,
            };
            mlx::eval(&wanted)?;
            let mut wanted = wanted.into_iter();
            logprobs.extend(wanted.next());
            log_sums.extend(wanted.next());
            entropies.extend(wanted.next());
        }
        let joined = |parts: Vec<Array>| -> Result<Array> { Ok(ops::concatenate(&parts, 0)?) };
        let scores = TargetScores {
            logprobs: joined(logprobs)?,
            entropies: match entropies.is_empty() {
                true => None,
                false => Some(joined(entropies)?),
            },
            log_sums: joined(log_sums)?,
        };
        mlx::eval(
            [&scores.logprobs, &scores.log_sums]
                .into_iter()
                .chain(&scores.entropies),
        )?;
        Ok(scores)
    }

    /// The gradient, from those of the loss by the log-probabilities and by the entropies, `[N]`
    /// each.
    ///
    /// With logits `z`, `p = softmax(z)` and target `t`: `d log p_t / dz = onehot(t) - p` and
    /// `dH / dz = -p (log p + H)`.
    pub fn backward(
        &self,
        scores: &TargetScores,
        by_logprobs: &Array,
        by_entropies: Option<&Array>,
    ) -> Result<HeadGrads> {
        let (name, matrix, bias) = self.model.head_parts();
        let trained = self.model.trains(name);
        let dtype = self.hidden.dtype();
        let factor = Array::from_f32(1.0 / self.settings.temperature);
        let by_logprobs = by_logprobs.multiply(&factor)?;
        let by_entropies = by_entropies.map(|by| by.multiply(&factor)).transpose()?;
        let mut hidden = Vec::new();
        let mut sums: Vec<Array> = Vec::new();
        for chunk in self.chunks() {
            let states = part(self.hidden, chunk)?;
            let targets = part(self.targets, chunk)?;
            let by = part(&by_logprobs, chunk)?.expand_dims(-1)?;
            // 1. The gradient by the logits.
            let (by_logits, row_factor) =
                self.by_logits(chunk, scores, &by, by_entropies.as_ref())?;
            let by_logits = by_logits.as_dtype(dtype)?;
            // 2. By the hidden states; the target's own share is a row of the matrix.
            let own = matrix.rows(&targets)?.as_dtype(Dtype::Float32)?;
            let back = matrix.multiply_back(&by_logits)?.as_dtype(Dtype::Float32)?;
            let state_grads = back.multiply(&row_factor)?.add(own.multiply(&by)?)?;
            hidden.push(state_grads.as_dtype(dtype)?);
            // 3. By the matrix and the bias.
            let mut wanted = vec![];
            if trained {
                let scaled = states.multiply(row_factor.as_dtype(dtype)?)?;
                let product = by_logits.t().matmul(&scaled)?.as_dtype(Dtype::Float32)?;
                wanted.push(product);
                if bias.is_some() {
                    let rows = by_logits.as_dtype(Dtype::Float32)?.multiply(&row_factor)?;
                    wanted.push(rows.sum_axis(0, false)?);
                }
            }
            drop(by_logits);
            sums = match sums.is_empty() {
                true => wanted,
                false => (sums.iter().zip(&wanted))
                    .map(|(a, b)| Ok(a.add(b)?))
                    .collect::<Result<_>>()?,
            };
            mlx::eval(sums.iter().chain(hidden.last()))?;
        }
        // 4. The targets' own share of the matrix, all of them at once.
        let names = [name, "lm_head.bias"];
        let mut weights = Vec::new();
        for (i, sum) in std::mem::take(&mut sums).into_iter().enumerate() {
            let states = self.hidden.as_dtype(Dtype::Float32)?;
            let share = match i {
                0 => states
                    .multiply(by_logprobs.expand_dims(-1)?)?
                    .expand_dims(1)?,
                _ => by_logprobs.expand_dims(1)?,
            };
            let whole = indexing::scatter_add_single(&sum, self.targets, &share, 0)?;
            weights.push((names[i], whole));
        }
        let grads = HeadGrads {
            hidden: ops::concatenate(&hidden, 0)?,
            weights,
        };
        mlx::eval(std::iter::once(&grads.hidden).chain(grads.weights.iter().map(|(_, a)| a)))?;
        Ok(grads)
    }
}

/// Rows `start..stop`.
fn part(a: &Array, [start, stop]: [i32; 2]) -> Result<Array> {
    if start == 0 && stop == a.dim(0) {
        return Ok(a.clone());
    }
    let mut first = vec![0; a.ndim()];
    let mut end = a.shape().to_vec();
    (first[0], end[0]) = (start, stop);
    mlx::slice(a, &first, &end)
}
