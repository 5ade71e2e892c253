//! A linear map.

use super::params::{Params, Visit, join};
use crate::error::Result;
use crate::mlx::Array;
use mlx_rs::ops;

/// `y = x W^T`, without bias as in Qwen3.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[out, in]`, as in the checkpoint.
    pub weight: Array,
}

impl Linear {
    /// # Shapes
    /// - x: `[.., in]`
    /// - returns: `[.., out]`
    pub fn forward(&self, x: &Array) -> Result<Array> {
        linear(x, &self.weight, None)
    }
}

/// `x W^T + bias`.
///
/// # Shapes
/// - x: `[.., in]`; weight: `[out, in]`; bias: `[out]`
/// - returns: `[.., out]`
pub fn linear(x: &Array, weight: &Array, bias: Option<&Array>) -> Result<Array> {
    let turned = weight.t();
    Ok(match bias {
        Some(bias) => ops::addmm(bias, x, turned, None, None)?,
        None => x.matmul(turned)?,
    })
}

/// `x1 W x2 + bias`, one matrix of `W` for each output.
///
/// # Shapes
/// - x1: `[.., in1]`; x2: `[.., in2]`; weight: `[out, in2, in1]`; bias: `[out]`
/// - returns: `[.., out]`
pub fn bilinear(x1: &Array, x2: &Array, weight: &Array, bias: Option<&Array>) -> Result<Array> {
    let [outputs, in2, in1] = crate::tensor::dims3(weight, "weight `[out, in2, in1]`")?;
    let rows = weight.reshape(&[outputs * in2, in1])?;
    let mut shape = x1.shape().to_vec();
    shape.pop();
    shape.extend([outputs, in2]);
    let product = x1.matmul(rows.t())?.reshape(&shape)?;
    let sum = product.matmul(x2.expand_dims(-1)?)?.squeeze_axes(&[-1])?;
    super::norms::affine(sum, None, bias)
}

impl Params for Linear {
    fn walk(&mut self, prefix: &str, visit: &mut Visit) -> Result<()> {
        visit(&join(prefix, "weight"), &mut self.weight)
    }
}
