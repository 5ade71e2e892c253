//! A linear map.

use super::params::{Params, Visit, join};
use crate::error::Result;
use crate::mlx::Array;

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
        Ok(x.matmul(self.weight.t())?)
    }
}

impl Params for Linear {
    fn walk(&mut self, prefix: &str, visit: &mut Visit) -> Result<()> {
        visit(&join(prefix, "weight"), &mut self.weight)
    }
}
