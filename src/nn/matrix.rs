//! The weight of a linear map: whole, or in few bits.

use super::params::{Role, Visit, join};
use crate::error::Result;
use crate::mlx::quantized::{self, Format, Gather};
use crate::mlx::{Array, Dtype};
use mlx_rs::ops;

/// A matrix `[out, in]`, or a stack of them `[E, out, in]`.
#[derive(Clone, Debug)]
pub enum Matrix {
    Plain(Array),
    Packed(Packed),
}

/// A matrix in few bits, as MLX quantises: groups of the last axis share a scale.
#[derive(Clone, Debug)]
pub struct Packed {
    /// `uint32` `[.., out, in * bits / 32]`
    pub weight: Array,
    /// `[.., out, in / group_size]`
    pub scales: Array,
    /// As the scales; the affine format has them.
    pub biases: Option<Array>,
    pub format: Format,
}

impl Packed {
    fn view(&self) -> quantized::Packed<'_> {
        quantized::Packed {
            w: &self.weight,
            scales: &self.scales,
            biases: self.biases.as_ref(),
        }
    }

    /// How many numbers it stands for.
    pub fn size(&self) -> usize {
        self.weight.size() * 32 / self.format.bits as usize
    }

    fn row_length(&self) -> i32 {
        self.weight.dim(-1) * 32 / self.format.bits
    }

    fn dense(&self) -> Result<Array> {
        quantized::dequantize(&self.view(), &self.format, None)
    }
}

impl Matrix {
    /// The shape of the matrix as it would be whole.
    pub fn shape(&self) -> Vec<i32> {
        match self {
            Self::Plain(weight) => weight.shape().to_vec(),
            Self::Packed(packed) => {
                let mut shape = packed.weight.shape().to_vec();
                shape.pop();
                shape.push(packed.row_length());
                shape
            }
        }
    }

    /// The element type that it multiplies in.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::Plain(weight) => weight.dtype(),
            // The scales of the other formats are exponents, and their numbers of half precision.
            Self::Packed(packed) => match &packed.biases {
                Some(_) => packed.scales.dtype(),
                None => Dtype::Bfloat16,
            },
        }
    }

    /// `x W^T`.
    ///
    /// # Shapes
    /// - x: `[.., in]`
    /// - returns: `[.., out]`
    pub fn multiply(&self, x: &Array) -> Result<Array> {
        match self {
            Self::Plain(weight) => Ok(x.matmul(weight.t())?),
            Self::Packed(packed) => quantized::matmul(x, &packed.view(), true, &packed.format),
        }
    }

    /// `y W`: what [`multiply`](Self::multiply) is backward.
    ///
    /// # Shapes
    /// - y: `[.., out]`
    /// - returns: `[.., in]`
    pub fn multiply_back(&self, y: &Array) -> Result<Array> {
        match self {
            Self::Plain(weight) => Ok(y.matmul(weight)?),
            Self::Packed(packed) => quantized::matmul(y, &packed.view(), false, &packed.format),
        }
    }

    /// `x W_e^T`, each row of `x` with the matrix of its own expert `e`.
    ///
    /// # Shapes
    /// - x: `[.., 1, in]`; experts: integers `[..]`, which may broadcast
    /// - returns: `[.., 1, out]`
    pub fn multiply_chosen(&self, x: &Array, experts: &Array, sorted: bool) -> Result<Array> {
        match self {
            Self::Plain(weight) => {
                let turned = weight.swap_axes(-1, -2)?;
                Ok(ops::gather_mm(x, turned, None, experts, sorted)?)
            }
            Self::Packed(packed) => {
                let gather = Gather {
                    lhs: None,
                    rhs: Some(experts),
                    sorted,
                };
                quantized::gather_matmul(x, &packed.view(), &gather, true, &packed.format)
            }
        }
    }

    /// The rows of some ids: an embedding.
    ///
    /// # Shapes
    /// - ids: integers `[..]`
    /// - returns: `[.., in]`
    pub fn rows(&self, ids: &Array) -> Result<Array> {
        match self {
            Self::Plain(weight) => Ok(weight.take_axis(ids, 0)?),
            Self::Packed(packed) => {
                let take = |part: &Array| -> Result<Array> { Ok(part.take_axis(ids, 0)?) };
                let rows = Packed {
                    weight: take(&packed.weight)?,
                    scales: take(&packed.scales)?,
                    biases: packed.biases.as_ref().map(take).transpose()?,
                    format: packed.format.clone(),
                };
                rows.dense()
            }
        }
    }

    /// The whole matrix.
    pub fn dense(&self) -> Result<Array> {
        match self {
            Self::Plain(weight) => Ok(weight.clone()),
            Self::Packed(packed) => packed.dense(),
        }
    }

    /// The matrix in few bits; one that is already is first made whole.
    ///
    /// # Errors
    /// A last axis that the groups do not divide.
    pub fn quantized(&self, format: &Format) -> Result<Self> {
        let mut parts = quantized::quantize(&self.dense()?, format)?.into_iter();
        let (Some(weight), Some(scales)) = (parts.next(), parts.next()) else {
            return Err(crate::error::Error::Mlx(
                "quantize: MLX gave no scales".into(),
            ));
        };
        Ok(Self::Packed(Packed {
            weight,
            scales,
            biases: parts.next(),
            format: format.clone(),
        }))
    }

    /// Visits the arrays that it is made of.
    pub(super) fn arrays(&mut self, path: &str, visit: &mut Visit) -> Result<()> {
        match self {
            Self::Plain(weight) => visit(&join(path, "weight"), Role::Weight, weight),
            Self::Packed(packed) => {
                visit(&join(path, "weight"), Role::Packed, &mut packed.weight)?;
                visit(&join(path, "scales"), Role::Packed, &mut packed.scales)?;
                match &mut packed.biases {
                    Some(biases) => visit(&join(path, "biases"), Role::Packed, biases),
                    None => Ok(()),
                }
            }
        }
    }
}
