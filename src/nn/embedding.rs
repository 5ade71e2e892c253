//! A table of vectors, one for each token.

use super::params::{Params, Visit, join};
use crate::error::Result;
use crate::mlx::Array;

/// Rows of a table; as a linear map it is the tied head of a model.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// `[V, E]`
    pub weight: Array,
}

impl Embedding {
    /// # Shapes
    /// - ids: integers `[..]`
    /// - returns: `[.., E]`
    pub fn forward(&self, ids: &Array) -> Result<Array> {
        Ok(self.weight.take_axis(ids, 0)?)
    }

    /// The product with every row: logits of a model with a tied head.
    ///
    /// # Shapes
    /// - x: `[.., E]`
    /// - returns: `[.., V]`
    pub fn as_linear(&self, x: &Array) -> Result<Array> {
        Ok(x.matmul(self.weight.t())?)
    }
}

impl Params for Embedding {
    fn walk(&mut self, prefix: &str, visit: &mut Visit) -> Result<()> {
        visit(&join(prefix, "weight"), &mut self.weight)
    }
}
