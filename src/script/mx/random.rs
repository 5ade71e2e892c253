//! `mx::random`: random tensors. The same key, or the same `mx::seed`, gives the same numbers.

use crate::error::Result;
use crate::mlx::draw::{self, Draws};
use crate::mlx::{self, Array, Dtype};
use crate::script::bind::{Binder, Call};
use rhai::Array as List;

/// The functions of the module.
pub fn bindings() -> Binder {
    let mut b = Binder::new();
    keys(&mut b);
    continuous(&mut b);
    more_continuous(&mut b);
    discrete(&mut b);
    b
}

/// How every random function is told where its numbers come from.
const KEY: &str = "key: Tensor = (), seed: integer = ()";

/// The key in argument `i`, or made of the seed in the next.
fn key(c: &Call, i: usize) -> Result<Option<Array>> {
    match c.has(i) {
        true => c.key(i),
        false => c.key(i + 1),
    }
}

fn keys(b: &mut Binder) {
    b.function(
        "key(seed: integer) -> Tensor",
        "A random key.",
        "assert_eq(mx::random::key(0).shape, [2]);",
        |c| mlx::random::key(seed(c)?),
    );
    b.function(
        "split(key: Tensor, num: integer = 2) -> Tensor",
        "Independent keys from one, `[num, 2]`.",
        "assert_eq(mx::random::split(mx::random::key(0), 3).shape, [3, 2]);",
        |c| {
            let Some(key) = c.key(0)? else {
                return Err(c.wrong(0, "a key of mx::random::key(seed)"));
            };
            draw::split(&key, c.count(1)?)
        },
    );
    b.function(
        "seed(n: integer)",
        "Seeds everything random that is not given a seed or a key of its own.",
        "mx::random::seed(1);
         let first = mx::random::normal([2]);
         mx::random::seed(1);
         assert_eq(mx::random::normal([2]), first);",
        |c| mlx::random::seed(seed(c)?),
    );
}

/// The seed in argument 0.
pub fn seed(c: &Call) -> Result<u64> {
    let whole = c.get(0).as_int();
    whole
        .map(|n| n as u64)
        .map_err(|_| c.wrong(0, "a whole number"))
}

fn continuous(b: &mut Binder) {
    b.function(
        &format!("normal(shape: list = [], dtype: string = \"float32\", loc: number or Tensor = (), scale: number or Tensor = (), {KEY}, mean: number = (), std: number = ()) -> Tensor"),
        "Normal numbers with mean `loc` (or `mean`, 0) and deviation `scale` (or `std`, 1).",
        "assert_eq(mx::random::normal([2, 3]).shape, [2, 3]);
         assert_eq(mx::random::normal([3], #{ seed: 1 }), mx::random::normal([3], #{ seed: 1 }));",
        |c| {
            let either = |i: usize, j: usize| match c.has(i) {
                true => c.optional_tensor(i),
                false => c.optional_tensor(j),
            };
            let (mean, std) = (either(2, 6)?, either(3, 7)?);
            draw::normal(&c.shape(0)?, c.dtype(1)?, mean.as_ref(), std.as_ref(), key(c, 4)?.as_ref())
        },
    );
    b.function(
        &format!("uniform(low: number or Tensor = 0, high: number or Tensor = 1, shape: list = [], dtype: string = \"float32\", {KEY}) -> Tensor"),
        "Numbers in `[low, high)`.",
        "assert_eq(mx::random::uniform(0, 1, [2]).shape, [2]);",
        |c| uniform(c, [0, 1], &c.shape(2)?),
    );
    b.function_of_list(
        &format!("uniform(shape: list, low: number or Tensor = 0, high: number or Tensor = 1, dtype: string = \"float32\", {KEY}) -> Tensor"),
        "Numbers in `[low, high)`, with the shape first.",
        "assert_eq(mx::random::uniform([2], #{ low: -1, seed: 3 }).shape, [2]);",
        |c| uniform(c, [1, 2], &c.shape(0)?),
    );
    b.function(
        &format!("truncated_normal(lower: number or Tensor, upper: number or Tensor, shape: list = (), dtype: string = \"float32\", {KEY}) -> Tensor"),
        "Normal numbers of mean 0 and deviation 1, none outside `[lower, upper]`.",
        "assert_eq(mx::all(mx::random::truncated_normal(-1, 1, [50]).abs() <= 1), true);",
        |c| {
            let (low, high) = (c.tensor(0)?, c.tensor(1)?);
            let shape = shape_or(c, 2, &[&low, &high])?;
            draw::truncated_normal(&low, &high, &shape, c.dtype(3)?, key(c, 4)?.as_ref())
        },
    );
}

fn uniform(c: &Call, [low, high]: [usize; 2], shape: &[i32]) -> Result<Array> {
    draw::uniform(
        &c.tensor(low)?,
        &c.tensor(high)?,
        shape,
        c.dtype(3)?,
        key(c, 4)?.as_ref(),
    )
}

/// The shape in argument `i`, or the one to which arrays are broadcast.
fn shape_or(c: &Call, i: usize, arrays: &[&Array]) -> Result<Vec<i32>> {
    match c.has(i) {
        true => c.shape(i),
        false => {
            let joined = mlx_rs::ops::broadcast_arrays(arrays)?;
            Ok(joined
                .first()
                .map(|a| a.shape().to_vec())
                .unwrap_or_default())
        }
    }
}

fn more_continuous(b: &mut Binder) {
    b.function(
        &format!("gumbel(shape: list = [], dtype: string = \"float32\", {KEY}) -> Tensor"),
        "Numbers of the standard Gumbel distribution.",
        "assert_eq(mx::random::gumbel([2]).shape, [2]);",
        |c| draw::gumbel(&c.shape(0)?, c.dtype(1)?, key(c, 2)?.as_ref()),
    );
    b.function(
        &format!("laplace(shape: list = [], dtype: string = \"float32\", loc: number = 0.0, scale: number = 1.0, {KEY}) -> Tensor"),
        "Numbers of the Laplace distribution.",
        "assert_eq(mx::random::laplace([2]).shape, [2]);",
        |c| {
            let (loc, scale) = (c.float(2)? as f32, c.float(3)? as f32);
            draw::laplace(&c.shape(0)?, c.dtype(1)?, loc, scale, key(c, 4)?.as_ref())
        },
    );
    b.function(
        &format!("multivariate_normal(mean: Tensor, cov: Tensor, shape: list = [], dtype: string = \"float32\", {KEY}) -> Tensor"),
        "Normal vectors with a mean `[n]` and a covariance `[n, n]`; the result is `shape + [n]`.",
        "assert_eq(mx::random::multivariate_normal(mx::zeros([2]), mx::eye(2), [3]).shape, [3, 2]);",
        |c| {
            let (mean, cov) = (c.tensor(0)?, c.tensor(1)?);
            let key = key(c, 4)?;
            draw::multivariate_normal(&mean, &cov, &c.shape(2)?, c.dtype(3)?, key.as_ref())
        },
    );
}

fn discrete(b: &mut Binder) {
    b.function(
        &format!("bernoulli(p: number or Tensor = 0.5, shape: list = (), {KEY}) -> Tensor"),
        "True with probability `p`.",
        "assert_eq(mx::random::bernoulli(1.0, [2]), [true, true]);",
        |c| {
            let p = c.tensor(0)?;
            let shape = shape_or(c, 1, &[&p])?;
            draw::bernoulli(&p, &shape, key(c, 2)?.as_ref())
        },
    );
    b.function(
        &format!("randint(low: integer or Tensor, high: integer or Tensor, shape: list = [], dtype: string = \"int32\", {KEY}) -> Tensor"),
        "Whole numbers from `low` up to, not including, `high`.",
        "assert_eq(mx::random::randint(3, 4, [2]), [3, 3]);",
        |c| {
            let (low, high) = (c.tensor(0)?, c.tensor(1)?);
            let dtype = c.dtype(3)?;
            if dtype.is_inexact() || dtype == Dtype::Bool {
                return Err(c.wrong(3, "an integer type"));
            }
            draw::randint(&low, &high, &c.shape(2)?, dtype, key(c, 4)?.as_ref())
        },
    );
    b.function(
        &format!("categorical(logits: Tensor, axis: integer = -1, shape: list = (), num_samples: integer = (), {KEY}) -> Tensor"),
        "Classes drawn by their logits along an axis: one for each row, `num_samples`, or a `shape`.",
        "assert_eq(mx::random::categorical(tensor([[0.0, 99.0]])), [1]);",
        |c| {
            let (logits, shape) = (c.tensor(0)?, c.axes(2)?);
            let draws = match (&shape, c.optional_int(3)?) {
                (Some(_), Some(_)) => return Err(c.wrong(2, "a shape or num_samples, not both")),
                (Some(_), None) => Draws::Shape(&c.shape(2)?),
                (None, Some(_)) => Draws::Many(c.count(3)?),
                (None, None) => Draws::One,
            };
            draw::categorical(&logits, c.int(1)?, draws, key(c, 4)?.as_ref())
        },
    );
    b.function(
        &format!("permutation(x: integer or Tensor, axis: integer = 0, {KEY}) -> Tensor"),
        "The slices of an axis, or the numbers below `x`, in random order.",
        "assert_eq(mx::random::permutation(4).sort(), [0, 1, 2, 3]);",
        |c| {
            let key = key(c, 2)?;
            match c.get(0).is::<List>() || !c.get(0).is_int() {
                true => draw::permutation(&c.tensor(0)?, c.int(1)?, key.as_ref()),
                false => draw::permutation_of(c.count(0)?, key.as_ref()),
            }
        },
    );
}
