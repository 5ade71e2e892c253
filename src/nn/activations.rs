//! Activation functions.

use crate::error::Result;
use crate::mlx::Array;
use mlx_rs::ops;

/// The logarithm of the softmax over axes.
pub fn log_softmax(x: &Array, axes: &[i32]) -> Result<Array> {
    Ok(x.subtract(ops::logsumexp_axes(x, axes, true)?)?)
}
