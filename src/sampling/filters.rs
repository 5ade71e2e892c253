//! Pure functions that exclude tokens: log-probabilities in, `-inf` where excluded out.
//!
//! The kept sets are those of mlx-lm 0.32.2, except that a `k` of the vocabulary size or more
//! keeps everything. What is a number here may be a column in a batch: `[B, 1]`.

use super::settings::{check_min_p, check_top_k, check_top_p, check_xtc};
use crate::error::Result;
use crate::mlx::{Array, Dtype, slice};
use crate::tensor::scalar;
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
    check_top_p(p)?;
    match p == 1.0 {
        true => Ok(logprobs.clone()),
        false => within_mass(logprobs, &Array::from_f32(p)),
    }
}

/// The same by a number for all rows, or one for each.
pub(super) fn within_mass(logprobs: &Array, p: &Array) -> Result<Array> {
    let ascending = ops::sort_axis(logprobs, -1)?;
    let mass = ascending.as_dtype(Dtype::Float32)?.exp()?;
    let above = mass.cumsum(-1, true, false)?;
    let limit = mass.sum_axis(-1, true)?.multiply(p)?;
    let dropped = above
        .ge(&limit)?
        .as_dtype(Dtype::Int32)?
        .sum_axis(-1, true)?;
    // A sum rounded down to its greatest part would drop that part too.
    let last = Array::from_int(logprobs.dim(-1) - 1);
    let dropped = ops::minimum(&dropped, &last)?;
    let cut = indexing::take_along_axis(&ascending, &dropped, -1)?;
    exclude(logprobs, &logprobs.lt(&cut)?)
}

/// Keeps tokens at least `p` times as likely as the likeliest, and the `min_tokens_to_keep`
/// likeliest in any case (<https://arxiv.org/abs/2407.01082>).
///
/// # Shapes
/// - logprobs: `[.., V]`
/// - returns: `[.., V]`
pub fn min_p(logprobs: &Array, p: f32, min_tokens_to_keep: i32) -> Result<Array> {
    check_min_p(p, min_tokens_to_keep)?;
    match p == 0.0 {
        true => Ok(logprobs.clone()),
        false => near_the_top(logprobs, &Array::from_f32(p.ln()), min_tokens_to_keep),
    }
}

/// The same by the logarithm of `p` for all rows, or one for each.
pub(super) fn near_the_top(logprobs: &Array, log_p: &Array, keep: i32) -> Result<Array> {
    let log_p = log_p.as_dtype(logprobs.dtype())?;
    let cut = logprobs.max_axis(-1, true)?.add(&log_p)?;
    let mut excluded = logprobs.lt(&cut)?;
    if keep > 1 {
        let Some(rest) = beyond_top(logprobs, keep)? else {
            return Ok(logprobs.clone());
        };
        let none = ops::zeros_like(&excluded)?;
        let beyond = indexing::put_along_axis(&none, &rest, Array::from_bool(true), Some(-1))?;
        excluded = excluded.logical_and(&beyond)?;
    }
    exclude(logprobs, &excluded)
}

/// Keeps the `k` likeliest tokens; 0, or the vocabulary size and more, keeps all.
///
/// # Shapes
/// - logprobs: `[.., V]`
/// - returns: `[.., V]`
pub fn top_k(logprobs: &Array, k: i32) -> Result<Array> {
    check_top_k(k)?;
    if k == 0 {
        return Ok(logprobs.clone());
    }
    match beyond_top(logprobs, k)? {
        None => Ok(logprobs.clone()),
        Some(rest) => {
            let floor = scalar(f64::NEG_INFINITY, logprobs)?;
            Ok(indexing::put_along_axis(logprobs, &rest, &floor, Some(-1))?)
        }
    }
}

/// Excludes the likely tokens but the least likely of them, where a row's chance is below the
/// probability. Likely is what has more than the threshold; special tokens stay in any case.
/// (Described with its implementation in text-generation-webui, pull request 6335.)
///
/// # Shapes
/// - logprobs: `[V]` or `[B, V]`; chances: a number in `[0, 1)` for each row
/// - returns: as logprobs
pub fn xtc(
    logprobs: &Array,
    probability: f32,
    threshold: f32,
    special_tokens: &[i32],
    chances: &[f32],
) -> Result<Array> {
    check_xtc(probability, threshold)?;
    let rows: Vec<bool> = chances.iter().map(|chance| *chance < probability).collect();
    without_the_likely(logprobs, &rows, &Array::from_f32(threshold), special_tokens)
}

/// The same for the rows that it happens to.
pub(super) fn without_the_likely(
    logprobs: &Array,
    rows: &[bool],
    threshold: &Array,
    special_tokens: &[i32],
) -> Result<Array> {
    if !rows.contains(&true) {
        return Ok(logprobs.clone());
    }
    let p = ops::softmax_axis(logprobs, -1, true)?;
    let threshold = threshold.as_dtype(p.dtype())?;
    let infinite = scalar(f64::INFINITY, &p)?;
    let least = ops::select(&p.gt(&threshold)?, &p, &infinite)?.min_axis(-1, true)?;
    let mut excluded = p.gt(&least)?;
    if !special_tokens.is_empty() {
        let vocab = logprobs.dim(-1);
        let mut stays = vec![false; vocab as usize];
        for id in special_tokens.iter().filter(|id| (0..vocab).contains(*id)) {
            stays[*id as usize] = true;
        }
        excluded = excluded.logical_and(Array::from_slice(&stays, &[vocab]).logical_not()?)?;
    }
    if rows.contains(&false) {
        let happens = Array::from_slice(rows, &[rows.len() as i32, 1]);
        excluded = excluded.logical_and(&happens)?;
    }
    exclude(logprobs, &excluded)
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
    Ok(Some(slice(&order, &start, order.shape())?))
}

/// The `k` likeliest tokens, the likeliest first, and their values.
///
/// # Shapes
/// - values: `[B, V]`, `k < V`
/// - returns: ids and values, `[B, k]`
pub(super) fn top(values: &Array, k: i32) -> Result<(Array, Array)> {
    let order = ops::argpartition_axis(&values.negative()?, k - 1, -1)?;
    let some = slice(&order, &[0, 0], &[order.dim(0), k])?;
    let of_some = indexing::take_along_axis(values, &some, -1)?;
    let sorted = ops::argsort_axis(&of_some.negative()?, -1)?;
    let ids = indexing::take_along_axis(&some, &sorted, -1)?;
    Ok((ids, indexing::take_along_axis(&of_some, &sorted, -1)?))
}

pub(super) fn exclude(logprobs: &Array, excluded: &Array) -> Result<Array> {
    let floor = scalar(f64::NEG_INFINITY, logprobs)?;
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
        assert_eq!(kept(&xtc(&q, 1.0, 0.2, &[], &[0.5]).unwrap()), [1, 2, 3, 4]);
        assert_eq!(
            kept(&xtc(&q, 1.0, 0.12, &[0], &[0.5]).unwrap()),
            [0, 2, 3, 4]
        );
        assert_eq!(kept(&xtc(&q, 0.5, 0.2, &[], &[0.5]).unwrap()).len(), 5);
    }

    #[test]
    fn ties_at_the_cut_of_top_p_stay() {
        let q = log(&[0.4, 0.2, 0.2, 0.2]);
        assert_eq!(kept(&top_p(&q, 0.5).unwrap()), [0, 1, 2, 3]);
    }

    #[test]
    fn the_likeliest_come_in_order() {
        let values = Array::from_slice(&[1.0f32, 5.0, 3.0, 4.0], &[1, 4]);
        let (ids, values) = top(&values, 3).unwrap();
        assert_eq!(crate::tensor::to_i32(&ids).unwrap(), [1, 3, 2]);
        assert_eq!(to_f32(&values).unwrap(), [5.0, 4.0, 3.0]);
    }

    #[test]
    fn bad_settings_are_named() {
        let q = log(&[0.5, 0.5]);
        assert!(top_p(&q, 0.0).unwrap_err().to_string().contains("top_p"));
        assert!(top_p(&q, 1.5).is_err());
        assert!(min_p(&q, -0.1, 1).is_err());
        assert!(min_p(&q, 0.1, 0).is_err());
        assert!(top_k(&q, -1).unwrap_err().to_string().contains("top_k"));
        assert!(xtc(&q, 2.0, 0.1, &[], &[0.0]).is_err());
        assert!(xtc(&q, 0.5, 0.7, &[], &[0.0]).is_err());
    }
}
