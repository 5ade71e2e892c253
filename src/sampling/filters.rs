//! Pure functions that exclude tokens: log-probabilities in, `-inf` where excluded out.
//!
//! The kept sets are those of mlx-lm 0.32.2, except that a `k` of the vocabulary size or more
//! keeps everything.

use super::columns::{by_rows, columns, whole_row};
use super::settings::{check_inside, check_min_p, check_top_k, check_top_p, check_xtc};
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype};
use mlx_rs::ops::{self, indexing};

/// Keeps the most likely tokens whose mass reaches `p`.
///
/// A token stays if the mass strictly above it is less than `p` of the total; ties with the
/// last one kept stay too. At least one token stays. The mass is added up in f32.
///
/// # Shapes
/// - logprobs: `[.., V]`
/// - returns: `[.., V]`
pub fn top_p(logprobs: &Array, p: f32) -> Result<Array> {
    check_top_p(p)?;
    match p == 1.0 {
        true => Ok(logprobs.clone()),
        false => keep_mass(logprobs, &Array::from_f32(p)),
    }
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
        false => keep_near_best(logprobs, &Array::from_f32(p.ln()), min_tokens_to_keep),
    }
}

/// Keeps the `k` likeliest tokens; 0, or the vocabulary size and more, keeps all.
///
/// # Shapes
/// - logprobs: `[.., V]`
/// - returns: `[.., V]`
pub fn top_k(logprobs: &Array, k: i32) -> Result<Array> {
    check_top_k(k)?;
    let vocab = logprobs.dim(-1);
    if k == 0 || k >= vocab {
        return Ok(logprobs.clone());
    }
    let order = ops::argpartition_axis(&logprobs.negative()?, k - 1, -1)?;
    let rest = columns(&order, k, vocab)?;
    Ok(indexing::put_along_axis(
        logprobs,
        &rest,
        &floor(logprobs)?,
        -1,
    )?)
}

/// Excludes the top choices: of the tokens more likely than `threshold` only the least likely
/// stays, and special tokens stay in any case.
///
/// This happens to a row when its own chance, a number in `[0, 1)`, is less than `probability`.
///
/// # Shapes
/// - logprobs: `[V]` or `[B, V]`
/// - chances: one for each row
/// - returns: as `logprobs`
pub fn xtc(
    logprobs: &Array,
    probability: f32,
    threshold: f32,
    special_tokens: &[i32],
    chances: &[f32],
) -> Result<Array> {
    check_xtc(probability, threshold)?;
    check_inside(special_tokens.iter().copied(), logprobs.dim(-1))?;
    by_rows(logprobs, |logprobs| {
        if chances.len() != logprobs.dim(0) as usize {
            let expected = format!("one for each of {} rows", logprobs.dim(0));
            return Err(Error::value("chances", chances.len(), &expected));
        }
        let threshold = |chance: &f32| xtc_threshold(*chance, probability, threshold);
        let thresholds: Vec<f32> = chances.iter().map(threshold).collect();
        exclude_top(logprobs, &thresholds, special_tokens)
    })
}

/// The threshold of a row: one that nothing passes where chance leaves the row alone.
pub(super) fn xtc_threshold(chance: f32, probability: f32, threshold: f32) -> f32 {
    match chance < probability {
        true => threshold,
        false => f32::INFINITY,
    }
}

/// [`top_p`] with a number for each row.
///
/// # Shapes
/// - logprobs: `[.., V]`
/// - p: `[]` or `[.., 1]`
pub(super) fn keep_mass(logprobs: &Array, p: &Array) -> Result<Array> {
    let vocab = logprobs.dim(-1);
    let rising = ops::sort_axis(logprobs, -1)?;
    let mass = rising.as_dtype(Dtype::Float32)?.exp()?;
    let above = mass.cumsum(-1, true, false)?;
    let total = columns(&above, 0, 1)?.add(&columns(&mass, 0, 1)?)?;
    let dropped = above.ge(&total.multiply(p)?)?.sum_axis(-1, true)?;
    // A row without any mass would drop all, and MLX would read beyond its end.
    let dropped = ops::minimum(&dropped, Array::from_int(vocab - 1))?;
    let cut = indexing::take_along_axis(&rising, &dropped, -1)?;
    exclude(logprobs, &logprobs.lt(&cut)?)
}

/// [`min_p`] with the logarithm of a number for each row.
///
/// # Shapes
/// - logprobs: `[.., V]`
/// - log_p: `[]` or `[.., 1]`
pub(super) fn keep_near_best(logprobs: &Array, log_p: &Array, keep: i32) -> Result<Array> {
    let vocab = logprobs.dim(-1);
    if keep >= vocab {
        return Ok(logprobs.clone());
    }
    let best = logprobs.max_axis(-1, true)?;
    let cut = best.add(&log_p.as_dtype(logprobs.dtype())?)?;
    let mut excluded = logprobs.lt(&cut)?;
    if keep > 1 {
        let order = ops::argpartition_axis(logprobs, vocab - keep, -1)?;
        let top = columns(&order, vocab - keep, vocab)?;
        excluded = indexing::put_along_axis(&excluded, &top, Array::from_bool(false), -1)?;
    }
    exclude(logprobs, &excluded)
}

/// [`xtc`] with a threshold for each row.
///
/// # Shapes
/// - logprobs: `[B, V]`
/// - thresholds: one for each row
pub(super) fn exclude_top(
    logprobs: &Array,
    thresholds: &[f32],
    special_tokens: &[i32],
) -> Result<Array> {
    if thresholds.iter().all(|threshold| threshold.is_infinite()) {
        return Ok(logprobs.clone());
    }
    let dtype = logprobs.dtype();
    let thresholds = Array::from_slice(thresholds, &[thresholds.len() as i32, 1]);
    let probabilities = ops::softmax_axis(logprobs, -1, false)?;
    let passing = probabilities.gt(&thresholds.as_dtype(dtype)?)?;
    let none = Array::from_f32(f32::INFINITY).as_dtype(dtype)?;
    let least = ops::select(&passing, &probabilities, &none)?.min_axis(-1, true)?;
    let mut excluded = probabilities.gt(&least)?;
    if !special_tokens.is_empty() {
        let special = whole_row(special_tokens, logprobs.dim(0))?;
        excluded = indexing::put_along_axis(&excluded, &special, Array::from_bool(false), -1)?;
    }
    exclude(logprobs, &excluded)
}

/// `-inf` where something holds.
pub(super) fn exclude(logprobs: &Array, excluded: &Array) -> Result<Array> {
    Ok(ops::select(excluded, &floor(logprobs)?, logprobs)?)
}

fn floor(like: &Array) -> Result<Array> {
    Ok(Array::from_f32(f32::NEG_INFINITY).as_dtype(like.dtype())?)
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

    #[test]
    fn the_least_likely_of_the_top_choices_stays() {
        let q = log(&[0.4, 0.3, 0.15, 0.1, 0.05]);
        let with = |threshold, special: &[i32], chance| {
            kept(&xtc(&q, 0.5, threshold, special, &[chance]).unwrap())
        };
        assert_eq!(with(0.12, &[], 0.0), [2, 3, 4]);
        assert_eq!(with(0.12, &[0], 0.0), [0, 2, 3, 4]);
        // One token above the threshold, or none: nothing to exclude.
        assert_eq!(with(0.35, &[], 0.0).len(), 5);
        assert_eq!(with(0.5, &[], 0.0).len(), 5);
        // The chance decides.
        assert_eq!(with(0.12, &[], 0.49), [2, 3, 4]);
        assert_eq!(with(0.12, &[], 0.5).len(), 5);
    }

    #[test]
    fn a_chance_decides_about_its_own_row() {
        let q = Array::from_iter([0.6f32, 0.3, 0.1, 0.6, 0.3, 0.1].map(f32::ln), &[2, 3]);
        assert_eq!(
            kept(&xtc(&q, 0.5, 0.2, &[], &[0.9, 0.1]).unwrap()),
            [0, 1, 2, 4, 5]
        );
        let error = xtc(&q, 0.5, 0.2, &[], &[0.9]).unwrap_err().to_string();
        assert!(
            error.contains("chances") && error.contains("2 rows"),
            "{error}"
        );
        let error = xtc(&q, 0.5, 0.2, &[3], &[0.9, 0.9])
            .unwrap_err()
            .to_string();
        assert!(error.contains("token id 3"), "{error}");
    }

    #[test]
    fn a_row_without_mass_is_left_alone() {
        let nothing = Array::from_slice(&[f32::NEG_INFINITY; 4], &[1, 4]);
        assert_eq!(kept(&top_p(&nothing, 0.5).unwrap()), [0usize; 0]);
    }
}
