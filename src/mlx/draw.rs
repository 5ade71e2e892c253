//! Random arrays on the device, by MLX's keys.
//!
//! Without a key the next one of MLX's own generator is used, which [`super::random::seed`] sets:
//! the numbers are those of Python's MLX after `mx.random.seed`.

use super::raw::{Null, op, op_on};
use super::{Array, Dtype};
use crate::error::Result;
use mlx_rs::Stream;
use mlx_sys::mlx_array;

/// An argument that may be left out, as a handle.
struct Maybe<'a>(Option<&'a Array>, Null);

impl<'a> Maybe<'a> {
    fn new(array: Option<&'a Array>) -> Self {
        Self(array, Null::empty())
    }

    fn handle(&self) -> mlx_array {
        self.0.map_or(self.1.0, Array::as_ptr)
    }
}

// SAFETY of every call below: the handles and slices live as long as the call.

/// Normal numbers with means and deviations that are broadcast to the shape.
pub fn normal(
    shape: &[i32],
    dtype: Dtype,
    mean: Option<&Array>,
    deviation: Option<&Array>,
    key: Option<&Array>,
) -> Result<Array> {
    let (mean, deviation, key) = (Maybe::new(mean), Maybe::new(deviation), Maybe::new(key));
    op(|result, stream| unsafe {
        mlx_sys::mlx_random_normal_broadcast(
            result,
            shape.as_ptr(),
            shape.len(),
            dtype.into(),
            mean.handle(),
            deviation.handle(),
            key.handle(),
            stream,
        )
    })
}

/// Numbers in `[low, high)`.
pub fn uniform(
    low: &Array,
    high: &Array,
    shape: &[i32],
    dtype: Dtype,
    key: Option<&Array>,
) -> Result<Array> {
    let key = Maybe::new(key);
    op(|result, stream| unsafe {
        mlx_sys::mlx_random_uniform(
            result,
            low.as_ptr(),
            high.as_ptr(),
            shape.as_ptr(),
            shape.len(),
            dtype.into(),
            key.handle(),
            stream,
        )
    })
}

/// Whole numbers in `[low, high)`.
pub fn randint(
    low: &Array,
    high: &Array,
    shape: &[i32],
    dtype: Dtype,
    key: Option<&Array>,
) -> Result<Array> {
    let key = Maybe::new(key);
    op(|result, stream| unsafe {
        mlx_sys::mlx_random_randint(
            result,
            low.as_ptr(),
            high.as_ptr(),
            shape.as_ptr(),
            shape.len(),
            dtype.into(),
            key.handle(),
            stream,
        )
    })
}

/// Normal numbers of mean 0 and deviation 1, none outside `[lower, upper]`.
pub fn truncated_normal(
    lower: &Array,
    upper: &Array,
    shape: &[i32],
    dtype: Dtype,
    key: Option<&Array>,
) -> Result<Array> {
    let key = Maybe::new(key);
    op(|result, stream| unsafe {
        mlx_sys::mlx_random_truncated_normal(
            result,
            lower.as_ptr(),
            upper.as_ptr(),
            shape.as_ptr(),
            shape.len(),
            dtype.into(),
            key.handle(),
            stream,
        )
    })
}

/// True with a probability.
pub fn bernoulli(p: &Array, shape: &[i32], key: Option<&Array>) -> Result<Array> {
    let key = Maybe::new(key);
    op(|result, stream| unsafe {
        let (sizes, count) = (shape.as_ptr(), shape.len());
        mlx_sys::mlx_random_bernoulli(result, p.as_ptr(), sizes, count, key.handle(), stream)
    })
}

/// Numbers of the standard Gumbel distribution.
pub fn gumbel(shape: &[i32], dtype: Dtype, key: Option<&Array>) -> Result<Array> {
    let key = Maybe::new(key);
    op(|result, stream| unsafe {
        let (sizes, count) = (shape.as_ptr(), shape.len());
        mlx_sys::mlx_random_gumbel(result, sizes, count, dtype.into(), key.handle(), stream)
    })
}

/// Numbers of the Laplace distribution.
pub fn laplace(
    shape: &[i32],
    dtype: Dtype,
    place: f32,
    scale: f32,
    key: Option<&Array>,
) -> Result<Array> {
    let key = Maybe::new(key);
    op(|result, stream| unsafe {
        mlx_sys::mlx_random_laplace(
            result,
            shape.as_ptr(),
            shape.len(),
            dtype.into(),
            place,
            scale,
            key.handle(),
            stream,
        )
    })
}

/// Normal vectors with a mean and a covariance, whose factors are computed on the CPU.
pub fn multivariate_normal(
    mean: &Array,
    covariance: &Array,
    shape: &[i32],
    dtype: Dtype,
    key: Option<&Array>,
) -> Result<Array> {
    let key = Maybe::new(key);
    op_on(&Stream::cpu(), |result, stream| unsafe {
        mlx_sys::mlx_random_multivariate_normal(
            result,
            mean.as_ptr(),
            covariance.as_ptr(),
            shape.as_ptr(),
            shape.len(),
            dtype.into(),
            key.handle(),
            stream,
        )
    })
}

/// How many classes are drawn from each row of logits.
pub enum Draws<'a> {
    /// One.
    One,
    /// So many, along a new last axis.
    Many(i32),
    /// As many as fill a shape to which the rows are broadcast.
    Shape(&'a [i32]),
}

/// Classes drawn by their logits along an axis.
pub fn categorical(logits: &Array, axis: i32, draws: Draws, key: Option<&Array>) -> Result<Array> {
    let key = Maybe::new(key);
    let (a, key) = (logits.as_ptr(), key.handle());
    op(|r, s| unsafe {
        match draws {
            Draws::One => mlx_sys::mlx_random_categorical(r, a, axis, key, s),
            Draws::Many(n) => mlx_sys::mlx_random_categorical_num_samples(r, a, axis, n, key, s),
            Draws::Shape(shape) => {
                let (sizes, count) = (shape.as_ptr(), shape.len());
                mlx_sys::mlx_random_categorical_shape(r, a, axis, sizes, count, key, s)
            }
        }
    })
}

/// The slices of an axis in random order.
pub fn permutation(a: &Array, axis: i32, key: Option<&Array>) -> Result<Array> {
    let key = Maybe::new(key);
    op(|result, stream| unsafe {
        mlx_sys::mlx_random_permutation(result, a.as_ptr(), axis, key.handle(), stream)
    })
}

/// The numbers from 0 up to, not including, `n` in random order.
pub fn permutation_of(n: i32, key: Option<&Array>) -> Result<Array> {
    let key = Maybe::new(key);
    op(|result, stream| unsafe {
        mlx_sys::mlx_random_permutation_arange(result, n, key.handle(), stream)
    })
}

/// `num` keys from one.
pub fn split(key: &Array, num: i32) -> Result<Array> {
    op(
        |result, stream| unsafe {
            mlx_sys::mlx_random_split_num(result, key.as_ptr(), num, stream)
        },
    )
}
