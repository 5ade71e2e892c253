//! `nn::init`: fresh weights.

use crate::error::Result;
use crate::mlx::{Array, draw, ops as raw};
use crate::nn::init::{self as native, Shape};
use crate::script::bind::{Binder, Call};
use rhai::Module;

/// What most of them share; arguments 2 and 3, or as many later.
const LAST: &str = "dtype: string = \"float32\", key: integer or Tensor = ()";

/// The functions of the module.
pub fn bindings() -> Module {
    let mut b = Binder::new();
    plain(&mut b);
    scaled(&mut b);
    structured(&mut b);
    b.module
}

fn plain(b: &mut Binder) {
    b.function(
        "constant(shape: list, value: number, dtype: string = \"float32\") -> Tensor",
        "A value everywhere.",
        "assert_eq(nn::init::constant([2], 3), [3, 3]);",
        |c| {
            raw::full(
                &c.shape(0)?,
                &Array::from_f32(c.float(1)? as f32),
                c.dtype(2)?,
            )
        },
    );
    b.function(
        &format!("normal(shape: list, mean: number = 0.0, std: number = 1.0, {LAST}) -> Tensor"),
        "Normal numbers.",
        "assert_eq(nn::init::normal([2, 3], 0, 0.02).shape, [2, 3]);",
        |c| {
            let (mean, std) = (number(c, 1)?, number(c, 2)?);
            let key = c.key(4)?;
            draw::normal(
                &c.shape(0)?,
                c.dtype(3)?,
                Some(&mean),
                Some(&std),
                key.as_ref(),
            )
        },
    );
    b.function(
        &format!("uniform(shape: list, low: number = 0.0, high: number = 1.0, {LAST}) -> Tensor"),
        "Numbers in `[low, high)`.",
        "assert_eq(nn::init::uniform([2, 3]).shape, [2, 3]);",
        |c| {
            let (low, high) = (number(c, 1)?, number(c, 2)?);
            let key = c.key(4)?;
            draw::uniform(&low, &high, &c.shape(0)?, c.dtype(3)?, key.as_ref())
        },
    );
}

fn number(c: &Call, i: usize) -> Result<Array> {
    Ok(Array::from_f32(c.float(i)? as f32))
}

fn scaled(b: &mut Binder) {
    for (kind, word) in [(Shape::Normal, "normal"), (Shape::Uniform, "uniform")] {
        b.function(
            &format!("glorot_{word}(shape: list, gain: number = 1.0, {LAST}) -> Tensor"),
            "Numbers of variance `2 gain^2 / (inputs + outputs)` for a weight `[out, .., in]` (Glorot and Bengio 2010).",
            &format!("assert_eq(nn::init::glorot_{word}([4, 3]).shape, [4, 3]);"),
            move |c| {
                let (gain, key) = (c.float(1)?, c.key(3)?);
                native::glorot(&c.shape(0)?, kind, gain, c.dtype(2)?, key.as_ref())
            },
        );
        b.function(
            &format!("he_{word}(shape: list, mode: string = \"fan_in\", gain: number = 1.0, {LAST}) -> Tensor"),
            "Numbers of variance `gain^2 / inputs` for a weight `[out, .., in]` (He et al. 2015); by outputs with `\"fan_out\"`.",
            &format!("assert_eq(nn::init::he_{word}([4, 3]).shape, [4, 3]);"),
            move |c| {
                let by_outputs = c.choice(1, &["fan_in", "fan_out"])? == "fan_out";
                let (gain, key) = (c.float(2)?, c.key(4)?);
                let dtype = c.dtype(3)?;
                native::he(&c.shape(0)?, kind, by_outputs, gain, dtype, key.as_ref())
            },
        );
    }
}

/// The two sizes of a matrix.
fn sizes(c: &Call) -> Result<[i32; 2]> {
    let shape = c.shape(0)?;
    <[i32; 2]>::try_from(shape).map_err(|_| c.wrong(0, "two sizes"))
}

fn structured(b: &mut Binder) {
    b.function(
        "identity(shape: list, dtype: string = \"float32\") -> Tensor",
        "A square matrix with ones on its diagonal.",
        "assert_eq(nn::init::identity([2, 2]), [[1, 0], [0, 1]]);",
        |c| match sizes(c)? {
            [rows, columns] if rows == columns => native::identity(rows, c.dtype(1)?),
            _ => Err(c.wrong(0, "two equal sizes")),
        },
    );
    b.function(
        &format!("orthogonal(shape: list, gain: number = 1.0, {LAST}) -> Tensor"),
        "A matrix with orthogonal rows or columns (Saxe et al. 2013).",
        "let q = nn::init::orthogonal([3, 3]);
         assert_close(q.matmul(q.T), mx::eye(3), 1e-4);",
        |c| {
            let ([rows, columns], key) = (sizes(c)?, c.key(3)?);
            native::orthogonal(rows, columns, c.float(1)?, c.dtype(2)?, key.as_ref())
        },
    );
    b.function(
        &format!("sparse(shape: list, sparsity: number, mean: number = 0.0, std: number = 1.0, {LAST}) -> Tensor"),
        "Normal numbers, of which a share `sparsity` of each row is 0.",
        "assert_eq((nn::init::sparse([4, 10], 0.5).abs() > 0).sum(), 20);",
        |c| {
            let keys = c.key(5)?.map(|key| draw::split(&key, 2)).transpose()?;
            let part = |i: i32| -> Result<Option<Array>> {
 let take = |k: &Array| Ok(k.take_axis(Array::from_int(i), 0)?);
 keys.as_ref().map(take).transpose()
 };
            let keys = [part(0)?, part(1)?];
            let (mean, std) = (c.float(2)?, c.float(3)?);
            let each = keys.each_ref().map(Option::as_ref);
            native::sparse(sizes(c)?, c.float(1)?, mean, std, c.dtype(4)?, each)
        },
    );
}
