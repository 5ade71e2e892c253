//! Sorting, and elements by their positions.

use crate::error::Result;
use crate::mlx::Array;
use crate::script::bind::{Binder, Call};
use crate::tensor::index::{get_at, set_at};
use mlx_rs::ops::{self, indexing};

/// Puts the functions into `mx`.
pub fn register(b: &mut Binder) {
    sorting(b);
    partitions(b);
    taking(b);
    slices(b);
}

/// The array and the axis of arguments 0 and `i`: without an axis the array is flattened.
fn along(c: &Call, i: usize) -> Result<(Array, i32)> {
    let a = c.tensor(0)?;
    Ok(match c.optional_int(i)? {
        Some(axis) => (a, axis),
        None => (a.reshape(&[-1])?, 0),
    })
}

fn sorting(b: &mut Binder) {
    b.method(
        "sort(a: Tensor, axis: integer = -1) -> Tensor",
        "In rising order along an axis.",
        "assert_eq(mx::sort(tensor([3, 1, 2])), [1, 2, 3]);",
        |c| {
            let (a, axis) = along(c, 1)?;
            Ok(ops::sort_axis(a, axis)?)
        },
    );
    b.method(
        "argsort(a: Tensor, axis: integer = -1) -> Tensor",
        "The positions that sort an axis.",
        "assert_eq(mx::argsort(tensor([3, 1, 2])), [1, 2, 0]);",
        |c| {
            let (a, axis) = along(c, 1)?;
            Ok(ops::argsort_axis(a, axis)?)
        },
    );
    b.method(
        "searchsorted(sorted: Tensor, values: Tensor, side: string = \"left\") -> Tensor",
        "Where values would be inserted into a sorted vector to keep it sorted.",
        "assert_eq(mx::searchsorted(tensor([1, 3, 5]), tensor([3, 4])), [1, 2]);",
        |c| {
            let side = match c.choice(2, &["left", "right"])?.as_str() {
                "left" => ops::SearchSide::Left,
                _ => ops::SearchSide::Right,
            };
            let (sorted, values) = c.pair(0, 1)?;
            Ok(sorted.search_sorted(values, side)?)
        },
    );
}

/// The place of `kth` in an axis; MLX does not check it.
fn kth(c: &Call, a: &Array, axis: i32) -> Result<i32> {
    let (k, size) = (c.int(1)?, size(c, 2, a, axis)?);
    match (-size..size).contains(&k) {
        true => Ok(k),
        false => Err(c.wrong(1, &format!("a position in an axis of {size}"))),
    }
}

fn size(c: &Call, i: usize, a: &Array, axis: i32) -> Result<i32> {
    let n = a.ndim() as i32;
    match (-n..n).contains(&axis) {
        true => Ok(a.dim(axis)),
        false => Err(c.wrong(i, &format!("an axis of a tensor with {n}"))),
    }
}

fn partitions(b: &mut Binder) {
    b.method(
        "partition(a: Tensor, kth: integer, axis: integer = -1) -> Tensor",
        "With the element that sorting would put at `kth` there, the smaller ones before it.",
        "assert_eq(mx::partition(tensor([3, 1, 2]), 1)[1].item(), 2);",
        |c| {
            let (a, axis) = along(c, 2)?;
            Ok(ops::partition_axis(&a, kth(c, &a, axis)?, axis)?)
        },
    );
    b.method(
        "argpartition(a: Tensor, kth: integer, axis: integer = -1) -> Tensor",
        "The positions that partition an axis; see `partition`.",
        "assert_eq(mx::argpartition(tensor([3, 1, 2]), 1)[1].item(), 2);",
        |c| {
            let (a, axis) = along(c, 2)?;
            Ok(ops::argpartition_axis(&a, kth(c, &a, axis)?, axis)?)
        },
    );
    b.method(
        "topk(a: Tensor, k: integer, axis: integer = -1) -> Tensor",
        "The `k` largest elements of an axis, in no order.",
        "assert_eq(mx::topk(tensor([3, 1, 2]), 2).sort(), [2, 3]);",
        |c| {
            let (a, axis) = along(c, 2)?;
            let size = size(c, 2, &a, axis)?;
            match c.count(1)? {
                k if (1..=size).contains(&k) => Ok(indexing::topk_axis(a, k, axis)?),
                _ => Err(c.wrong(1, &format!("1 to {size}"))),
            }
        },
    );
}

fn taking(b: &mut Binder) {
    b.method(
        "take(a: Tensor, indices: Tensor or integer, axis: integer = ()) -> Tensor",
        "The elements at positions of an axis, or of all in row-major order.",
        "assert_eq(mx::take(tensor([10, 20, 30]), tensor([2, 0])), [30, 10]);",
        |c| {
            let (a, axis) = along(c, 2)?;
            let size = size(c, 2, &a, axis)?;
            let indices = c.positions(1)?;
            let indices = indices.within(size, axis)?;
            Ok(a.take_axis(indices, axis)?)
        },
    );
    b.method(
        "take_along_axis(a: Tensor, indices: Tensor, axis: integer = ()) -> Tensor",
        "For each place of `indices`, the element at that position of the axis.",
        "assert_eq(mx::take_along_axis(tensor([[1, 2], [3, 4]]), tensor([[1], [0]]), 1), [[2], [3]]);",
        |c| {
            let (a, axis) = along(c, 2)?;
            let size = size(c, 2, &a, axis)?;
            let indices = c.positions(1)?;
            let indices = indices.within(size, axis)?;
            Ok(indexing::take_along_axis(&a, indices, axis)?)
        },
    );
    b.method(
        "put_along_axis(a: Tensor, indices: Tensor, values: Tensor or number, axis: integer = ()) -> Tensor",
        "With the elements at positions of an axis replaced; see `take_along_axis`.",
        "assert_eq(mx::put_along_axis(tensor([[1, 2]]), tensor([[1]]), 9, 1), [[1, 9]]);",
        |c| {
            let whole = c.tensor(0)?;
            let (a, axis) = along(c, 3)?;
            let size = size(c, 3, &a, axis)?;
            let indices = c.positions(1)?;
            let indices = indices.within(size, axis)?;
            let values = c.like(2, &a)?.as_dtype(a.dtype())?;
            let values = ops::broadcast_to(values, indices.shape())?;
            let changed = indexing::put_along_axis(&a, indices, values, axis)?;
            Ok(changed.reshape(whole.shape())?)
        },
    );
    scatters(b);
}

/// A scatter with one index per slice: array, indices, updates, axis.
type Scatter = fn(&Array, &Array, &Array, i32) -> mlx_rs::error::Result<Array>;

fn scatters(b: &mut Binder) {
    let table: [(&str, &str, &str, Scatter); 4] = [
        ("add", "added to", "[11, 2, 53]", |a, i, u, x| {
            indexing::scatter_add_single(a, i, u, x)
        }),
        (
            "multiply",
            "multiplied with",
            "[10, 2, 1800]",
            |a, i, u, x| indexing::scatter_prod_single(a, i, u, x),
        ),
        (
            "maximum",
            "compared with, and the larger kept,",
            "[10, 2, 30]",
            |a, i, u, x| indexing::scatter_max_single(a, i, u, x),
        ),
        (
            "minimum",
            "compared with, and the smaller kept,",
            "[1, 2, 3]",
            |a, i, u, x| indexing::scatter_min_single(a, i, u, x),
        ),
    ];
    for (name, doc, values, f) in table {
        b.method(
            &format!("scatter_{name}(a: Tensor, indices: Tensor, updates: Tensor or number, axis: integer = 0) -> Tensor"),
            &format!("`updates` {doc} the slices of `a` at positions of an axis; a position may come twice (`a.at[i].{name}(u)` in Python)."),
            &format!("assert_eq(mx::scatter_{name}(tensor([1, 2, 3]), tensor([0, 2, 2]), tensor([10, 20, 30])), {values});"),
            move |c| {
                let (a, axis) = along(c, 3)?;
                scatter(c, f, &a, axis)
            },
        );
    }
}

fn scatter(c: &Call, f: Scatter, a: &Array, axis: i32) -> Result<Array> {
    let size = size(c, 3, a, axis)?;
    let axis = if axis < 0 {
        axis + a.ndim() as i32
    } else {
        axis
    };
    let indices = c.positions(1)?;
    let indices = indices.within(size, axis)?;
    // MLX wants the shape of the indices, then the shape of the slices with the axis at size 1.
    let mut slices = a.shape().to_vec();
    slices[axis as usize] = 1;
    let flat = indices.reshape(&[-1])?;
    let count = flat.dim(0);
    let mut plain = a.shape().to_vec();
    plain[axis as usize] = count;
    let updates = c.like(2, a)?.as_dtype(a.dtype())?;
    let updates = ops::broadcast_to(updates, &plain)?;
    let moved = ops::move_axis(&updates, axis, 0)?;
    let full: Vec<i32> = [&[count], slices.as_slice()].concat();
    Ok(f(a, &flat, &moved.reshape(&full)?, axis)?)
}

fn slices(b: &mut Binder) {
    b.method(
        "slice(a: Tensor, start_indices: Tensor or list, axes: integer or list, slice_size: list) -> Tensor",
        "The part of a size that starts at positions of axes; positions may be computed.",
        "assert_eq(mx::slice(tensor([1, 2, 3, 4]), [1], [0], [2]), [2, 3]);",
        |c| get_at(&c.tensor(0)?, &c.tensor(1)?, &c.ints(2)?, &c.shape(3)?),
    );
    b.method(
        "slice_update(a: Tensor, update: Tensor, start_indices: Tensor or list, axes: integer or list) -> Tensor",
        "With the part that starts at positions of axes replaced.",
        "assert_eq(mx::slice_update(tensor([1, 2, 3]), tensor([9]), [1], [0]), [1, 9, 3]);",
        |c| {
            let a = c.tensor(0)?;
            set_at(&a, &c.like(1, &a)?, &c.tensor(2)?, &c.ints(3)?)
        },
    );
}
