//! The convolution of two vectors.

use crate::error::{Error, Result};
use crate::mlx::Array;
use mlx_rs::ops;

/// As `numpy.convolve`: `mode` is `"full"`, `"valid"` or `"same"`.
///
/// # Shapes
/// - a: `[n]`
/// - v: `[m]`
/// - returns: `[n + m - 1]`, `[max(n, m) - min(n, m) + 1]`, or `[max(n, m)]`
pub fn convolve(a: &Array, v: &Array, mode: &str) -> Result<Array> {
    for array in [a, v] {
        if array.ndim() != 1 || array.size() == 0 {
            return Err(Error::shape("convolve", "[n], n > 0", array.shape()));
        }
    }
    let (a, v) = if a.dim(0) < v.dim(0) { (v, a) } else { (a, v) };
    let n = v.dim(0);
    // MLX's convolution does not turn the kernel over.
    let kernel = crate::mlx::ops::flip(v, &[0])?.reshape(&[1, n, 1])?;
    let input = a.reshape(&[1, -1, 1])?;
    let padding = match mode {
        "full" => n - 1,
        "same" => n / 2,
        _ => 0,
    };
    let result = ops::conv1d(&input, &kernel, 1, padding, 1, 1)?.reshape(&[-1])?;
    // An even kernel leaves one too many.
    match mode == "same" && result.dim(0) > a.dim(0) {
        true => crate::mlx::slice(&result, &[0], &[a.dim(0)]),
        false => Ok(result),
    }
}
