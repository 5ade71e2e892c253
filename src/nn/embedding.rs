//! A table of vectors, one for each token.

use super::matrix::Matrix;
use crate::error::Result;
use crate::mlx::Array;

/// Rows of a table; as a linear map it is the tied head of a model.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// `[V, E]`
    pub weight: Matrix,
}

impl Embedding {
    /// A table.
    pub fn new(weight: Array) -> Self {
        Self {
            weight: Matrix::Plain(weight),
        }
    }

    /// # Shapes
    /// - ids: integers `[..]`
    /// - returns: `[.., E]`
    pub fn forward(&self, ids: &Array) -> Result<Array> {
        self.weight.rows(ids)
    }

    /// The product with every row: logits of a model with a tied head.
    ///
    /// # Shapes
    /// - x: `[.., E]`
    /// - returns: `[.., V]`
    pub fn as_linear(&self, x: &Array) -> Result<Array> {
        self.weight.multiply(x)
    }
}
