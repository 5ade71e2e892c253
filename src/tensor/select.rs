//! Log-probabilities of chosen tokens.

use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype};
use mlx_rs::ops;
use mlx_rs::ops::indexing;

/// Log-probability of each target token under `logits`, in f32.
///
/// The chosen logit minus the log-sum-exp: the full table of log-probabilities is never made.
///
/// # Shapes
/// - logits: `[.., V]`
/// - targets: `[..]`, ids in `0..V`
/// - returns: `[..]`
pub fn selective_log_softmax(logits: &Array, targets: &Array) -> Result<Array> {
    let (lead, vocab) = (
        &logits.shape()[..logits.ndim().saturating_sub(1)],
        logits.dim(-1),
    );
    if lead != targets.shape() {
        return Err(Error::shape(
            "selective_log_softmax targets",
            format!("{lead:?} (the logits are {lead:?} x {vocab})"),
            targets.shape(),
        ));
    }
    let logits = logits.as_dtype(Dtype::Float32)?;
    let index = targets.expand_dims(-1)?;
    let chosen = indexing::take_along_axis(&logits, &index, -1)?.squeeze_axes(&[-1])?;
    Ok(chosen.subtract(ops::logsumexp_axis(&logits, -1, false)?)?)
}

/// Shannon entropy of `softmax(logits)` in nats, in f32.
///
/// # Shapes
/// - logits: `[.., V]`
/// - returns: `[..]`
pub fn entropy(logits: &Array) -> Result<Array> {
    let logits = logits.as_dtype(Dtype::Float32)?;
    let total = ops::logsumexp_axis(&logits, -1, true)?;
    let logprobs = logits.subtract(&total)?;
    // A probability of 0 contributes 0, although its logarithm is minus infinity.
    let floor = Array::from_f32(f32::MIN);
    let finite = ops::maximum(&logprobs, &floor)?;
    let terms = logprobs.exp()?.multiply(&finite)?;
    Ok(terms.sum_axis(-1, false)?.negative()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::to_f32;

    #[test]
    fn chosen_log_probabilities_are_those_of_the_softmax() {
        let logits = Array::from_slice(&[1.0f32, 2.0, 3.0, 0.0, 0.0, 0.0], &[2, 3]);
        let targets = Array::from_slice(&[2i32, 1], &[2]);
        let got = to_f32(&selective_log_softmax(&logits, &targets).unwrap()).unwrap();
        let total: f32 = [1.0f32, 2.0, 3.0].iter().map(|x| x.exp()).sum();
        assert!((got[0] - (3.0 - total.ln())).abs() < 1e-6);
        assert!((got[1] - (1.0f32 / 3.0).ln()).abs() < 1e-6);
    }

    #[test]
    fn targets_of_another_shape_are_refused() {
        let logits = Array::from_slice(&[0.0f32; 6], &[2, 3]);
        let targets = Array::from_slice(&[0i32; 3], &[3]);
        assert!(selective_log_softmax(&logits, &targets).is_err());
    }

    #[test]
    fn entropy_of_uniform_and_certain_distributions() {
        let logits = Array::from_slice(&[0.0f32, 0.0, 0.0, 0.0, 9e9, 0.0, 0.0, 0.0], &[2, 4]);
        let got = to_f32(&entropy(&logits).unwrap()).unwrap();
        assert!((got[0] - 4f32.ln()).abs() < 1e-6);
        assert_eq!(got[1], 0.0);
        let excluded = Array::from_slice(&[0.0f32, f32::NEG_INFINITY, 0.0], &[3]);
        assert!((to_f32(&entropy(&excluded).unwrap()).unwrap()[0] - 2f32.ln()).abs() < 1e-6);
    }
}
