//! Settings of rows as arrays that meet one row of logits each.

use crate::error::Result;
use crate::mlx::Array;
use mlx_rs::ops;

/// One number for all rows, or one for each.
///
/// # Shapes
/// - returns: `[]` where all are the same, else `[B, 1]`
pub fn column(values: &[f32]) -> Array {
    match values {
        [] => Array::from_f32(0.0),
        [first, rest @ ..] if rest.iter().all(|value| value == first) => Array::from_f32(*first),
        _ => Array::from_slice(values, &[values.len() as i32, 1]),
    }
}

/// Whole numbers in the same way.
pub fn whole_column(values: &[i32]) -> Array {
    match values {
        [] => Array::from_int(0),
        [first, rest @ ..] if rest.iter().all(|value| value == first) => Array::from_int(*first),
        _ => Array::from_slice(values, &[values.len() as i32, 1]),
    }
}

/// Runs what wants rows on logits that may be a single one.
///
/// # Shapes
/// - a: `[V]` or `[B, V]`
/// - returns: the same
pub fn by_rows(a: &Array, f: impl FnOnce(&Array) -> Result<Array>) -> Result<Array> {
    match a.ndim() {
        2 => f(a),
        _ => Ok(f(&a.reshape(&[-1, a.dim(-1)])?)?.reshape(a.shape())?),
    }
}

/// A part of the last axis.
pub fn columns(a: &Array, from: i32, to: i32) -> Result<Array> {
    let (mut start, mut stop) = (vec![0; a.ndim()], a.shape().to_vec());
    let last = a.ndim() - 1;
    (start[last], stop[last]) = (from, to);
    crate::mlx::slice(a, &start, &stop)
}

/// Rows by their numbers; all where none are named.
pub fn rows(a: &Array, numbers: Option<&Array>) -> Result<Array> {
    match numbers {
        None => Ok(a.clone()),
        Some(numbers) => Ok(a.take_axis(numbers, 0)?),
    }
}

/// The same ids for every row.
///
/// # Shapes
/// - returns: `int32` `[B, ids]`
pub fn whole_row(ids: &[i32], rows: i32) -> Result<Array> {
    let count = ids.len() as i32;
    let row = Array::from_slice(ids, &[1, count]);
    Ok(ops::broadcast_to(&row, &[rows, count])?)
}
