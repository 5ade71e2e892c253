//! Root-mean-square normalisation (<https://arxiv.org/abs/1910.07467>).

use crate::error::Result;
use crate::mlx::{Array, host};

/// `y = x / sqrt(mean(x^2) + eps) * weight` over the last axis.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    /// `[E]`
    pub weight: Array,
    pub eps: f32,
}

impl RmsNorm {
    /// # Shapes
    /// - x: `[.., E]`
    /// - returns: `[.., E]`
    pub fn forward(&self, x: &Array) -> Result<Array> {
        match host::rms_norm(x, &self.weight, self.eps)? {
            Some(y) => Ok(y),
            None => Ok(mlx_rs::fast::rms_norm(x, Some(&self.weight), self.eps)?),
        }
    }
}
