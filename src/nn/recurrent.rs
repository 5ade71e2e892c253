//! Recurrent layers, by the formulas of `mlx.nn`: weights `[gates H, in]`, positions on the axis
//! before the last.

use crate::error::{Error, Result};
use crate::mlx::Array;
use mlx_rs::ops::{self, sigmoid, tanh};

/// The weights of a recurrent layer.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// `[gates H, in]`
    pub wx: &'a Array,
    /// `[gates H, H]`
    pub wh: &'a Array,
    /// `[gates H]`
    pub bias: Option<&'a Array>,
}

impl Weights<'_> {
    /// The inputs of every position to `gates` gates, one array for each position.
    fn inputs(&self, x: &Array, gates: i32) -> Result<Vec<Array>> {
        let hidden = self.wh.shape().last().copied().unwrap_or(0);
        if self.wh.shape() != [gates * hidden, hidden] {
            return Err(Error::shape(
                "weight `wh`",
                format!("[{gates} H, H]"),
                self.wh.shape(),
            ));
        }
        if self.wx.ndim() != 2 || self.wx.dim(0) != gates * hidden {
            let expected = format!("[{}, in]", gates * hidden);
            return Err(Error::shape("weight `wx`", &expected, self.wx.shape()));
        }
        if x.ndim() < 2 || x.dim(-1) != self.wx.dim(1) {
            let expected = format!("[.., L, {}]", self.wx.dim(1));
            return Err(Error::shape(
                "input of a recurrent layer",
                &expected,
                x.shape(),
            ));
        }
        let length = x.dim(-2);
        if length == 0 {
            return Err(Error::shape(
                "input of a recurrent layer",
                "one position or more",
                x.shape(),
            ));
        }
        let x = super::linear(x, self.wx, self.bias)?;
        let positions = ops::split_equal(&x, length, -2)?;
        let rows = positions.iter().map(|p| Ok(p.squeeze_axes(&[-2])?));
        rows.collect()
    }

    /// What the last state adds to the gates.
    fn carried(&self, hidden: &Array) -> Result<Array> {
        Ok(hidden.matmul(self.wh.t())?)
    }
}

/// Elman's network: `h = tanh(x Wx^T + h Wh^T + bias)`.
///
/// # Shapes
/// - x: `[.., L, in]`; hidden: `[.., H]`
/// - returns: `[.., L, H]`
pub fn rnn(x: &Array, weights: Weights, hidden: Option<&Array>) -> Result<Array> {
    let mut hidden = hidden.cloned();
    let mut all = Vec::new();
    for input in weights.inputs(x, 1)? {
        let sum = match &hidden {
            Some(hidden) => input.add(weights.carried(hidden)?)?,
            None => input,
        };
        let next = tanh(sum)?;
        all.push(next.clone());
        hidden = Some(next);
    }
    Ok(ops::stack(&all, -2)?)
}

/// Gated recurrent units (<https://arxiv.org/abs/1412.3555>); gates in the order r, z, n.
///
/// # Shapes
/// - x: `[.., L, in]`; hidden: `[.., H]`; bhn: `[H]`, inside the reset gate
/// - returns: `[.., L, H]`
pub fn gru(
    x: &Array,
    weights: Weights,
    bhn: Option<&Array>,
    hidden: Option<&Array>,
) -> Result<Array> {
    let mut hidden = hidden.cloned();
    let mut all = Vec::new();
    for input in weights.inputs(x, 3)? {
        let [r, z, n] = gates(&input)?;
        let (r, z, carried) = match &hidden {
            Some(hidden) => {
                let [hr, hz, hn] = gates(&weights.carried(hidden)?)?;
                (r.add(hr)?, z.add(hz)?, Some(hn))
            }
            None => (r, z, None),
        };
        let (r, z) = (sigmoid(r)?, sigmoid(z)?);
        let carried = match (carried, bhn) {
            (Some(hn), Some(bias)) => Some(hn.add(bias)?),
            (None, Some(bias)) => Some(bias.clone()),
            (carried, None) => carried,
        };
        let n = match carried {
            Some(hn) => tanh(n.add(r.multiply(hn)?)?)?,
            None => tanh(n)?,
        };
        let fresh = n.subtract(z.multiply(&n)?)?;
        let next = match &hidden {
            Some(hidden) => fresh.add(z.multiply(hidden)?)?,
            None => fresh,
        };
        all.push(next.clone());
        hidden = Some(next);
    }
    Ok(ops::stack(&all, -2)?)
}

/// Long short-term memory (Hochreiter and Schmidhuber 1997); gates in the order i, f, g, o.
///
/// # Shapes
/// - x: `[.., L, in]`; hidden, cell: `[.., H]`
/// - returns: hidden states and cells, both `[.., L, H]`
pub fn lstm(
    x: &Array,
    weights: Weights,
    hidden: Option<&Array>,
    cell: Option<&Array>,
) -> Result<(Array, Array)> {
    let (mut hidden, mut cell) = (hidden.cloned(), cell.cloned());
    let (mut all_hidden, mut all_cells) = (Vec::new(), Vec::new());
    for input in weights.inputs(x, 4)? {
        let input = match &hidden {
            Some(hidden) => input.add(weights.carried(hidden)?)?,
            None => input,
        };
        let [i, f, g, o] = gates(&input)?;
        let new = sigmoid(i)?.multiply(tanh(g)?)?;
        let next = match &cell {
            Some(cell) => sigmoid(f)?.multiply(cell)?.add(new)?,
            None => new,
        };
        let state = sigmoid(o)?.multiply(tanh(&next)?)?;
        all_cells.push(next.clone());
        all_hidden.push(state.clone());
        (hidden, cell) = (Some(state), Some(next));
    }
    Ok((ops::stack(&all_hidden, -2)?, ops::stack(&all_cells, -2)?))
}

/// The last axis in `N` equal parts.
fn gates<const N: usize>(x: &Array) -> Result<[Array; N]> {
    let parts = ops::split_equal(x, N as i32, -1)?;
    parts
        .try_into()
        .map_err(|_| Error::shape("gates", format!("{N} parts"), x.shape()))
}
