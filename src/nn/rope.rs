//! Rotary position embedding (<https://arxiv.org/abs/2104.09864>).

use crate::error::Result;
use crate::mlx::Array;

/// Where the first token of a forward stands in its sequence.
#[derive(Clone, Debug)]
pub enum Position {
    /// All rows alike.
    Same(i32),
    /// One `int32` for each row, `[B]`; negative for padding.
    PerRow(Array),
}

/// Rotates pairs of features by angles that grow with the position; the two halves of a head
/// form the pairs ("non-traditional" in MLX), as in Qwen3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// Size of a head.
    pub dims: i32,
    /// `rope_theta` of the configuration.
    pub base: f32,
}

impl Rope {
    /// # Shapes
    /// - x: `[B, H, L, D]`
    /// - returns: `[B, H, L, D]`
    pub fn forward(&self, x: &Array, position: &Position) -> Result<Array> {
        Ok(match position {
            Position::Same(offset) => {
                mlx_rs::fast::rope(x, self.dims, false, self.base, 1.0, *offset, None)?
            }
            Position::PerRow(offsets) => {
                mlx_rs::fast::rope_dynamic(x, self.dims, false, self.base, 1.0, offsets, None)?
            }
        })
    }
}
