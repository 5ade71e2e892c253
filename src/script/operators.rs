//! The operators of tensors. They broadcast; a number or a boolean may stand on either side.

use super::bind::tensor as made;
use super::error::{Answer, At};
use super::lists::from_value;
use super::tensor::{Tensor, beside, same};
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype, ops};
use crate::tensor::remainder;
use rhai::{Array as List, Dynamic, Engine, FLOAT, INT, NativeCallContext};

type Binary = fn(&Array, &Array) -> Result<Array>;

const ELEMENTWISE: [(&str, Binary); 15] = [
    ("+", |a, b| Ok(a.add(b)?)),
    ("-", |a, b| Ok(a.subtract(b)?)),
    ("*", |a, b| Ok(a.multiply(b)?)),
    ("/", |a, b| Ok(a.divide(b)?)),
    ("%", |a, b| remainder(a, b)),
    ("**", |a, b| Ok(a.power(b)?)),
    ("<", |a, b| Ok(a.lt(b)?)),
    ("<=", |a, b| Ok(a.le(b)?)),
    (">", |a, b| Ok(a.gt(b)?)),
    (">=", |a, b| Ok(a.ge(b)?)),
    ("&", ops::bitwise_and),
    ("|", ops::bitwise_or),
    ("^", ops::bitwise_xor),
    ("<<", ops::left_shift),
    (">>", ops::right_shift),
];

/// Registers them.
pub fn register(engine: &mut Engine) {
    for (name, f) in ELEMENTWISE {
        elementwise(engine, name, f);
    }
    engine.register_fn("-", |ctx: NativeCallContext, a: Tensor| -> Answer<Tensor> {
        made(&ctx, || Ok(a.0.negative()?))
    });
    engine.register_fn("+", |a: Tensor| a);
    engine.register_fn("!", |ctx: NativeCallContext, a: Tensor| -> Answer<Tensor> {
        made(&ctx, || inverse(&a.0))
    });
    equality(engine);
}

fn elementwise(engine: &mut Engine, name: &str, f: Binary) {
    engine.register_fn(
        name,
        move |ctx: NativeCallContext, a: Tensor, b: Tensor| -> Answer<Tensor> {
            made(&ctx, || f(&a.0, &b.0))
        },
    );
    macro_rules! with {
        ($($t:ty),*) => {$(
            engine.register_fn(
                name,
                move |ctx: NativeCallContext, a: Tensor, b: $t| -> Answer<Tensor> {
                    made(&ctx, || f(&a.0, &beside(&b.into(), &a.0)?))
                },
            );
            engine.register_fn(
                name,
                move |ctx: NativeCallContext, a: $t, b: Tensor| -> Answer<Tensor> {
                    made(&ctx, || f(&beside(&a.into(), &b.0)?, &b.0))
                },
            );
        )*};
    }
    with!(INT, FLOAT, bool);
}

/// `==` and `!=` answer with one boolean: whether shape and values are the same.
///
/// Rhai itself would say that values of two types are never equal, so a number needs its own.
fn equality(engine: &mut Engine) {
    engine.register_fn("==", |ctx: NativeCallContext, a: Tensor, b: Tensor| {
        same(&a.0, &b.0).at(&ctx)
    });
    engine.register_fn("!=", |ctx: NativeCallContext, a: Tensor, b: Tensor| {
        same(&a.0, &b.0).at(&ctx).map(|same| !same)
    });
    macro_rules! with {
        ($($t:ty),*) => {$(
            engine.register_fn("==", |ctx: NativeCallContext, a: Tensor, b: $t| {
                is(&a.0, b.into()).at(&ctx)
            });
            engine.register_fn("==", |ctx: NativeCallContext, a: $t, b: Tensor| {
                is(&b.0, a.into()).at(&ctx)
            });
            engine.register_fn("!=", |ctx: NativeCallContext, a: Tensor, b: $t| {
                is(&a.0, b.into()).at(&ctx).map(|is| !is)
            });
            engine.register_fn("!=", |ctx: NativeCallContext, a: $t, b: Tensor| {
                is(&b.0, a.into()).at(&ctx).map(|is| !is)
            });
        )*};
    }
    with!(INT, FLOAT, bool, List);
}

/// Whether a tensor has this value, or these.
fn is(a: &Array, value: Dynamic) -> Result<bool> {
    if value.is_array() {
        // A list that no tensor can be made of equals none.
        return from_value(&value).map_or(Ok(false), |list| same(a, &list));
    }
    match value.as_int() {
        // Not cast to the tensor's type, in which another number could be the same.
        Ok(whole) => same(a, &Array::from_slice(&[whole], &[])),
        Err(_) => same(a, &beside(&value, a)?),
    }
}

/// `!a` is Python's `~a`: not of booleans, all bits turned over of integers.
fn inverse(a: &Array) -> Result<Array> {
    match a.dtype() {
        Dtype::Bool => Ok(a.logical_not()?),
        dtype if dtype.is_float() || dtype == Dtype::Complex64 => Err(Error::value(
            "operand of `!`",
            crate::tensor::dtype::name(dtype),
            "a tensor of booleans or integers",
        )),
        _ => ops::bitwise_invert(a),
    }
}
