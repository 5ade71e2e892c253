//! Penalties for tokens that were there before: logits and a history in, logits out.
//!
//! A history is `int32` `[B, C]`, each row's last tokens, shorter ones padded on the left with -1.
//! Values are those of mlx-lm 0.32.2 with the whole prompt in the history.

use super::settings::{check_bias, check_finite, check_repetition};
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype, ops, slice};
use crate::tensor::{dims2, scalar};
use mlx_rs::ops::{broadcast_to, indexing, select, zeros_dtype};

/// A penalty for each row, and how many of its last tokens it looks at (0: all).
pub(super) struct Penalty {
    /// `[B, 1]`, or a scalar for all rows.
    pub amount: Array,
    /// One for each row, or one for all.
    pub contexts: Vec<usize>,
}

/// The tokens of each row that count.
struct Window {
    /// `int32` `[B, C]`; what does not count is replaced by a token of the row that does, so that
    /// what is written twice is written equally.
    ids: Array,
    /// bool `[B, C]`
    counts: Array,
    /// bool `[B, 1]`: whether any token counts.
    any: Array,
}

impl Window {
    fn new(history: &Array, contexts: &[usize]) -> Result<Self> {
        let [b, width] = dims2(history, "history `[B, C]`")?;
        let (ids, within) = match contexts {
            [n] if *n == 0 || *n as i32 >= width => (history.clone(), None),
            [n] => (slice(history, &[0, width - *n as i32], &[b, width])?, None),
            each => {
                let first = each.iter().map(|n| match n {
                    0 => 0,
                    n => (width - *n as i32).max(0),
                });
                let first = Array::from_iter(first, &[each.len() as i32, 1]);
                let columns = Array::arange::<_, i32>(None, width, None)?;
                (history.clone(), Some(columns.ge(&first)?))
            }
        };
        let nothing = Array::from_int(0);
        let real = ids.ge(&nothing)?;
        let counts = match within {
            Some(within) => real.logical_and(&within)?,
            None => real,
        };
        let last = slice(&ids, &[0, ids.dim(1) - 1], &[b, ids.dim(1)])?;
        let any = last.ge(&nothing)?;
        let stand_in = mlx_rs::ops::maximum(&last, &nothing)?;
        Ok(Self {
            ids: select(&counts, &ids, &stand_in)?,
            counts,
            any,
        })
    }

    /// Changes the logits of the tokens that count, each once.
    fn change(&self, logits: &Array, f: impl Fn(&Array) -> Result<Array>) -> Result<Array> {
        let before = indexing::take_along_axis(logits, &self.ids, -1)?;
        let after = select(&self.any, &f(&before)?, &before)?;
        Ok(indexing::put_along_axis(
            logits,
            &self.ids,
            &after,
            Some(-1),
        )?)
    }
}

/// Divides positive logits and multiplies negative ones (<https://arxiv.org/abs/1909.05858>).
pub(super) fn repetition(logits: &Array, history: &Array, p: &Penalty) -> Result<Array> {
    let amount = p.amount.as_dtype(logits.dtype())?;
    Window::new(history, &p.contexts)?.change(logits, |before| {
        let negative = before.lt(scalar(0.0, before)?)?;
        Ok(select(
            &negative,
            before.multiply(&amount)?,
            before.divide(&amount)?,
        )?)
    })
}

/// Subtracts once for every distinct token.
pub(super) fn presence(logits: &Array, history: &Array, p: &Penalty) -> Result<Array> {
    let amount = p.amount.as_dtype(logits.dtype())?;
    let window = Window::new(history, &p.contexts)?;
    window.change(logits, |before| Ok(before.subtract(&amount)?))
}

/// Subtracts for every time that a token was there.
pub(super) fn frequency(logits: &Array, history: &Array, p: &Penalty) -> Result<Array> {
    let window = Window::new(history, &p.contexts)?;
    let amount = p.amount.as_dtype(logits.dtype())?.negative()?;
    let each = window.counts.as_dtype(logits.dtype())?.multiply(&amount)?;
    ops::scatter_add_axis(logits, &window.ids, &each, -1)
}

/// Lists of tokens with their biases as a table that is added to logits: one row for all, or one
/// for each.
///
/// # Shapes
/// - returns: f32 `[rows, V]`
pub(super) fn bias_table(rows: &[&[(i32, f32)]], vocab: i32) -> Result<Array> {
    let width = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let (mut ids, mut values) = (Vec::new(), Vec::new());
    for row in rows {
        let gap = std::iter::repeat_n(&(0, 0.0), width - row.len());
        for (id, value) in row.iter().chain(gap) {
            ids.push(*id);
            values.push(*value);
        }
    }
    let shape = [rows.len() as i32, width as i32];
    let none = zeros_dtype(&[shape[0], vocab], Dtype::Float32)?;
    let ids = Array::from_slice(&ids, &shape);
    ops::scatter_add_axis(&none, &ids, &Array::from_slice(&values, &shape), -1)
}

/// A history for each row of logits, after a look at its tokens.
///
/// # Shapes
/// - history: integers `[C]` or `[B, C]`; logits: `[B, V]`
/// - returns: `int32` `[B, C]`
///
/// # Errors
/// Another number of rows; a token outside the vocabulary.
pub fn history_of(history: &Array, logits: &Array) -> Result<Array> {
    let [b, vocab] = dims2(logits, "logits `[V]` or `[B, V]`")?;
    let history = match history.ndim() {
        1 => broadcast_to(history, &[b, history.dim(0)])?,
        _ => history.clone(),
    };
    let [rows, _] = dims2(&history, "history `[C]` or `[B, C]`")?;
    if rows != b {
        let expected = format!("{b} rows, as the logits");
        return Err(Error::shape("history", expected, history.shape()));
    }
    let ids = crate::tensor::to_i32(&history)?;
    match ids.iter().find(|id| !(-1..vocab).contains(*id)) {
        None => Ok(history.as_dtype(Dtype::Int32)?),
        Some(id) => Err(Error::TokenId {
            id: i64::from(*id),
            vocab_size: vocab,
        }),
    }
}

/// Runs a function of `[B, V]` and `[B, C]` on `[V]` or `[B, V]` and `[C]` or `[B, C]`.
fn on_rows(
    logits: &Array,
    history: &Array,
    f: impl Fn(&Array, &Array) -> Result<Array>,
) -> Result<Array> {
    let rows = match logits.ndim() {
        1 => logits.expand_dims(0)?,
        _ => logits.clone(),
    };
    let history = history_of(history, &rows)?;
    if history.size() == 0 {
        return Ok(logits.clone());
    }
    let changed = f(&rows, &history)?;
    match logits.ndim() {
        1 => Ok(changed.squeeze_axes(&[0])?),
        _ => Ok(changed),
    }
}

fn alike(amount: f32, context_size: usize) -> Penalty {
    Penalty {
        amount: Array::from_f32(amount),
        contexts: vec![context_size],
    }
}

/// Divides positive logits of the last `context_size` tokens (0: all) by the penalty, and
/// multiplies negative ones, once for each distinct token.
///
/// # Shapes
/// - logits: `[V]` or `[B, V]`; history: `int32` `[C]` or `[B, C]`, -1 for padding
pub fn repetition_penalty(
    logits: &Array,
    history: &Array,
    penalty: f32,
    context_size: usize,
) -> Result<Array> {
    check_repetition(penalty)?;
    on_rows(logits, history, |logits, history| {
        repetition(logits, history, &alike(penalty, context_size))
    })
}

/// Subtracts the penalty from the logits of the last `context_size` tokens (0: all), once for each
/// distinct token.
///
/// # Shapes
/// As for [`repetition_penalty`].
pub fn presence_penalty(
    logits: &Array,
    history: &Array,
    penalty: f32,
    context_size: usize,
) -> Result<Array> {
    check_finite("presence_penalty", penalty)?;
    on_rows(logits, history, |logits, history| {
        presence(logits, history, &alike(penalty, context_size))
    })
}

/// Subtracts the penalty from the logits of the last `context_size` tokens (0: all), once for each
/// time that a token is among them.
///
/// # Shapes
/// As for [`repetition_penalty`].
pub fn frequency_penalty(
    logits: &Array,
    history: &Array,
    penalty: f32,
    context_size: usize,
) -> Result<Array> {
    check_finite("frequency_penalty", penalty)?;
    on_rows(logits, history, |logits, history| {
        frequency(logits, history, &alike(penalty, context_size))
    })
}

/// Adds numbers to the logits of some tokens.
///
/// # Shapes
/// - logits: `[.., V]`
pub fn logit_bias(logits: &Array, bias: &[(i32, f32)]) -> Result<Array> {
    let vocab = logits.dim(-1);
    check_bias(bias, Some(vocab))?;
    if bias.is_empty() {
        return Ok(logits.clone());
    }
    let table = bias_table(&[bias], vocab)?.as_dtype(logits.dtype())?;
    Ok(logits.add(table.squeeze_axes(&[0])?)?)
}
