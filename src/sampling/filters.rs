//! Pure functions that exclude tokens: log-probabilities in, `-inf` where excluded out.
//!
//! The kept sets are those of mlx-lm 0.32.2, except that a `k` of the vocabulary size or more
//! keeps everything.

use crate::error::{Error, Result};
use crate::mlx::Array;
use mlx_rs::ops::{self, indexing};

/// Keeps the most likely tokens whose mass reaches `p`.
///
/// A token stays if the mass strictly above it is less than `p` of the total; ties with the
/// last one kept stay too. At least one token stays.
///
/// # Shapes
/// - logprobs: `[.., V]`
/// - returns: `[.., V]`
pub fn top_p(logprobs: &Array, p: f32) -> Result<Array> {
    if !(p > 0.0 && p <= 1.0) {
        return Err(Error::setting("top_p", p, "a number above 0, up to 1"));
    }
    if p == 1.0 {
        return Ok(logprobs.clone());
    }
    let descending = ops::sort_axis(&logprobs.negative()?, -1)?.negative()?;
    let mass = descending.exp()?;
    let above = mass.cumsum(-1, false, false)?;
    let limit = mass.sum_axis(-1, true)?.multiply(Array::from_f32(p))?;
    let kept = above.lt(&limit)?;
    let infinite = Array::from_f32(f32::INFINITY);
    let cut = ops::select(&kept, &descending, &infinite)?.min_axis(-1, true)?;
    exclude(logprobs, &logprobs.lt(&cut)?)
}

/// Keeps tokens at least `p` times as likely as the likeliest, and the `min_tokens_to_keep`
/// likeliest in any case (<https://arxiv.org/abs/2407.01082>).
///
/// # Shapes
/// - logprobs: `[.., V]`
/// - returns: `[.., V]`
pub fn min_p(logprobs: &Array, p: f32, min_tokens_to_keep: i32) -> Result<Array> {
    if !(0.0..=1.0).contains(&p) {
        return Err(Error::setting("min_p", p, "a number from 0 to 1"));
    }
    if min_tokens_to_keep < 1 {
        let expected = "at least 1";
        return Err(Error::setting(
            "min_tokens_to_keep",
            min_tokens_to_keep,
            expected,
        ));
    }
    if p == 0.0 {
        return Ok(logprobs.clone());
    }
    let cut = logprobs.max_axis(-1, true)?.add(Array::from_f32(p.ln()))?;
    let mut excluded = logprobs.lt(&cut)?;
    if min_tokens_to_keep > 1 {
        let rest = beyond_top(logprobs, min_tokens_to_keep)?;
        excluded = match rest {
            None => return Ok(logprobs.clone()),
            Some(rest) => {
                let none = ops::zeros_like(&excluded)?;
                let beyond = indexing::put_along_axis(&none, &rest, Array::from_bool(true), -1)?;
                excluded.logical_and(&beyond)?
            }
        };
    }
    exclude(logprobs, &excluded)
}

/// Keeps the `k` likeliest tokens; 0, or the vocabulary size and more, keeps all.
///
/// # Shapes
/// - logprobs: `[.., V]`
/// - returns: `[.., V]`
pub fn top_k(logprobs: &Array, k: i32) -> Result<Array> {
    if k < 0 {
        return Err(Error::setting("top_k", k, "0 (off) or a positive number"));
    }
    if k == 0 {
        return Ok(logprobs.clone());
    }
    match beyond_top(logprobs, k)? {
        None => Ok(logprobs.clone()),
        Some(rest) => {
            let floor = Array::from_f32(f32::NEG_INFINITY).as_dtype(logprobs.dtype())?;
            Ok(indexing::put_along_axis(logprobs, &rest, &floor, -1)?)
        }
    }
}

/// Indices of all but the `k` likeliest tokens, if there are any.
fn beyond_top(logprobs: &Array, k: i32) -> Result<Option<Array>> {
    let vocab = logprobs.dim(-1);
    if k >= vocab {
        return Ok(None);
    }
    let order = ops::argpartition_axis(&logprobs.negative()?, k - 1, -1)?;
    let mut start = vec![0; order.ndim()];
    start[order.ndim() - 1] = k;
    Ok(Some(crate::mlx::slice(&order, &start, order.shape())?))
}

fn exclude(logprobs: &Array, excluded: &Array) -> Result<Array> {
    let floor = Array::from_f32(f32::NEG_INFINITY).as_dtype(logprobs.dtype())?;
    Ok(ops::select(excluded, &floor, logprobs)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::to_f32;

    fn log(p: &[f32]) -> Array {
        Array::from_iter(p.iter().map(|p| p.ln()), &[1, p.len() as i32])
    }

    fn kept(a: &Array) -> Vec<usize> {
        let values = to_f32(a).unwrap();
        (0..values.len())
            .filter(|i| values[*i].is_finite())
            .collect()
    }

    #[test]
    fn kept_sets_are_those_of_mlx_lm() {
        let q = log(&[0.4, 0.3, 0.15, 0.1, 0.05]);
        assert_eq!(kept(&top_p(&q, 0.3).unwrap()), [0]);
        assert_eq!(kept(&top_p(&q, 0.71).unwrap()), [0, 1, 2]);
        assert_eq!(kept(&top_p(&q, 1.0).unwrap()).len(), 5);
        assert_eq!(kept(&min_p(&q, 0.5, 1).unwrap()), [0, 1]);
        assert_eq!(kept(&min_p(&q, 0.5, 3).unwrap()), [0, 1, 2]);
        assert_eq!(kept(&min_p(&q, 0.9, 9).unwrap()).len(), 5);
        assert_eq!(kept(&top_k(&q, 2).unwrap()), [0, 1]);
        assert_eq!(kept(&top_k(&q, 5).unwrap()).len(), 5);
    }

    #[test]
    fn ties_at_the_cut_of_top_p_stay() {
        let q = log(&[0.4, 0.2, 0.2, 0.2]);
        assert_eq!(kept(&top_p(&q, 0.5).unwrap()), [0, 1, 2, 3]);
    }

    #[test]
    fn bad_settings_are_named() {
        let q = log(&[0.5, 0.5]);
        assert!(top_p(&q, 0.0).unwrap_err().to_string().contains("top_p"));
        assert!(top_p(&q, 1.5).is_err());
        assert!(min_p(&q, -0.1, 1).is_err());
        assert!(min_p(&q, 0.1, 0).is_err());
        assert!(top_k(&q, -1).unwrap_err().to_string().contains("top_k"));
    }
}
