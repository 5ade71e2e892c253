//! Activation functions, by the formulas of `mlx.nn`.

use crate::error::Result;
use crate::mlx::{Array, Dtype, autograd::stop_gradient};
use crate::tensor::scalar;
use mlx_rs::ops;
use std::f64::consts::PI;

/// `x + value`, in the dtype of `x`.
pub(super) fn plus(x: &Array, value: f64) -> Result<Array> {
    Ok(x.add(scalar(value, x)?)?)
}

/// `value x`, in the dtype of `x`.
pub(super) fn times(x: &Array, value: f64) -> Result<Array> {
    Ok(x.multiply(scalar(value, x)?)?)
}

/// The larger of `x` and a number.
pub(super) fn at_least(x: &Array, value: f64) -> Result<Array> {
    Ok(ops::maximum(x, scalar(value, x)?)?)
}

/// The smaller of `x` and a number.
pub(super) fn at_most(x: &Array, value: f64) -> Result<Array> {
    Ok(ops::minimum(x, scalar(value, x)?)?)
}

/// A whole number in the dtype of `x`: integers stay integers beside it.
pub(super) fn whole(value: i32, x: &Array) -> Result<Array> {
    Ok(match x.dtype() {
        Dtype::Bool => Array::from_int(value),
        dtype => Array::from_int(value).as_dtype(dtype)?,
    })
}

/// `x` where it is positive, else 0.
pub fn relu(x: &Array) -> Result<Array> {
    Ok(ops::maximum(x, whole(0, x)?)?)
}

/// The square of [`relu`].
pub fn relu2(x: &Array) -> Result<Array> {
    Ok(relu(x)?.square()?)
}

/// [`relu`], at most 6.
pub fn relu6(x: &Array) -> Result<Array> {
    at_most(&relu(x)?, 6.0)
}

/// `x`, scaled by `negative_slope` where that is smaller.
pub fn leaky_relu(x: &Array, negative_slope: f64) -> Result<Array> {
    Ok(ops::maximum(times(x, negative_slope)?, x)?)
}

/// `x` where positive, else `alpha x`.
pub fn prelu(x: &Array, alpha: &Array) -> Result<Array> {
    Ok(relu(x)?.add(alpha.multiply(at_most(x, 0.0)?)?)?)
}

/// `x` where positive, else `alpha (exp(x) - 1)` (<https://arxiv.org/abs/1511.07289>).
pub fn elu(x: &Array, alpha: f64) -> Result<Array> {
    let zero = scalar(0.0, x)?;
    // Only the negative side meets exp: an infinity there would turn the gradient into NaN.
    let below = times(&plus(&ops::minimum(x, &zero)?.exp()?, -1.0)?, alpha)?;
    Ok(ops::select(x.gt(&zero)?, x, below)?)
}

/// [`elu`] whose slope is continuous for every `alpha` (<https://arxiv.org/abs/1704.07483>).
pub fn celu(x: &Array, alpha: f64) -> Result<Array> {
    let below = plus(&times(&at_most(x, 0.0)?, 1.0 / alpha)?.exp()?, -1.0)?;
    Ok(relu(x)?.add(times(&below, alpha)?)?)
}

/// The self-normalising [`elu`] (<https://arxiv.org/abs/1706.02515>), with MLX's digits.
pub fn selu(x: &Array) -> Result<Array> {
    times(&elu(x, 1.67326)?, 1.0507)
}

/// `x Phi(x)` with the normal distribution function (<https://arxiv.org/abs/1606.08415>).
pub fn gelu(x: &Array) -> Result<Array> {
    let phi = plus(&ops::erf(times(x, 0.5f64.sqrt())?)?, 1.0)?;
    times(&x.multiply(phi)?, 0.5)
}

/// [`gelu`] by a hyperbolic tangent, as in GPT-2.
pub fn gelu_approx(x: &Array) -> Result<Array> {
    let cube = times(&x.square()?.multiply(x)?, 0.044715)?;
    let inner = times(&x.add(cube)?, (2.0 / PI).sqrt())?;
    Ok(times(x, 0.5)?.multiply(plus(&ops::tanh(inner)?, 1.0)?)?)
}

/// [`gelu`] by a sigmoid: `x sigmoid(1.702 x)`.
pub fn gelu_fast_approx(x: &Array) -> Result<Array> {
    Ok(x.multiply(ops::sigmoid(times(x, 1.702)?)?)?)
}

/// `x sigmoid(x)`, also called swish.
pub fn silu(x: &Array) -> Result<Array> {
    Ok(x.multiply(ops::sigmoid(x)?)?)
}

/// `silu(gate) x` (<https://arxiv.org/abs/2002.05202>).
pub fn swiglu(gate: &Array, x: &Array) -> Result<Array> {
    Ok(silu(gate)?.multiply(x)?)
}

/// One half of an axis, gated by the sigmoid of the other (<https://arxiv.org/abs/1612.08083>).
pub fn glu(x: &Array, axis: i32) -> Result<Array> {
    let halves = ops::split_equal(x, 2, axis)?;
    Ok(halves[0].multiply(ops::sigmoid(&halves[1])?)?)
}

/// `log(1 + exp(x))`.
pub fn softplus(x: &Array) -> Result<Array> {
    Ok(ops::logaddexp(x, scalar(0.0, x)?)?)
}

/// `log(sigmoid(x))`.
pub fn log_sigmoid(x: &Array) -> Result<Array> {
    Ok(softplus(&x.negative()?)?.negative()?)
}

/// `x / (1 + |x|)`.
pub fn softsign(x: &Array) -> Result<Array> {
    Ok(x.divide(plus(&x.abs()?, 1.0)?)?)
}

/// `x` moved towards 0 by `lambda`; 0 within.
pub fn softshrink(x: &Array, lambda: f64) -> Result<Array> {
    let moved = x.subtract(times(&ops::sign(x)?, lambda)?)?;
    outside(x, lambda, &moved)
}

/// `x`; 0 within `lambda` of 0.
pub fn hard_shrink(x: &Array, lambda: f64) -> Result<Array> {
    outside(x, lambda, x)
}

fn outside(x: &Array, lambda: f64, value: &Array) -> Result<Array> {
    let far = x.abs()?.gt(scalar(lambda, x)?)?;
    Ok(ops::select(far, value, whole(0, value)?)?)
}

/// `x`, held between two numbers.
pub fn hard_tanh(x: &Array, min: f64, max: f64) -> Result<Array> {
    at_most(&at_least(x, min)?, max)
}

/// `x min(max(x + 3, 0), 6) / 6` (<https://arxiv.org/abs/1905.02244>).
pub fn hardswish(x: &Array) -> Result<Array> {
    let gate = hard_tanh(&plus(x, 3.0)?, 0.0, 6.0)?;
    times(&x.multiply(gate)?, 1.0 / 6.0)
}

/// `x tanh(softplus(x))` (<https://arxiv.org/abs/1908.08681>).
pub fn mish(x: &Array) -> Result<Array> {
    Ok(x.multiply(ops::tanh(softplus(x)?)?)?)
}

/// 1 from `threshold` on, else 0, `int32`.
pub fn step(x: &Array, threshold: f64) -> Result<Array> {
    let reached = x.ge(scalar(threshold, x)?)?;
    Ok(reached.as_dtype(Dtype::Int32)?)
}

/// The logarithm of the softmax over axes.
///
/// The largest value is taken away first: beside a large one, the rest would be rounded off.
pub fn log_softmax(x: &Array, axes: &[i32]) -> Result<Array> {
    let largest = stop_gradient(&x.max_axes(axes, true)?)?;
    let x = x.subtract(largest)?;
    Ok(x.subtract(ops::logsumexp_axes(&x, axes, true)?)?)
}
