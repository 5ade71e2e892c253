//! Array functions that mlx-rs lacks, or offers only for element types known at compile time.
//!
//! Names and meanings are those of `mlx.core`.

use super::raw::{self, arrays, op};
use super::{Array, Dtype};
use crate::error::{Error, Result};
use mlx_sys::mlx_array;
use std::ffi::CString;

/// A function of one array in the C interface.
type Unary = unsafe extern "C" fn(*mut mlx_array, mlx_array, mlx_sys::mlx_stream) -> i32;
/// A function of two arrays in the C interface.
type Binary =
    unsafe extern "C" fn(*mut mlx_array, mlx_array, mlx_array, mlx_sys::mlx_stream) -> i32;

fn unary(f: Unary, a: &Array) -> Result<Array> {
    // SAFETY: the handles live as long as the call, here and below.
    op(|result, stream| unsafe { f(result, a.as_ptr(), stream) })
}

fn binary(f: Binary, a: &Array, b: &Array) -> Result<Array> {
    op(|result, stream| unsafe { f(result, a.as_ptr(), b.as_ptr(), stream) })
}

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident => $f:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(a: &Array) -> Result<Array> {
            unary(mlx_sys::$f, a)
        }
    )*};
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident => $f:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(a: &Array, b: &Array) -> Result<Array> {
            binary(mlx_sys::$f, a, b)
        }
    )*};
}

unary! {
    /// Complex conjugates.
    conjugate => mlx_conjugate;
    /// All bits turned over.
    bitwise_invert => mlx_bitwise_invert;
    /// Rounded towards 0.
    trunc => mlx_trunc;
}

binary! {
    bitwise_and => mlx_bitwise_and;
    bitwise_or => mlx_bitwise_or;
    /// Wrong for booleans on the CPU in MLX 0.32.2.
    xor => mlx_bitwise_xor;
    left_shift => mlx_left_shift;
    right_shift => mlx_right_shift;
}

/// Bits that differ.
pub fn bitwise_xor(a: &Array, b: &Array) -> Result<Array> {
    match (a.dtype(), b.dtype()) {
        (Dtype::Bool, Dtype::Bool) => Ok(a.ne(b)?),
        _ => xor(a, b),
    }
}

/// A value everywhere in a shape.
pub fn full(shape: &[i32], value: &Array, dtype: Dtype) -> Result<Array> {
    op(|result, stream| unsafe {
        let (sizes, count) = (shape.as_ptr(), shape.len());
        mlx_sys::mlx_full(result, sizes, count, value.as_ptr(), dtype.into(), stream)
    })
}

/// `[n, m]` with ones on diagonal `k`.
pub fn eye(n: i32, m: i32, k: i32, dtype: Dtype) -> Result<Array> {
    op(|result, stream| unsafe { mlx_sys::mlx_eye(result, n, m, k, dtype.into(), stream) })
}

/// `[n, m]` with ones on and below diagonal `k`.
pub fn tri(n: i32, m: i32, k: i32, dtype: Dtype) -> Result<Array> {
    op(|result, stream| unsafe { mlx_sys::mlx_tri(result, n, m, k, dtype.into(), stream) })
}

/// `start`, `start + step`, .. up to, not including, `stop`.
pub fn arange(start: f64, stop: f64, step: f64, dtype: Dtype) -> Result<Array> {
    op(|result, stream| unsafe {
        mlx_sys::mlx_arange(result, start, stop, step, dtype.into(), stream)
    })
}

/// `num` numbers at equal distances from `start` to `stop`.
pub fn linspace(start: f64, stop: f64, num: i32, endpoint: bool, dtype: Dtype) -> Result<Array> {
    op(|result, stream| unsafe {
        mlx_sys::mlx_linspace_endpoint(result, start, stop, num, endpoint, dtype.into(), stream)
    })
}

/// Elements moved along axes, those that fall off coming in at the other end.
pub fn roll(a: &Array, shift: &[i32], axes: Option<&[i32]>) -> Result<Array> {
    op(|result, stream| unsafe {
        let (a, by, n) = (a.as_ptr(), shift.as_ptr(), shift.len());
        match axes {
            None => mlx_sys::mlx_roll(result, a, by, n, stream),
            Some(axes) => {
                mlx_sys::mlx_roll_axes(result, a, by, n, axes.as_ptr(), axes.len(), stream)
            }
        }
    })
}

/// In reverse order along axes.
pub fn flip(a: &Array, axes: &[i32]) -> Result<Array> {
    op(|result, stream| unsafe {
        mlx_sys::mlx_flip_axes(result, a.as_ptr(), axes.as_ptr(), axes.len(), stream)
    })
}

/// Each slice of an axis so many times.
pub fn repeat(a: &Array, count: i32, axis: i32) -> Result<Array> {
    op(|result, stream| unsafe {
        mlx_sys::mlx_repeat_axis(result, a.as_ptr(), count, axis, stream)
    })
}

/// The Walsh-Hadamard transform of the last axis, scaled (by `1 / sqrt(n)` if not given).
pub fn hadamard_transform(a: &Array, scale: Option<f32>) -> Result<Array> {
    let scale = mlx_sys::mlx_optional_float {
        value: scale.unwrap_or(0.0),
        has_value: scale.is_some(),
    };
    op(|result, stream| unsafe {
        mlx_sys::mlx_hadamard_transform(result, a.as_ptr(), scale, stream)
    })
}

/// Coordinate arrays of a grid, by `"xy"` or `"ij"` indexing.
pub fn meshgrid(coordinates: &[Array], sparse: bool, indexing: &str) -> Result<Vec<Array>> {
    let indexing = text("indexing", indexing)?;
    let list = raw::List::new(coordinates);
    arrays(|result, stream| unsafe {
        mlx_sys::mlx_meshgrid(result, list.0, sparse, indexing.as_ptr(), stream)
    })
}

/// Padded along axes; `mode` is one of MLX's four.
pub fn pad(
    a: &Array,
    axes: &[i32],
    before: &[i32],
    after: &[i32],
    value: &Array,
    mode: &str,
) -> Result<Array> {
    let mode = text("mode", mode)?;
    op(|result, stream| unsafe {
        mlx_sys::mlx_pad(
            result,
            a.as_ptr(),
            axes.as_ptr(),
            axes.len(),
            before.as_ptr(),
            before.len(),
            after.as_ptr(),
            after.len(),
            value.as_ptr(),
            mode.as_ptr(),
            stream,
        )
    })
}

/// The part of size `sizes` that starts at the positions `start` of `axes`.
pub fn slice_dynamic(a: &Array, start: &Array, axes: &[i32], sizes: &[i32]) -> Result<Array> {
    op(|result, stream| unsafe {
        mlx_sys::mlx_slice_dynamic(
            result,
            a.as_ptr(),
            start.as_ptr(),
            axes.as_ptr(),
            axes.len(),
            sizes.as_ptr(),
            sizes.len(),
            stream,
        )
    })
}

/// `a` with the part that starts at the positions `start` of `axes` replaced.
pub fn slice_update_dynamic(
    a: &Array,
    update: &Array,
    start: &Array,
    axes: &[i32],
) -> Result<Array> {
    op(|result, stream| unsafe {
        mlx_sys::mlx_slice_update_dynamic(
            result,
            a.as_ptr(),
            update.as_ptr(),
            start.as_ptr(),
            axes.as_ptr(),
            axes.len(),
            stream,
        )
    })
}

/// `a` with updates added at indices of one axis; indices and updates have one shape, which is that
/// of `a` but for the axis.
pub fn scatter_add_axis(a: &Array, indices: &Array, updates: &Array, axis: i32) -> Result<Array> {
    op(|result, stream| unsafe {
        let (indices, updates) = (indices.as_ptr(), updates.as_ptr());
        mlx_sys::mlx_scatter_add_axis(result, a.as_ptr(), indices, updates, axis, stream)
    })
}

/// The sum along a diagonal of two axes.
pub fn trace(a: &Array, offset: i32, axis1: i32, axis2: i32, dtype: Dtype) -> Result<Array> {
    op(|result, stream| unsafe {
        mlx_sys::mlx_trace_axes(
            result,
            a.as_ptr(),
            offset,
            axis1,
            axis2,
            dtype.into(),
            stream,
        )
    })
}

/// `-log softmax(logits)[target]` over the last axis, without the table of log-probabilities.
pub fn fast_cross_entropy(logits: &Array, targets: &Array) -> Result<Array> {
    binary(mlx_sys::mlx_fast_cross_entropy, logits, targets)
}

/// How the kernel of a convolution goes over its input, one entry for each axis.
pub struct Convolution<'a> {
    pub stride: &'a [i32],
    /// Before and after.
    pub padding: (&'a [i32], &'a [i32]),
    pub kernel_dilation: &'a [i32],
    pub input_dilation: &'a [i32],
    pub groups: i32,
    /// Whether the kernel is turned over.
    pub flip: bool,
}

/// A convolution of `[N, .., C_in]` with `[C_out, .., C_in / groups]`.
pub fn conv_general(input: &Array, weight: &Array, how: &Convolution) -> Result<Array> {
    op(|result, stream| unsafe {
        mlx_sys::mlx_conv_general(
            result,
            input.as_ptr(),
            weight.as_ptr(),
            how.stride.as_ptr(),
            how.stride.len(),
            how.padding.0.as_ptr(),
            how.padding.0.len(),
            how.padding.1.as_ptr(),
            how.padding.1.len(),
            how.kernel_dilation.as_ptr(),
            how.kernel_dilation.len(),
            how.input_dilation.as_ptr(),
            how.input_dilation.len(),
            how.groups,
            how.flip,
            stream,
        )
    })
}

/// Text for the C interface.
pub(super) fn text(what: &str, text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::value(what, format!("{text:?}"), "text without a NUL"))
}
