//! New tensors.

use crate::error::Result;
use crate::mlx::{Array, Dtype, ops as raw};
use crate::script::bind::{Binder, Call};
use crate::script::convert;
use crate::script::lists::from_value_as;
use crate::tensor::mask::{MaskOptions, causal_mask};
use crate::tensor::{Side, pad_sequences};
use mlx_rs::ops::{self, windows};
use rhai::Array as List;

/// Puts the functions into `mx`.
pub fn register(b: &mut Binder) {
    filled(b);
    alike(b);
    ranges(b);
    matrices(b);
    windows(b);
    masks(b);
}

fn filled(b: &mut Binder) {
    b.function(
        "array(value: number or list, dtype: string = ()) -> Tensor",
        "A tensor from a number, a list, or lists of lists; the same as `tensor`.",
        "assert_eq(mx::array([1, 2], \"float32\").dtype, \"float32\");",
        |c| match c.optional_dtype(1)? {
            Some(dtype) => from_value_as(c.get(0), dtype),
            None => c.tensor(0),
        },
    );
    for (name, value) in [("zeros", 0), ("ones", 1)] {
        b.function(
            &format!("{name}(shape: integer or list, dtype: string = \"float32\") -> Tensor"),
            &format!("A tensor of {name}."),
            &format!("assert_eq(mx::{name}([2]), [{value}, {value}]);"),
            move |c| {
                let value = Array::from_int(value);
                raw::full(&c.shape(0)?, &value, c.dtype(1)?)
            },
        );
    }
    b.function(
        "full(shape: integer or list, vals: number or Tensor, dtype: string = ()) -> Tensor",
        "A value everywhere in a shape; `vals` is broadcast.",
        "assert_eq(mx::full([2, 2], 7), [[7, 7], [7, 7]]);",
        |c| {
            let value = c.tensor(1)?;
            let dtype = c.optional_dtype(2)?.unwrap_or(value.dtype());
            raw::full(&c.shape(0)?, &value, dtype)
        },
    );
}

fn alike(b: &mut Binder) {
    for (name, value) in [("zeros_like", 0), ("ones_like", 1)] {
        b.method(
            &format!("{name}(a: Tensor, dtype: string = ()) -> Tensor"),
            "A tensor of the shape and, unless another is given, the dtype of `a`.",
            &format!("assert_eq(mx::{name}(tensor([5, 6])), [{value}, {value}]);"),
            move |c| {
                let a = c.tensor(0)?;
                let dtype = c.optional_dtype(1)?.unwrap_or(a.dtype());
                raw::full(a.shape(), &Array::from_int(value), dtype)
            },
        );
    }
    b.method(
        "full_like(a: Tensor, vals: number or Tensor, dtype: string = ()) -> Tensor",
        "A value everywhere in the shape of `a`, of its dtype unless another is given.",
        "assert_eq(mx::full_like(tensor([5, 6]), 7), [7, 7]);",
        |c| {
            let a = c.tensor(0)?;
            let dtype = c.optional_dtype(2)?.unwrap_or(a.dtype());
            raw::full(a.shape(), &c.tensor(1)?, dtype)
        },
    );
}

fn ranges(b: &mut Binder) {
    b.function(
        "arange(start: number, stop: number = (), step: number = (), dtype: string = ()) -> Tensor",
        "Numbers from `start` up to, not including, `stop`; with one argument from 0 up to it.

         Whole arguments give `int32`, others `float32`.",
        "assert_eq(mx::arange(3), [0, 1, 2]);
         assert_eq(mx::arange(1, 2, 0.5), [1.0, 1.5]);",
        arange,
    );
    b.function(
        "linspace(start: number, stop: number, num: integer = 50, endpoint: bool = true, dtype: string = \"float32\") -> Tensor",
        "`num` numbers at equal distances from `start` to `stop`.",
        "assert_eq(mx::linspace(0, 1, 3), [0.0, 0.5, 1.0]);",
        |c| {
            let num = c.count(2)?;
            crate::tensor::check_size(&[num])?;
            raw::linspace(c.float(0)?, c.float(1)?, num, c.flag(3)?, c.dtype(4)?)
        },
    );
}

fn arange(c: &Call) -> Result<Array> {
    let given = (0..3).filter(|i| c.has(*i));
    let whole = given.clone().all(|i| c.get(i).is_int());
    let (start, stop) = match c.has(1) {
        true => (c.float(0)?, c.float(1)?),
        false => (0.0, c.float(0)?),
    };
    let step = c.optional_float(2)?.unwrap_or(1.0);
    if step == 0.0 || !(start.is_finite() && stop.is_finite() && step.is_finite()) {
        return Err(c.wrong(
            if c.has(2) { 2 } else { 0 },
            "finite numbers, and a step that is not 0",
        ));
    }
    let count = ((stop - start) / step).ceil().max(0.0);
    crate::tensor::check_size(&[if count < f64::from(i32::MAX) {
        count as i32
    } else {
        i32::MAX
    }])?;
    if count >= f64::from(i32::MAX) {
        return Err(c.wrong(0, "fewer than 2^31 numbers"));
    }
    let plain = if whole { Dtype::Int32 } else { Dtype::Float32 };
    raw::arange(start, stop, step, c.optional_dtype(3)?.unwrap_or(plain))
}

fn matrices(b: &mut Binder) {
    b.function(
        "eye(n: integer, m: integer = (), k: integer = 0, dtype: string = \"float32\") -> Tensor",
        "`[n, m]` with ones on diagonal `k`, zeros elsewhere.",
        "assert_eq(mx::eye(2), [[1, 0], [0, 1]]);",
        |c| {
            let n = c.count(0)?;
            let m = if c.has(1) { c.count(1)? } else { n };
            crate::tensor::check_size(&[n, m])?;
            raw::eye(n, m, c.int(2)?, c.dtype(3)?)
        },
    );
    b.function(
        "identity(n: integer, dtype: string = \"float32\") -> Tensor",
        "The identity matrix `[n, n]`.",
        "assert_eq(mx::identity(2), mx::eye(2));",
        |c| {
            let n = c.count(0)?;
            crate::tensor::check_size(&[n, n])?;
            raw::eye(n, n, 0, c.dtype(1)?)
        },
    );
    b.function(
        "tri(n: integer, m: integer = (), k: integer = 0, dtype: string = \"float32\") -> Tensor",
        "`[n, m]` with ones on and below diagonal `k`, zeros elsewhere.",
        "assert_eq(mx::tri(2), [[1, 0], [1, 1]]);",
        |c| {
            let n = c.count(0)?;
            let m = if c.has(1) { c.count(1)? } else { n };
            crate::tensor::check_size(&[n, m])?;
            raw::tri(n, m, c.int(2)?, c.dtype(3)?)
        },
    );
    b.method(
        "tril(a: Tensor, k: integer = 0) -> Tensor",
        "With zeros above diagonal `k`.",
        "assert_eq(mx::tril(mx::ones([2, 2])), [[1, 0], [1, 1]]);",
        |c| Ok(ops::tril(c.tensor(0)?, c.int(1)?)?),
    );
    b.method(
        "triu(a: Tensor, k: integer = 0) -> Tensor",
        "With zeros below diagonal `k`.",
        "assert_eq(mx::triu(mx::ones([2, 2])), [[1, 1], [0, 1]]);",
        |c| Ok(ops::triu(c.tensor(0)?, c.int(1)?)?),
    );
    b.method(
        "diag(a: Tensor, k: integer = 0) -> Tensor",
        "Diagonal `k` of a matrix, or the matrix with a vector on its diagonal `k`.",
        "assert_eq(mx::diag(tensor([1, 2])), [[1, 0], [0, 2]]);",
        |c| Ok(ops::diag(c.tensor(0)?, c.int(1)?)?),
    );
    b.method(
        "diagonal(a: Tensor, offset: integer = 0, axis1: integer = 0, axis2: integer = 1) -> Tensor",
        "A diagonal of two axes, as the last axis.",
        "assert_eq(mx::diagonal(tensor([[1, 2], [3, 4]])), [1, 4]);",
        |c| Ok(ops::diagonal(c.tensor(0)?, c.int(1)?, c.int(2)?, c.int(3)?)?),
    );
    b.method(
        "trace(a: Tensor, offset: integer = 0, axis1: integer = 0, axis2: integer = 1, dtype: string = ()) -> Tensor",
        "The sum along a diagonal of two axes.",
        "assert_eq(mx::trace(tensor([[1, 2], [3, 4]])), 5);",
        |c| {
            let a = c.tensor(0)?;
            let dtype = c.optional_dtype(4)?.unwrap_or(a.dtype());
            raw::trace(&a, c.int(1)?, c.int(2)?, c.int(3)?, dtype)
        },
    );
}

fn windows(b: &mut Binder) {
    type Window = fn(usize) -> mlx_rs::error::Result<Array>;
    let table: [(&str, Window, &str); 4] = [
        ("hanning", windows::hann, "[0, 1, 0]"),
        ("hamming", windows::hamming, "[0.08, 1, 0.08]"),
        ("blackman", windows::blackman, "[0, 1, 0]"),
        ("bartlett", windows::bartlett, "[0, 1, 0]"),
    ];
    for (name, f, values) in table {
        b.function(
            &format!("{name}(m: integer) -> Tensor"),
            "The window of this name, of `m` points.",
            &format!("assert_close(mx::{name}(3), {values}, 1e-6);"),
            move |c| {
                let m = c.count(0)?;
                crate::tensor::check_size(&[m])?;
                Ok(f(m as usize)?)
            },
        );
    }
}

fn masks(b: &mut Binder) {
    b.function(
        "causal_mask(n: integer, offset: integer = 0, window: integer = (), left_padding: list = (), right_padding: list = ()) -> Tensor",
        "A bool mask `[n, offset + n]`, true = may attend.

         With a list of paddings, one for each row of a batch: `[B, 1, n, offset + n]`.",
        "assert_eq(mx::causal_mask(2), [[true, false], [true, true]]);",
        |c| {
            let n = c.count(0)?;
            let options = MaskOptions {
                offset: c.count(1)?,
                window: c.optional_int(2)?,
                left_padding: c.axes(3)?,
                right_padding: c.axes(4)?,
            };
            crate::tensor::check_size(&[n, n.saturating_add(options.offset)])?;
            causal_mask(n, &options)
        },
    );
    b.function(
        "pad_sequences(rows: list, pad: integer = 0, side: string = \"right\") -> Tensor",
        "Lists of token ids, filled up to the longest with `pad`: `int32` `[B, longest]`.

         `side` is where the filling goes, `\"left\"` or `\"right\"`.",
        "assert_eq(mx::pad_sequences([[1, 2], [3]], 9, \"left\"), [[1, 2], [9, 3]]);",
        |c| {
            let rows = id_rows(c)?;
            let rows: Vec<&[i32]> = rows.iter().map(Vec::as_slice).collect();
            Ok(pad_sequences(
                &rows,
                c.int(1)?,
                side(&c.choice(2, &["left", "right"])?),
            ))
        },
    );
    b.function(
        "attention_mask(rows: list, side: string = \"right\") -> Tensor",
        "Where `pad_sequences` has tokens and no filling: bool `[B, longest]`, true = a token.",
        "assert_eq(mx::attention_mask([[1, 2], [3]], \"left\"), [[true, true], [false, true]]);",
        |c| {
            let rows = id_rows(c)?;
            let real: Vec<Vec<i32>> = rows.iter().map(|row| vec![1; row.len()]).collect();
            let real: Vec<&[i32]> = real.iter().map(Vec::as_slice).collect();
            let mask = pad_sequences(&real, 0, side(&c.choice(1, &["left", "right"])?));
            Ok(mask.as_dtype(Dtype::Bool)?)
        },
    );
}

/// The first argument: a list of lists of ids.
fn id_rows(c: &Call) -> Result<Vec<Vec<i32>>> {
    let expected = "a list of lists of token ids";
    let rows = c.get(0).read_lock::<List>();
    let rows = rows.ok_or_else(|| c.wrong(0, expected))?;
    rows.iter().map(convert::ids).collect()
}

fn side(name: &str) -> Side {
    match name {
        "left" => Side::Left,
        _ => Side::Right,
    }
}
