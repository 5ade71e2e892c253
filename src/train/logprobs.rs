//! Log-probabilities of completions under a model, for training.

use crate::error::Result;
use crate::mlx::Array;
use crate::models::Qwen3;
use crate::nn::load_balancing_loss;
use crate::tensor::{Side, pad_sequences, selective_log_softmax};

/// Sequences of prompt and completion, ready for one forward.
///
/// Rows begin at position 0 and are padded on the right, so that no mask is needed: a real token
/// never attends to what comes after it. The positions that predict completion tokens are
/// gathered before the head, so no logits of prompts or padding are ever computed.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `int32` `[B, L]`
    ids: Array,
    /// `int32` `[N]`: which of the `B * L` positions predict the N completion tokens.
    positions: Array,
    /// `int32` `[N]`
    targets: Array,
    /// `int32` `[M]`: which of the `B * L` positions hold a token, not padding.
    tokens: Array,
    /// How many completion tokens each row has.
    pub lengths: Vec<i32>,
}

impl Batch {
    /// Pairs of prompt and completion ids; neither may be empty.
    pub fn new(pairs: &[(&[i32], &[i32])]) -> Self {
        let rows: Vec<Vec<i32>> = pairs
            .iter()
            .map(|(prompt, completion)| {
                // The last token predicts nothing, so it need not be forwarded.
                let known = &completion[..completion.len().saturating_sub(1)];
                [*prompt, known].concat()
            })
            .collect();
        let rows: Vec<&[i32]> = rows.iter().map(Vec::as_slice).collect();
        let ids = pad_sequences(&rows, 0, Side::Right);
        let width = ids.dim(1);
        let (mut positions, mut targets, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
        for (row, (prompt, completion)) in pairs.iter().enumerate() {
            let start = row as i32 * width;
            tokens.extend(start..start + rows[row].len() as i32);
            let first = start + prompt.len() as i32 - 1;
            positions.extend(first..first + completion.len() as i32);
            targets.extend_from_slice(completion);
        }
        let n = targets.len() as i32;
        Self {
            ids,
            positions: Array::from_slice(&positions, &[n]),
            targets: Array::from_slice(&targets, &[n]),
            tokens: Array::from_slice(&tokens, &[tokens.len() as i32]),
            lengths: pairs.iter().map(|(_, c)| c.len() as i32).collect(),
        }
    }

    /// The widest completion.
    pub fn width(&self) -> i32 {
        self.lengths.iter().copied().max().unwrap_or(0)
    }

    /// All completion tokens, `int32` `[N]`, row after row.
    pub fn targets(&self) -> &Array {
        &self.targets
    }

    /// Values of the N completion tokens as rows, 0 after each row's end.
    ///
    /// # Shapes
    /// - values: `[N]`
    /// - returns: `[B, T]`, T being the widest completion
    pub fn to_rows(&self, values: &Array) -> Result<Array> {
        let width = self.width();
        // Position 0 of the extended list is the 0 that fills the gaps.
        let mut index = Vec::with_capacity(self.lengths.len() * width as usize);
        let mut next = 1;
        for length in &self.lengths {
            index.extend((0..width).map(|t| if t < *length { next + t } else { 0 }));
            next += length;
        }
        let zero = Array::from_f32(0.0).reshape(&[1])?;
        let extended = mlx_rs::ops::concatenate(&[&zero, values], 0)?;
        let shape = [self.lengths.len() as i32, width];
        Ok(extended.take_axis(Array::from_slice(&index, &shape), 0)?)
    }
}

/// Logits of the N completion tokens, divided by the temperature. Where the choice of experts is
/// wanted, `routed` gets its logits in each layer that has some.
///
/// # Shapes
/// - returns: f32 `[N, V]`
pub fn completion_logits(
    model: &Qwen3,
    batch: &Batch,
    temperature: f32,
    routed: Option<&mut Vec<Array>>,
) -> Result<Array> {
    let hidden = model.hidden_routed(&batch.ids, None, routed)?;
    let flat = hidden.reshape(&[-1, hidden.dim(2)])?;
    let chosen = flat.take_axis(&batch.positions, 0)?;
    let logits = model.head(&chosen)?.as_dtype(mlx_rs::Dtype::Float32)?;
    Ok(logits.multiply(Array::from_f32(1.0 / temperature))?)
}

/// The load-balancing loss of a batch that was forwarded; padding has no part in it.
///
/// # Shapes
/// - routed: one `[B, L, experts]` for each layer that has experts
/// - returns: a scalar, 0 for a model without experts
pub fn router_loss(model: &Qwen3, batch: &Batch, routed: &[Array]) -> Result<Array> {
    let rows: Vec<Array> = routed
        .iter()
        .map(|logits| {
            let flat = logits.reshape(&[-1, logits.dim(-1)])?;
            Ok(flat.take_axis(&batch.tokens, 0)?)
        })
        .collect::<Result<_>>()?;
    load_balancing_loss(&rows, model.config.num_experts_per_tok)
}

/// Log-probabilities of the N completion tokens at a temperature.
///
/// # Shapes
/// - returns: f32 `[N]`
pub fn completion_logprobs(model: &Qwen3, batch: &Batch, temperature: f32) -> Result<Array> {
    let logits = completion_logits(model, batch, temperature, None)?;
    selective_log_softmax(&logits, &batch.targets)
}
