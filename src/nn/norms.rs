//! Normalisations over groups, instances and batches, by the formulas of `mlx.nn`.

use super::activations::plus;
use crate::error::{Error, Result};
use crate::mlx::Array;

/// `weight x + bias`, of what is given.
pub fn affine(x: Array, weight: Option<&Array>, bias: Option<&Array>) -> Result<Array> {
    let scaled = match weight {
        Some(weight) => weight.multiply(x)?,
        None => x,
    };
    Ok(match bias {
        Some(bias) => scaled.add(bias)?,
        None => scaled,
    })
}

/// `(x - mean) / sqrt(var + eps)`.
fn standardize(x: &Array, mean: &Array, var: &Array, eps: f64) -> Result<Array> {
    Ok(x.subtract(mean)?.multiply(plus(var, eps)?.rsqrt()?)?)
}

/// Normalises groups of features over all positions (<https://arxiv.org/abs/1803.08494>).
///
/// A group holds every `num_groups`-th feature, as in MLX; with `adjacent` those that stand side
/// by side, as in PyTorch.
///
/// # Shapes
/// - x: `[B, .., C]`
/// - returns: the same
pub fn group_norm(x: &Array, num_groups: i32, eps: f64, adjacent: bool) -> Result<Array> {
    let features = x.shape().last().copied().unwrap_or(0);
    if x.ndim() < 2 {
        return Err(Error::shape("input of group_norm", "[B, .., C]", x.shape()));
    }
    if num_groups < 1 || features % num_groups != 0 {
        let expected = format!("a positive divisor of the {features} features");
        return Err(Error::setting(
            "num_groups",
            num_groups.to_string(),
            &expected,
        ));
    }
    let batch = x.dim(0);
    if !adjacent {
        let rows = x.reshape(&[batch, -1, num_groups])?;
        let mean = rows.mean_axis(1, true)?;
        let var = rows.var_axis(1, true, 0)?;
        return Ok(standardize(&rows, &mean, &var, eps)?.reshape(x.shape())?);
    }
    let size = features / num_groups;
    let groups = x.reshape(&[batch, -1, num_groups, size])?;
    let rows = groups.transpose_axes(&[0, 2, 1, 3])?;
    let turned = rows.shape().to_vec();
    let flat = rows.reshape(&[batch, num_groups, -1])?;
    let normal = mlx_rs::fast::layer_norm(flat, None, None, eps as f32)?;
    let back = normal.reshape(&turned)?.transpose_axes(&[0, 2, 1, 3])?;
    Ok(back.reshape(x.shape())?)
}

/// Normalises each feature of each example over its positions
/// (<https://arxiv.org/abs/1607.08022>).
///
/// # Shapes
/// - x: `[B, .., C]` with at least one axis between
/// - returns: the same
pub fn instance_norm(x: &Array, eps: f64) -> Result<Array> {
    if x.ndim() < 3 {
        return Err(Error::shape(
            "input of instance_norm",
            "[B, .., C]",
            x.shape(),
        ));
    }
    let axes: Vec<i32> = (1..x.ndim() as i32 - 1).collect();
    let mean = x.mean_axes(&axes, true)?;
    let var = x.var_axes(&axes, true, 0)?;
    standardize(x, &mean, &var, eps)
}

/// Normalises each feature by given statistics, or by those of the batch
/// (<https://arxiv.org/abs/1502.03167>).
///
/// # Shapes
/// - x: `[.., C]`; mean, var: `[C]`
/// - returns: as `x`
pub fn batch_norm(x: &Array, mean: Option<&Array>, var: Option<&Array>, eps: f64) -> Result<Array> {
    if x.ndim() < 2 {
        return Err(Error::shape("input of batch_norm", "[B, .., C]", x.shape()));
    }
    let axes: Vec<i32> = (0..x.ndim() as i32 - 1).collect();
    let mean = match mean {
        Some(mean) => mean.clone(),
        None => x.mean_axes(&axes, false)?,
    };
    let var = match var {
        Some(var) => var.clone(),
        None => x.var_axes(&axes, false, 0)?,
    };
    standardize(x, &mean, &var, eps)
}
