//! A linear map.

use super::lora::Lora;
use super::matrix::Matrix;
use crate::error::Result;
use crate::mlx::Array;
use mlx_rs::ops;

/// `y = x W^T`, with a bias in some families, and with what an adapter adds.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[out, in]`, as in the checkpoint.
    pub weight: Matrix,
    /// `[out]`
    pub bias: Option<Array>,
    pub lora: Option<Lora>,
}

impl Linear {
    /// A map without an adapter.
    pub fn new(weight: Array, bias: Option<Array>) -> Self {
        Self {
            weight: Matrix::Plain(weight),
            bias,
            lora: None,
        }
    }

    /// # Shapes
    /// - x: `[.., in]`
    /// - returns: `[.., out]`
    pub fn forward(&self, x: &Array) -> Result<Array> {
        let y = match (&self.weight, &self.bias) {
            (Matrix::Plain(weight), bias) => linear(x, weight, bias.as_ref())?,
            (packed, None) => packed.multiply(x)?,
            (packed, Some(bias)) => packed.multiply(x)?.add(bias)?,
        };
        match &self.lora {
            Some(lora) => lora.add_to(y, x, |a: &Array, b: &Array| a.matmul(b)),
            None => Ok(y),
        }
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
