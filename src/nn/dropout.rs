//! Dropout.

use crate::error::{Error, Result};
use crate::mlx::{Array, draw};
use crate::tensor::scalar;

/// Elements set to 0 with probability `p`, the others scaled by `1 / (1 - p)`
/// (<https://jmlr.org/papers/v15/srivastava14a.html>).
///
/// With `spatial` whole features of `[B, .., C]` are dropped. Without a key the session's
/// generator draws.
///
/// # Errors
/// A probability outside of `[0, 1)`.
pub fn dropout(x: &Array, p: f64, spatial: bool, key: Option<&Array>) -> Result<Array> {
    if !(0.0..1.0).contains(&p) {
        return Err(Error::setting(
            "p",
            p.to_string(),
            "a probability in [0, 1)",
        ));
    }
    if p == 0.0 {
        return Ok(x.clone());
    }
    let mut shape = x.shape().to_vec();
    if let (true, [_, between @ .., _]) = (spatial, shape.as_mut_slice()) {
        between.fill(1);
    }
    let kept = draw::bernoulli(&Array::from_f32((1.0 - p) as f32), &shape, key)?;
    let scaled = x.multiply(scalar(1.0 / (1.0 - p), x)?)?;
    Ok(scaled.multiply(kept.as_dtype(scaled.dtype())?)?)
}
