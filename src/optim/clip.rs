//! The size of a gradient.

use crate::error::Result;
use crate::mlx::{Array, Dtype};
use mlx_rs::ops;

/// The Euclidean norm of all gradients taken as one vector, f32 `[]`.
pub fn grad_norm(grads: &[Array]) -> Result<Array> {
    let mut total = Array::from_f32(0.0);
    for grad in grads {
        let squares = grad.as_dtype(Dtype::Float32)?.square()?;
        total = total.add(squares.sum(false)?)?;
    }
    Ok(total.sqrt()?)
}

/// The gradients scaled down so that their norm is at most `max_norm`, and the norm before.
///
/// As PyTorch: the factor is `max_norm / (norm + 1e-6)` where that is below 1.
pub fn clip_grad_norm(grads: &[Array], max_norm: f32) -> Result<(Vec<Array>, Array)> {
    let norm = grad_norm(grads)?;
    let ratio = Array::from_f32(max_norm).divide(norm.add(Array::from_f32(1e-6))?)?;
    let factor = ops::minimum(&ratio, Array::from_f32(1.0))?;
    let clipped = grads
        .iter()
        .map(|grad| Ok(grad.multiply(factor.as_dtype(grad.dtype())?)?))
        .collect::<Result<_>>()?;
    Ok((clipped, norm))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{item, to_f32};

    #[test]
    fn a_long_gradient_is_shortened_and_a_short_one_left() {
        let grads = [
            Array::from_slice(&[3.0f32], &[1]),
            Array::from_slice(&[4.0f32], &[1]),
        ];
        let (clipped, norm) = clip_grad_norm(&grads, 1.0).unwrap();
        assert_eq!(item(&norm).unwrap(), 5.0);
        assert!((to_f32(&clipped[0]).unwrap()[0] - 0.6).abs() < 1e-6);
        let (same, _) = clip_grad_norm(&grads, 10.0).unwrap();
        assert_eq!(to_f32(&same[1]).unwrap(), [4.0]);
    }
}
