//! Positions as vectors.

use super::activations::times;
use crate::error::{Error, Result};
use crate::mlx::Array;
use mlx_rs::ops;

/// Sines and cosines of positions (<https://arxiv.org/abs/1706.03762>), at `dims / 2`
/// frequencies between two, spaced by a constant factor.
///
/// # Shapes
/// - x: positions `[..]`
/// - returns: `[.., dims]`, sines first
///
/// # Errors
/// `dims` that is not positive and even.
pub fn sinusoidal(
    x: &Array,
    dims: i32,
    [min_freq, max_freq]: [f64; 2],
    scale: Option<f64>,
    cos_first: bool,
    full_turns: bool,
) -> Result<Array> {
    if dims <= 0 || dims % 2 != 0 {
        return Err(Error::setting(
            "dims",
            dims.to_string(),
            "a positive even number",
        ));
    }
    let half = dims / 2;
    let (low, high) = (min_freq.ln(), max_freq.ln());
    let turn = if full_turns {
        2.0 * std::f64::consts::PI
    } else {
        1.0
    };
    let frequencies: Vec<f32> = (0..half)
        .map(|i| 1.0 - f64::from(i) / f64::from((half - 1).max(1)))
        .map(|share| (turn * (share * (high - low) + low).exp()) as f32)
        .collect();
    let angles = x
        .expand_dims(-1)?
        .multiply(Array::from_slice(&frequencies, &[half]))?;
    let (sines, cosines) = (angles.sin()?, angles.cos()?);
    let both = if cos_first {
        [cosines, sines]
    } else {
        [sines, cosines]
    };
    times(
        &ops::concatenate(&both, -1)?,
        scale.unwrap_or((2.0 / f64::from(dims)).sqrt()),
    )
}
