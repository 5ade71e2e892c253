//! Fresh weights, by the formulas of `mlx.nn.init`.
//!
//! Without a key they come from MLX's global generator, as there: the same seed gives the same
//! weights.

use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype, draw, linalg, ops as raw};
use crate::tensor::scalar;
use mlx_rs::ops;

/// A distribution around 0, of a width to be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Normal,
    Uniform,
}

/// How many inputs and outputs a weight `[out, .., in]` connects.
fn fans(shape: &[i32]) -> Result<(f64, f64)> {
    let [out, between @ .., inner] = shape else {
        return Err(Error::shape("weight to initialise", "[out, .., in]", shape));
    };
    let field: f64 = between.iter().map(|d| f64::from(*d)).product();
    Ok((f64::from(*inner) * field, f64::from(*out) * field))
}

/// Numbers of a standard deviation.
fn spread(
    shape: &[i32],
    kind: Shape,
    std: f64,
    dtype: Dtype,
    key: Option<&Array>,
) -> Result<Array> {
    match kind {
        Shape::Normal => {
            let std = Array::from_f32(std as f32);
            draw::normal(shape, dtype, None, Some(&std), key)
        }
        Shape::Uniform => {
            let limit = Array::from_f32((std * 3f64.sqrt()) as f32);
            draw::uniform(&limit.negative()?, &limit, shape, dtype, key)
        }
    }
}

/// Variance `2 gain^2 / (fan_in + fan_out)`
/// (<https://proceedings.mlr.press/v9/glorot10a.html>).
pub fn glorot(
    shape: &[i32],
    kind: Shape,
    gain: f64,
    dtype: Dtype,
    key: Option<&Array>,
) -> Result<Array> {
    let (fan_in, fan_out) = fans(shape)?;
    spread(
        shape,
        kind,
        gain * (2.0 / (fan_in + fan_out)).sqrt(),
        dtype,
        key,
    )
}

/// Variance `gain^2 / fan` (<https://arxiv.org/abs/1502.01852>), of the inputs, or of the outputs
/// with `by_outputs`.
pub fn he(
    shape: &[i32],
    kind: Shape,
    by_outputs: bool,
    gain: f64,
    dtype: Dtype,
    key: Option<&Array>,
) -> Result<Array> {
    let (fan_in, fan_out) = fans(shape)?;
    let fan = if by_outputs { fan_out } else { fan_in };
    spread(shape, kind, gain / fan.sqrt(), dtype, key)
}

/// A matrix with orthogonal rows or columns (<https://arxiv.org/abs/1312.6120>).
pub fn orthogonal(
    rows: i32,
    columns: i32,
    gain: f64,
    dtype: Dtype,
    key: Option<&Array>,
) -> Result<Array> {
    let n = rows.max(columns);
    let (q, r) = linalg::qr(&draw::normal(&[n, n], Dtype::Float32, None, None, key)?)?;
    // The signs make the result uniform over the orthogonal matrices.
    let q = q.multiply(ops::sign(ops::diagonal(r, 0, 0, 1)?)?)?;
    let part = crate::mlx::slice(&q, &[0, 0], &[rows, columns])?;
    Ok(part.multiply(scalar(gain, &part)?)?.as_dtype(dtype)?)
}

/// Normal numbers with a share of every row set to 0.
pub fn sparse(
    [rows, columns]: [i32; 2],
    sparsity: f64,
    mean: f64,
    std: f64,
    dtype: Dtype,
    keys: [Option<&Array>; 2],
) -> Result<Array> {
    if !(0.0..=1.0).contains(&sparsity) {
        return Err(Error::setting(
            "sparsity",
            sparsity.to_string(),
            "a share in [0, 1]",
        ));
    }
    let zeros = (sparsity * f64::from(columns)).ceil() as i32;
    let (low, high) = (Array::from_f32(0.0), Array::from_f32(1.0));
    let lots = draw::uniform(&low, &high, &[rows, columns], Dtype::Float32, keys[0])?;
    // The columns of the smallest lots, row by row; ranks say which those are.
    let order = ops::argsort_axis(&lots, 1)?;
    let ranks = ops::argsort_axis(&order, 1)?;
    let (mean, std) = (Array::from_f32(mean as f32), Array::from_f32(std as f32));
    let values = draw::normal(&[rows, columns], dtype, Some(&mean), Some(&std), keys[1])?;
    let kept = ranks.as_dtype(Dtype::Int32)?.ge(Array::from_int(zeros))?;
    Ok(ops::select(kept, &values, scalar(0.0, &values)?)?)
}

/// The matrix with ones on its diagonal.
pub fn identity(n: i32, dtype: Dtype) -> Result<Array> {
    raw::eye(n, n, 0, dtype)
}
