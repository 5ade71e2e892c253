//! Parts of an array by one entry for each axis, as scripts write them.

use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype, ops as mlx_ops, slice, slice_update, values};
use mlx_rs::ops::{self, indexing};
use std::fmt::Display;

/// What is taken of one axis.
#[derive(Clone, Debug)]
pub enum Pick {
    /// One position; the axis disappears. Negative ones count from the end.
    At(i64),
    /// Positions from `start` up to, not including, `stop`, cut to what is there.
    Range(i64, i64),
    /// Positions; their shape takes the place of the axis.
    Take(Positions),
    /// Where a boolean array is true; one axis takes the place of those that it covers.
    Mask(Array),
}

/// Integers as positions of an axis. MLX does not check them, and would read what is not the
/// array's, so their ends are known before they are used.
#[derive(Clone, Debug)]
pub struct Positions {
    array: Array,
    ends: Option<(i64, i64)>,
}

impl Positions {
    /// Computes the array and looks at its elements.
    ///
    /// # Errors
    /// Elements that are not integers; MLX's.
    pub fn new(array: Array) -> Result<Self> {
        let ends = Self::ends(&array)?;
        Ok(Self { array, ends })
    }

    /// An array whose ends are known: see [`Positions::ends`].
    pub fn known(array: Array, ends: Option<(i64, i64)>) -> Self {
        Self { array, ends }
    }

    /// The smallest and the largest element; `None` of an array without elements.
    ///
    /// # Errors
    /// As [`Positions::new`].
    pub fn ends(array: &Array) -> Result<Option<(i64, i64)>> {
        if array.dtype().is_inexact() || array.dtype() == Dtype::Bool {
            let found = crate::tensor::dtype::name(array.dtype());
            return Err(Error::value("index", found, "an integer tensor"));
        }
        let elements = values::integers(array)?;
        let ends = elements.iter().min().zip(elements.iter().max());
        Ok(ends.map(|(low, high)| (*low, *high)))
    }

    /// The array, if it is inside of an axis of this size; negative positions count from the end.
    ///
    /// # Errors
    /// A position outside.
    pub fn within(&self, size: i32, axis: impl Display) -> Result<&Array> {
        if let Some((low, high)) = self.ends {
            position(low, size, &axis)?;
            position(high, size, &axis)?;
        }
        Ok(&self.array)
    }
}

/// The part of size `sizes` that starts at the positions `start` of `axes`.
///
/// # Errors
/// A part that is not inside: MLX does not check, and would read what is not the array's.
pub fn get_at(a: &Array, start: &Array, axes: &[i32], sizes: &[i32]) -> Result<Array> {
    if sizes.len() != a.ndim() {
        let expected = format!("one size for each of {} axes", a.ndim());
        return Err(Error::value("slice_size", format!("{sizes:?}"), &expected));
    }
    check_start(a, start, axes, sizes)?;
    mlx_ops::slice_dynamic(a, start, axes, sizes)
}

/// `a` with the part that starts at the positions `start` of `axes` replaced.
///
/// # Errors
/// As [`get_at`].
pub fn set_at(a: &Array, update: &Array, start: &Array, axes: &[i32]) -> Result<Array> {
    if update.ndim() != a.ndim() {
        let expected = format!("{} axes, as the array", a.ndim());
        return Err(Error::shape("slice_update", expected, update.shape()));
    }
    check_start(a, start, axes, update.shape())?;
    mlx_ops::slice_update_dynamic(a, update, start, axes)
}

fn check_start(a: &Array, start: &Array, axes: &[i32], sizes: &[i32]) -> Result<()> {
    let starts = crate::tensor::to_i32(start)?;
    if starts.len() != axes.len() {
        let found = format!("{} positions for {} axes", starts.len(), axes.len());
        return Err(Error::value("start_indices", found, "one for each axis"));
    }
    let mut first = vec![0i64; a.ndim()];
    for (start, axis) in starts.iter().zip(axes) {
        let axis = position(i64::from(*axis), a.ndim() as i32, "the axes")?;
        first[axis as usize] = i64::from(*start);
    }
    for (axis, (start, size)) in first.iter().zip(sizes).enumerate() {
        let room = i64::from(a.shape()[axis]) - i64::from(*size);
        if *start < 0 || *start > room {
            let found = format!("{size} elements from {start} on, of axis {axis}");
            let expected = format!("a part inside of {:?}", a.shape());
            return Err(Error::value("slice", found, &expected));
        }
    }
    Ok(())
}

/// The picked part; axes without an entry are taken whole.
///
/// Several index tensors are taken together, as in NumPy: they are broadcast to one shape, and each
/// of its places picks one position of every axis.
///
/// # Errors
/// More entries than axes, a position outside its axis, or a mask of another shape than the axes
/// that it covers.
pub fn get(a: &Array, picks: &[Pick]) -> Result<Array> {
    check_count(a, picks)?;
    let together = picks.iter().filter(|p| matches!(p, Pick::Take(_))).count() > 1;
    let mut taken = Vec::new();
    let mut part = a.clone();
    let mut axis = 0;
    for pick in picks {
        match pick {
            Pick::At(i) => {
                let at = position(*i, part.shape()[axis], axis)?;
                part = range(&part, axis, at, at + 1)?.squeeze_axes(&[axis as i32])?;
            }
            Pick::Range(start, stop) => {
                let (start, stop) = bounds(*start, *stop, part.shape()[axis]);
                part = range(&part, axis, start, stop)?;
                axis += 1;
            }
            Pick::Take(positions) => {
                let index = positions.within(part.shape()[axis], axis)?;
                if together {
                    taken.push((axis, index.clone()));
                    axis += 1;
                } else {
                    part = part.take_axis(index, axis as i32)?;
                    axis += index.ndim();
                }
            }
            Pick::Mask(mask) => {
                part = where_true(&part, mask, axis)?;
                axis += 1;
            }
        }
    }
    match together {
        true => take_together(&part, &taken),
        false => Ok(part),
    }
}

/// Takes from several axes, in order, at the places of their index tensors.
fn take_together(a: &Array, taken: &[(usize, Array)]) -> Result<Array> {
    // The axes of the index tensors come first, as one.
    let is_taken = |axis: &usize| taken.iter().any(|(of, _)| of == axis);
    let (first, rest): (Vec<usize>, Vec<usize>) = (0..a.ndim()).partition(is_taken);
    let size = |axis: &usize| a.shape()[*axis];
    let order: Vec<i32> = first.iter().chain(&rest).map(|axis| *axis as i32).collect();
    let mut flat = vec![first.iter().map(size).product()];
    flat.extend(rest.iter().map(size));
    let flat = a.transpose_axes(&order)?.reshape(&flat)?;
    let mut place = Array::from_int(0).as_dtype(Dtype::Int64)?;
    for (axis, index) in taken {
        let size = Array::from_int(size(axis)).as_dtype(Dtype::Int64)?;
        // Negative ones count from the end.
        let index = super::remainder(&index.as_dtype(Dtype::Int64)?, &size)?;
        place = place.multiply(&size)?.add(index)?;
    }
    let picked = flat.take_axis(&place, 0)?;
    // Neighbouring axes are replaced where they were; others go to the front.
    let are_neighbours = first.windows(2).all(|pair| pair[1] == pair[0] + 1);
    let before = first
        .first()
        .copied()
        .filter(|_| are_neighbours)
        .unwrap_or(0);
    let new = place.ndim();
    let order = (new..new + before)
        .chain(0..new)
        .chain(new + before..picked.ndim());
    let order: Vec<i32> = order.map(|axis| axis as i32).collect();
    Ok(picked.transpose_axes(&order)?)
}

fn check_count(a: &Array, picks: &[Pick]) -> Result<()> {
    let covered = |pick: &Pick| match pick {
        Pick::Mask(mask) => mask.ndim(),
        _ => 1,
    };
    let count: usize = picks.iter().map(covered).sum();
    if count <= a.ndim() {
        return Ok(());
    }
    let found = match picks {
        [Pick::Mask(mask)] => format!("a mask of shape {:?}", mask.shape()),
        _ => format!("{count} entries"),
    };
    let expected = format!("up to {} (the shape is {:?})", a.ndim(), a.shape());
    Err(Error::value("index", found, &expected))
}

/// The elements of the axes from `axis` on for which `mask` is true, along one axis.
fn where_true(a: &Array, mask: &Array, axis: usize) -> Result<Array> {
    let (before, rest) = a.shape().split_at(axis);
    let (covered, after) = rest.split_at(mask.ndim());
    if covered != mask.shape() {
        let expected = format!("a mask of shape {covered:?}, as the array at axis {axis}");
        return Err(Error::shape("index", expected, mask.shape()));
    }
    let true_at: Vec<i32> = crate::tensor::to_bool(mask)?
        .iter()
        .zip(0..)
        .filter_map(|(bit, at)| bit.then_some(at))
        .collect();
    let index = Array::from_slice(&true_at, &[true_at.len() as i32]);
    let flat = [before, &[mask.size() as i32], after].concat();
    Ok(a.reshape(&flat)?.take_axis(index, axis as i32)?)
}

/// `a` with the picked part replaced by `value`, which is broadcast and cast to fit.
///
/// # Errors
/// As [`get`], and a value that cannot be broadcast to the part.
pub fn set(a: &Array, picks: &[Pick], value: &Array) -> Result<Array> {
    check_count(a, picks)?;
    let value = value.as_dtype(a.dtype())?;
    if let [Pick::Mask(mask)] = picks
        && a.shape().starts_with(mask.shape())
        && value.ndim() <= a.ndim() - mask.ndim()
    {
        let covered = [mask.shape(), &vec![1; a.ndim() - mask.ndim()]].concat();
        ops::broadcast_to(&value, &a.shape()[mask.ndim()..])?;
        return Ok(ops::select(mask.reshape(&covered)?, value, a)?);
    }
    let is_block = |pick: &Pick| matches!(pick, Pick::At(_) | Pick::Range(..));
    match picks.iter().all(is_block) {
        true => set_block(a, picks, &value),
        false => set_scattered(a, picks, &value),
    }
}

/// [`set`] for a rectangular part.
fn set_block(a: &Array, picks: &[Pick], value: &Array) -> Result<Array> {
    let (mut start, mut stop) = (vec![0; a.ndim()], a.shape().to_vec());
    let mut dropped = Vec::new();
    for (axis, (pick, size)) in picks.iter().zip(a.shape()).enumerate() {
        (start[axis], stop[axis]) = match pick {
            Pick::At(i) => {
                let at = position(*i, *size, axis)?;
                dropped.push(axis as i32);
                (at, at + 1)
            }
            Pick::Range(start, stop) => bounds(*start, *stop, *size),
            Pick::Take(_) | Pick::Mask(_) => continue,
        };
    }
    let is_kept = |(axis, _): &(usize, i32)| !dropped.contains(&(*axis as i32));
    let extents = stop.iter().zip(&start).map(|(stop, start)| stop - start);
    let shape: Vec<i32> = extents
        .enumerate()
        .filter(is_kept)
        .map(|(_, n)| n)
        .collect();
    let value = ops::broadcast_to(value, &shape)?;
    if value.size() == 0 {
        return Ok(a.clone());
    }
    slice_update(a, &value.expand_dims_axes(&dropped)?, &start, &stop)
}

/// [`set`] for places here and there.
fn set_scattered(a: &Array, picks: &[Pick], value: &Array) -> Result<Array> {
    let count = i32::try_from(a.size()).map_err(|_| {
        let found = format!("{} elements", a.size());
        Error::value("indexed assignment", found, "a tensor of fewer than 2^31")
    })?;
    let places = Array::arange::<_, i32>(None, count, None)?.reshape(a.shape())?;
    let places = get(&places, picks)?;
    let value = ops::broadcast_to(value, places.shape())?;
    if value.size() == 0 {
        return Ok(a.clone());
    }
    let flat = a.reshape(&[-1])?;
    let places = places.reshape(&[-1])?;
    let changed = indexing::put_along_axis(&flat, &places, value.reshape(&[-1])?, 0)?;
    Ok(changed.reshape(a.shape())?)
}

fn range(a: &Array, axis: usize, start: i32, stop: i32) -> Result<Array> {
    let (mut first, mut last) = (vec![0; a.ndim()], a.shape().to_vec());
    (first[axis], last[axis]) = (start, stop);
    slice(a, &first, &last)
}

fn position(i: i64, size: i32, axis: impl Display) -> Result<i32> {
    let at = if i < 0 { i + i64::from(size) } else { i };
    if (0..i64::from(size)).contains(&at) {
        Ok(at as i32)
    } else {
        Err(Error::value(
            format!("index of axis {axis}"),
            i,
            &format!("a position in an axis of {size}"),
        ))
    }
}

/// Ends of a range, counted from the end where negative, and cut to the axis as in NumPy.
fn bounds(start: i64, stop: i64, size: i32) -> (i32, i32) {
    let size = i64::from(size);
    let place = |i: i64| (if i < 0 { i + size } else { i }).clamp(0, size);
    let (start, stop) = (place(start), place(stop));
    (start as i32, stop.max(start) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::to_i32;

    fn grid() -> Array {
        Array::from_iter(0..12, &[3, 4])
    }

    #[test]
    fn parts_are_numpy_s() {
        let pick = |picks: &[Pick]| {
            let part = get(&grid(), picks).unwrap();
            (part.shape().to_vec(), to_i32(&part).unwrap())
        };
        assert_eq!(pick(&[Pick::At(-1)]), (vec![4], vec![8, 9, 10, 11]));
        assert_eq!(pick(&[Pick::At(1), Pick::At(2)]), (vec![], vec![6]));
        assert_eq!(
            pick(&[Pick::Range(1, 99), Pick::Range(-2, 4)]),
            (vec![2, 2], vec![6, 7, 10, 11])
        );
        let rows = Array::from_slice(&[2i32, 0], &[2]);
        assert_eq!(
            pick(&[Pick::Take(Positions::new(rows).unwrap()), Pick::At(0)]),
            (vec![2], vec![8, 0])
        );
        assert!(get(&grid(), &[Pick::At(3)]).is_err());
        assert!(get(&grid(), &[Pick::At(0), Pick::At(0), Pick::At(0)]).is_err());
        let outside = Array::from_slice(&[7i32], &[1]);
        assert!(get(&grid(), &[Pick::Take(Positions::new(outside).unwrap())]).is_err());
    }

    #[test]
    fn replacing_a_part_leaves_the_rest_and_the_original() {
        let a = grid();
        let b = set(&a, &[Pick::Range(0, 2), Pick::At(1)], &Array::from_int(-1)).unwrap();
        assert_eq!(
            to_i32(&b).unwrap(),
            [0, -1, 2, 3, 4, -1, 6, 7, 8, 9, 10, 11]
        );
        assert_eq!(to_i32(&a).unwrap()[1], 1);
        let wrong = Array::from_slice(&[1i32, 2, 3], &[3]);
        assert!(set(&a, &[Pick::At(0)], &wrong).is_err());
    }
}
