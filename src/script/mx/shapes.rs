//! The same elements in other shapes, orders and numbers.

use crate::error::Result;
use crate::mlx::{Array, ops as raw};
use crate::script::bind::{Binder, Call};
use crate::tensor::check_size;
use mlx_rs::ops;
use rhai::{Array as List, Dynamic};

/// Puts the functions into `mx`.
pub fn register(b: &mut Binder) {
    shape(b);
    order(b);
    axes(b);
    joining(b);
    repeating(b);
}

fn shape(b: &mut Binder) {
    b.view(
        "reshape(a: Tensor, shape: list) -> Tensor",
        "The same elements, in row-major order, in another shape; one size may be -1.",
        "assert_eq(mx::reshape(tensor([1, 2, 3, 4]), [2, -1]), [[1, 2], [3, 4]]);",
        |c| Ok(c.tensor(0)?.reshape(&c.ints(1)?)?),
    );
    b.view(
        "flatten(a: Tensor, start_axis: integer = 0, end_axis: integer = -1) -> Tensor",
        "The axes from `start_axis` to `end_axis` as one.",
        "assert_eq(mx::flatten(tensor([[1, 2], [3, 4]])), [1, 2, 3, 4]);",
        |c| Ok(c.tensor(0)?.flatten(c.int(1)?, c.int(2)?)?),
    );
    b.view(
        "unflatten(a: Tensor, axis: integer, shape: list) -> Tensor",
        "One axis as several.",
        "assert_eq(mx::unflatten(tensor([1, 2, 3, 4]), 0, [2, 2]), [[1, 2], [3, 4]]);",
        |c| Ok(ops::unflatten(c.tensor(0)?, c.int(1)?, &c.ints(2)?)?),
    );
    b.view(
        "broadcast_to(a: Tensor, shape: list) -> Tensor",
        "Repeated to fill a shape, without a copy.",
        "assert_eq(mx::broadcast_to(tensor([1, 2]), [2, 2]), [[1, 2], [1, 2]]);",
        |c| Ok(ops::broadcast_to(c.tensor(0)?, &c.shape(1)?)?),
    );
    b.function(
        "broadcast_arrays(arrays: list) -> list",
        "Tensors repeated to their common shape.",
        "assert_eq(mx::broadcast_arrays([tensor([1, 2]), tensor([[3]])])[1], [[3, 3]]);",
        |c| Ok(ops::broadcast_arrays(&c.tensors(0)?)?),
    );
    b.function(
        "broadcast_shapes(shapes: list) -> list",
        "The shape that results when shapes are broadcast.",
        "assert_eq(mx::broadcast_shapes([[2, 1], [3]]), [2, 3]);",
        |c| {
            let Some(list) = c.get(0).read_lock::<List>() else {
                return Err(c.wrong(0, "a list of shapes"));
            };
            let zero = Array::from_int(0);
            let arrays: Result<Vec<Array>> = list
                .iter()
                .map(|shape| {
                    let shape = shape.clone().try_cast::<List>().unwrap_or_default();
                    Ok(ops::broadcast_to(
                        &zero,
                        &crate::script::convert::axes(&shape)?,
                    )?)
                })
                .collect();
            let joined = ops::broadcast_arrays(&arrays?)?;
            let shape = joined
                .first()
                .map(|a| a.shape().to_vec())
                .unwrap_or_default();
            Ok(shape
                .iter()
                .map(|d| Dynamic::from(i64::from(*d)))
                .collect::<List>())
        },
    );
    for n in 1..=3i32 {
        b.method(
            &format!("atleast_{n}d(a: Tensor) -> Tensor"),
            &format!("With axes of size 1 added until there are {n}."),
            &format!("assert_eq(mx::atleast_{n}d(tensor(5)).ndim, {n});"),
            move |c| {
                let a = c.tensor(0)?;
                Ok(match n {
                    1 => ops::at_least_1d(a)?,
                    2 => ops::at_least_2d(a)?,
                    _ => ops::at_least_3d(a)?,
                })
            },
        );
    }
    b.method(
        "as_strided(a: Tensor, shape: list = (), strides: list = (), offset: integer = 0) -> Tensor",
        "The elements in memory order seen through a shape and strides, which stay inside of it.",
        "assert_eq(mx::as_strided(tensor([1, 2, 3]), [2, 2], [1, 1]), [[1, 2], [2, 3]]);",
        as_strided,
    );
}

/// MLX does not check the bounds, and would read memory that is not the array's.
fn as_strided(c: &Call) -> Result<Array> {
    let a = c.tensor(0)?;
    let shape = match c.has(1) {
        true => c.shape(1)?,
        false => a.shape().to_vec(),
    };
    let strides: Vec<i64> = match c.axes(2)? {
        Some(strides) => strides.into_iter().map(i64::from).collect(),
        None => {
            let mut strides = vec![1i64; shape.len()];
            for i in (0..shape.len().saturating_sub(1)).rev() {
                strides[i] = strides[i + 1] * i64::from(shape[i + 1]);
            }
            strides
        }
    };
    if strides.len() != shape.len() {
        return Err(c.wrong(2, "one stride for each axis"));
    }
    let reach = |negative: bool| -> i64 {
        let steps = shape.iter().zip(&strides);
        let ends = steps.filter(|(_, s)| (**s < 0) == negative);
        ends.map(|(d, s)| i64::from((*d - 1).max(0)).saturating_mul(*s))
            .sum()
    };
    let offset = i64::from(c.count(3)?);
    let inside = offset + reach(true) >= 0 && offset + reach(false) < a.size() as i64;
    if !inside && !shape.contains(&0) {
        let expected = format!("steps that stay inside of {} elements", a.size());
        return Err(c.wrong(2, &expected));
    }
    Ok(ops::as_strided(
        a,
        shape.as_slice(),
        strides.as_slice(),
        offset as usize,
    )?)
}

fn order(b: &mut Binder) {
    // The last is another name of the first in MLX, for any number of axes.
    for name in ["transpose", "permute_dims", "matrix_transpose"] {
        b.view(
            &format!("{name}(a: Tensor, axes: list = ()) -> Tensor"),
            "The axes in a given order, or in reverse; also `a.T`.",
            &format!("assert_eq(mx::{name}(tensor([[1, 2], [3, 4]])), [[1, 3], [2, 4]]);"),
            |c| {
                let a = c.tensor(0)?;
                Ok(match c.axes(1)? {
                    Some(order) => a.transpose_axes(&order)?,
                    None => a.transpose()?,
                })
            },
        );
    }
    b.view(
        "swapaxes(a: Tensor, axis1: integer, axis2: integer) -> Tensor",
        "With two axes exchanged.",
        "assert_eq(mx::swapaxes(mx::zeros([2, 3, 4]), 0, 2).shape, [4, 3, 2]);",
        |c| Ok(c.tensor(0)?.swap_axes(c.int(1)?, c.int(2)?)?),
    );
    b.view(
        "moveaxis(a: Tensor, source: integer, destination: integer) -> Tensor",
        "With one axis moved to another place.",
        "assert_eq(mx::moveaxis(mx::zeros([2, 3, 4]), 0, -1).shape, [3, 4, 2]);",
        |c| Ok(ops::move_axis(c.tensor(0)?, c.int(1)?, c.int(2)?)?),
    );
    b.method(
        "flip(a: Tensor, axis: integer or list = ()) -> Tensor",
        "In reverse order along axes, or along all.",
        "assert_eq(mx::flip(tensor([1, 2, 3])), [3, 2, 1]);",
        |c| {
            let a = c.tensor(0)?;
            let axes = c.axes(1)?.unwrap_or_else(|| (0..a.ndim() as i32).collect());
            raw::flip(&a, &axes)
        },
    );
    b.method(
        "roll(a: Tensor, shift: integer or list, axis: integer or list = ()) -> Tensor",
        "Moved along axes, or in row-major order; what falls off comes in at the other end.",
        "assert_eq(mx::roll(tensor([1, 2, 3]), 1), [3, 1, 2]);",
        |c| {
            let (shift, axes) = (c.ints(1)?, c.axes(2)?);
            let shift = match &axes {
                Some(axes) if shift.len() == 1 => vec![shift[0]; axes.len()],
                _ => shift,
            };
            raw::roll(&c.tensor(0)?, &shift, axes.as_deref())
        },
    );
}

fn axes(b: &mut Binder) {
    b.view(
        "expand_dims(a: Tensor, axis: integer or list) -> Tensor",
        "With new axes of size 1.",
        "assert_eq(mx::expand_dims(tensor([1, 2]), 0), [[1, 2]]);",
        |c| Ok(ops::expand_dims_axes(c.tensor(0)?, &c.ints(1)?)?),
    );
    b.view(
        "squeeze(a: Tensor, axis: integer or list = ()) -> Tensor",
        "Without the given axes of size 1, or without all of them.",
        "assert_eq(mx::squeeze(tensor([[1, 2]])), [1, 2]);",
        |c| {
            let a = c.tensor(0)?;
            Ok(match c.axes(1)? {
                Some(axes) => a.squeeze_axes(&axes)?,
                None => a.squeeze()?,
            })
        },
    );
}

fn joining(b: &mut Binder) {
    for name in ["concatenate", "concat"] {
        b.function(
            &format!("{name}(arrays: list, axis: integer = 0) -> Tensor"),
            "Tensors one after the other along an axis; with axis `()` flattened first.",
            &format!("assert_eq(mx::{name}([tensor([1, 2]), tensor([3])]), [1, 2, 3]);"),
            |c| {
                let list = c.tensors(0)?;
                if list.is_empty() {
                    return Err(c.wrong(0, "at least one tensor"));
                }
                Ok(match c.optional_int(1)? {
                    Some(axis) => ops::concatenate(&list, axis)?,
                    None => ops::concatenate_flat(&list)?,
                })
            },
        );
    }
    b.function(
        "stack(arrays: list, axis: integer = 0) -> Tensor",
        "Tensors of one shape along a new axis.",
        "assert_eq(mx::stack([tensor([1, 2]), tensor([3, 4])], 1), [[1, 3], [2, 4]]);",
        |c| {
            let list = c.tensors(0)?;
            if list.is_empty() {
                return Err(c.wrong(0, "at least one tensor"));
            }
            Ok(ops::stack(&list, c.int(1)?)?)
        },
    );
    b.method(
        "split(a: Tensor, indices_or_sections: integer or list, axis: integer = 0) -> list",
        "So many equal parts of an axis, or the parts between positions.",
        "assert_eq(mx::split(tensor([1, 2, 3, 4]), 2)[1], [3, 4]);
         assert_eq(tensor([1, 2, 3]).split([1])[1], [2, 3]);",
        |c| {
            let (a, axis) = (c.tensor(0)?, c.int(2)?);
            Ok(match c.get(1).is_array() {
                true => ops::split_at_indices(a, &c.ints(1)?, axis)?,
                false if c.int(1)? < 1 => return Err(c.wrong(1, "at least one part")),
                false => ops::split_equal(a, c.int(1)?, axis)?,
            })
        },
    );
    b.method(
        "unstack(a: Tensor, axis: integer = 0) -> list",
        "The slices of an axis.",
        "assert_eq(mx::unstack(tensor([[1, 2], [3, 4]]))[1], [3, 4]);",
        |c| {
            let (a, axis) = (c.tensor(0)?, c.int(1)?);
            let n = i32::try_from(a.ndim()).unwrap_or(i32::MAX);
            if !(-n..n).contains(&axis) {
                return Err(c.wrong(1, &format!("an axis of {n}")));
            }
            let count = a.dim(axis);
            if count == 0 {
                return Ok(Vec::new());
            }
            let slices = ops::split_equal(&a, count, axis)?;
            let squeezed = slices.iter().map(|slice| Ok(slice.squeeze_axes(&[axis])?));
            squeezed.collect()
        },
    );
    b.function(
        "meshgrid(arrays: list, sparse: bool = false, indexing: string = \"xy\") -> list",
        "Coordinate tensors of a grid, with `\"xy\"` or `\"ij\"` indexing.",
        "assert_eq(mx::meshgrid([tensor([1, 2]), tensor([3, 4])])[0], [[1, 2], [1, 2]]);",
        |c| raw::meshgrid(&c.tensors(0)?, c.flag(1)?, &c.choice(2, &["xy", "ij"])?),
    );
}

fn repeating(b: &mut Binder) {
    b.method(
        "repeat(a: Tensor, repeats: integer, axis: integer = ()) -> Tensor",
        "Each element, or each slice of an axis, so many times.",
        "assert_eq(mx::repeat(tensor([1, 2]), 2), [1, 1, 2, 2]);",
        |c| {
            let (a, count) = (c.tensor(0)?, c.count(1)?);
            let (a, axis) = match c.optional_int(2)? {
                Some(axis) => (a, axis),
                None => (a.reshape(&[-1])?, 0),
            };
            raw::repeat(&a, count, axis)
        },
    );
    b.method(
        "tile(a: Tensor, reps: integer or list) -> Tensor",
        "The whole, so many times along each axis.",
        "assert_eq(mx::tile(tensor([1, 2]), 2), [1, 2, 1, 2]);",
        |c| Ok(ops::tile(c.tensor(0)?, &c.shape(1)?)?),
    );
    b.method(
        "pad(a: Tensor, pad_width: integer or list, mode: string = \"constant\", constant_values: number = 0) -> Tensor",
        "With elements added around: a count, `[before, after]`, or one such pair for each axis.

         `mode` is `\"constant\"`, `\"edge\"`, `\"reflect\"` or `\"symmetric\"`.",
        "assert_eq(mx::pad(tensor([1, 2]), 1), [0, 1, 2, 0]);
         assert_eq(tensor([[1]]).pad([[0, 1], [2, 0]]), [[0, 0, 1], [0, 0, 0]]);",
        pad,
    );
}

fn pad(c: &Call) -> Result<Array> {
    let a = c.tensor(0)?;
    let wrong = || {
        c.wrong(
            1,
            "counts of at least 0: n, [before, after], or a pair for each axis",
        )
    };
    let axes: Vec<i32> = (0..a.ndim() as i32).collect();
    let pairs: Vec<Vec<i32>> = match c.get(1).read_lock::<List>() {
        Some(list) if list.iter().all(Dynamic::is_array) => {
            let pairs = list.iter().map(|pair| {
                let pair = pair.clone().try_cast::<List>().unwrap_or_default();
                crate::script::convert::axes(&pair).map_err(|_| wrong())
            });
            pairs.collect::<Result<_>>()?
        }
        _ => vec![c.ints(1)?],
    };
    let pairs: Vec<(i32, i32)> = pairs
        .iter()
        .map(|pair| match pair.as_slice() {
            [n] => Ok((*n, *n)),
            [before, after] => Ok((*before, *after)),
            _ => Err(wrong()),
        })
        .collect::<Result<_>>()?;
    let pairs = match pairs.as_slice() {
        [one] => vec![*one; axes.len()],
        _ => pairs,
    };
    if pairs.len() != axes.len() || pairs.iter().any(|(b, a)| *b < 0 || *a < 0) {
        return Err(wrong());
    }
    let (before, after): (Vec<i32>, Vec<i32>) = pairs.into_iter().unzip();
    let sizes: Vec<i32> = a
        .shape()
        .iter()
        .zip(before.iter().zip(&after))
        .map(|(size, (b, a))| size.saturating_add(*b).saturating_add(*a))
        .collect();
    check_size(&sizes)?;
    let mode = c.choice(2, &["constant", "edge", "reflect", "symmetric"])?;
    raw::pad(&a, &axes, &before, &after, &c.like(3, &a)?, &mode)
}
