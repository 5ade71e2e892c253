//! Parts of a tensor: `a[..]`, assignment to it, and the rows of a loop.

use super::bind::tensor as made;
use super::convert;
use super::error::{Answer, raise};
use super::lists::from_value;
use super::tensor::{Tensor, beside};
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype};
use crate::tensor::index::{Pick, get, set};
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, INT, NativeCallContext, Position};
use std::ops::{Range, RangeInclusive};

/// Registers the brackets and the loop.
pub fn register(engine: &mut Engine, global: &mut Module) {
    global.combine(exported_module!(indexing));
    engine.register_iterator_result::<Tensor, Tensor>();
}

/// What stands in the brackets of `a[..]`.
fn picks(value: &Dynamic) -> Result<Vec<Pick>> {
    match value.read_lock::<List>() {
        Some(list) => list.iter().map(pick).collect(),
        None => Ok(vec![pick(value)?]),
    }
}

fn pick(value: &Dynamic) -> Result<Pick> {
    if let Ok(at) = value.as_int() {
        return Ok(Pick::At(at));
    }
    if let Some(range) = value.read_lock::<Range<INT>>() {
        return Ok(Pick::Range(range.start, range.end));
    }
    if let Some(range) = value.read_lock::<RangeInclusive<INT>>() {
        return Ok(Pick::Range(*range.start(), range.end() + 1));
    }
    if let Some(tensor) = value.read_lock::<Tensor>() {
        return Ok(match tensor.0.dtype() {
            Dtype::Bool => Pick::Mask(tensor.array()),
            _ => Pick::Take(tensor.positions()?),
        });
    }
    Err(Error::value(
        "index",
        convert::found(value),
        "an integer, a range, an index tensor, or a list of those",
    ))
}

#[export_module]
mod indexing {
    /// A part by one entry for each axis: an integer, a range, an index tensor, or a tensor of
    /// booleans that is true for what is meant (it covers as many axes as it has). Several index
    /// tensors are taken together, each of their places picking one element.
    ///
    /// Negative integers count from the end. Any part may be assigned to; other names of the same
    /// tensor keep their values.
    ///
    /// ```rhai
    /// let a = tensor([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq(a[0], [1, 2, 3]);
    /// assert_eq(a[[-1, 0..2]], [4, 5]);
    /// let b = a;
    /// b[[0, 1..=2]] = 0;
    /// assert_eq(b[0], [1, 0, 0]);
    /// assert_eq(a[0], [1, 2, 3]);
    /// assert_eq(a[a > 4], [5, 6]);
    /// assert_eq(a[[tensor([0, 1]), tensor([2, 0])]], [3, 4]);
    /// ```
    #[rhai_fn(index_get, pure, return_raw)]
    pub fn pick_int(ctx: NativeCallContext, a: &mut Tensor, index: INT) -> Answer<Tensor> {
        part(&ctx, a, index.into())
    }

    #[rhai_fn(index_get, pure, return_raw)]
    pub fn pick_range(ctx: NativeCallContext, a: &mut Tensor, index: Range<INT>) -> Answer<Tensor> {
        part(&ctx, a, Dynamic::from(index))
    }

    #[rhai_fn(index_get, pure, return_raw)]
    pub fn pick_inclusive(
        ctx: NativeCallContext,
        a: &mut Tensor,
        index: RangeInclusive<INT>,
    ) -> Answer<Tensor> {
        part(&ctx, a, Dynamic::from(index))
    }

    #[rhai_fn(index_get, pure, return_raw)]
    pub fn pick_list(ctx: NativeCallContext, a: &mut Tensor, index: List) -> Answer<Tensor> {
        part(&ctx, a, index.into())
    }

    #[rhai_fn(index_get, pure, return_raw)]
    pub fn pick_tensor(ctx: NativeCallContext, a: &mut Tensor, index: Tensor) -> Answer<Tensor> {
        part(&ctx, a, Dynamic::from(index))
    }

    #[rhai_fn(index_set, return_raw)]
    pub fn put_int(
        ctx: NativeCallContext,
        a: &mut Tensor,
        index: INT,
        value: Dynamic,
    ) -> Answer<()> {
        put(&ctx, a, index.into(), value)
    }

    #[rhai_fn(index_set, return_raw)]
    pub fn put_range(
        ctx: NativeCallContext,
        a: &mut Tensor,
        index: Range<INT>,
        value: Dynamic,
    ) -> Answer<()> {
        put(&ctx, a, Dynamic::from(index), value)
    }

    #[rhai_fn(index_set, return_raw)]
    pub fn put_inclusive(
        ctx: NativeCallContext,
        a: &mut Tensor,
        index: RangeInclusive<INT>,
        value: Dynamic,
    ) -> Answer<()> {
        put(&ctx, a, Dynamic::from(index), value)
    }

    #[rhai_fn(index_set, return_raw)]
    pub fn put_list(
        ctx: NativeCallContext,
        a: &mut Tensor,
        index: List,
        value: Dynamic,
    ) -> Answer<()> {
        put(&ctx, a, index.into(), value)
    }

    #[rhai_fn(index_set, return_raw)]
    pub fn put_tensor(
        ctx: NativeCallContext,
        a: &mut Tensor,
        index: Tensor,
        value: Dynamic,
    ) -> Answer<()> {
        put(&ctx, a, Dynamic::from(index), value)
    }
}

fn part(ctx: &NativeCallContext, a: &Tensor, index: Dynamic) -> Answer<Tensor> {
    made(ctx, || get(&a.0, &picks(&index)?))
}

fn put(ctx: &NativeCallContext, a: &mut Tensor, index: Dynamic, value: Dynamic) -> Answer<()> {
    let changed = || -> Result<Array> {
        let value = match value.read_lock::<List>() {
            Some(_) => from_value(&value)?,
            None => beside(&value, &a.0)?,
        };
        set(&a.0, &picks(&index)?, &value)
    };
    *a = made(ctx, changed)?;
    Ok(())
}

/// `for row in a` goes over the first axis.
impl IntoIterator for Tensor {
    type Item = Answer<Tensor>;
    type IntoIter = Box<dyn Iterator<Item = Self::Item>>;

    fn into_iter(self) -> Self::IntoIter {
        if self.0.ndim() == 0 {
            let error = Error::shape("for", "at least one axis to go over", self.0.shape());
            return Box::new(std::iter::once(Err(raise(error, Position::NONE))));
        }
        let rows = 0..i64::from(self.0.shape()[0]);
        Box::new(rows.map(move |row| {
            let row = get(&self.0, &[Pick::At(row)]);
            row.map(Tensor::new)
                .map_err(|error| raise(error, Position::NONE))
        }))
    }
}
