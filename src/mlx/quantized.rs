//! Weights in few bits, in every format of MLX. mlx-rs knows the affine one only.

use super::raw::{Null, arrays, op};
use super::{Array, Dtype, ops::text};
use crate::error::Result;
use mlx_sys::{mlx_optional_dtype, mlx_optional_int};

/// How numbers are packed: `"affine"`, `"mxfp4"`, `"mxfp8"` or `"nvfp4"`. What is left out is the
/// format's own.
#[derive(Clone, Debug)]
pub struct Format {
    pub mode: String,
    /// Elements of the last axis that share a scale.
    pub group_size: Option<i32>,
    /// Bits of one element.
    pub bits: Option<i32>,
}

/// Packed weights with the scales of their groups, and biases where the format has them.
pub struct Packed<'a> {
    pub w: &'a Array,
    pub scales: &'a Array,
    pub biases: Option<&'a Array>,
}

fn optional(value: Option<i32>) -> mlx_optional_int {
    mlx_optional_int {
        value: value.unwrap_or(0),
        has_value: value.is_some(),
    }
}

/// `[packed, scales, biases]`, or without biases where the format has none.
///
/// # Errors
/// MLX's, for a format it does not know or a last axis that groups do not divide.
pub fn quantize(w: &Array, format: &Format) -> Result<Vec<Array>> {
    let mode = text("mode", &format.mode)?;
    let global_scale = Null::empty();
    arrays(|result, stream| unsafe {
        mlx_sys::mlx_quantize(
            result,
            w.as_ptr(),
            optional(format.group_size),
            optional(format.bits),
            mode.as_ptr(),
            global_scale.0,
            stream,
        )
    })
}

/// The weights that were packed; in `dtype`, or that of the scales.
pub fn dequantize(packed: &Packed, format: &Format, dtype: Option<Dtype>) -> Result<Array> {
    let mode = text("mode", &format.mode)?;
    let nothing = Null::empty();
    let dtype = mlx_optional_dtype {
        value: dtype.unwrap_or(Dtype::Float32).into(),
        has_value: dtype.is_some(),
    };
    op(|result, stream| unsafe {
        mlx_sys::mlx_dequantize(
            result,
            packed.w.as_ptr(),
            packed.scales.as_ptr(),
            packed.biases.map_or(nothing.0, |b| b.as_ptr()),
            optional(format.group_size),
            optional(format.bits),
            mode.as_ptr(),
            nothing.0,
            dtype,
            stream,
        )
    })
}

/// `x` times the packed weights, `[.., K]` by `[N, K]` if they are transposed, else by `[K, N]`.
pub fn matmul(x: &Array, packed: &Packed, transpose: bool, format: &Format) -> Result<Array> {
    let mode = text("mode", &format.mode)?;
    let nothing = Null::empty();
    op(|result, stream| unsafe {
        mlx_sys::mlx_quantized_matmul(
            result,
            x.as_ptr(),
            packed.w.as_ptr(),
            packed.scales.as_ptr(),
            packed.biases.map_or(nothing.0, |b| b.as_ptr()),
            transpose,
            optional(format.group_size),
            optional(format.bits),
            mode.as_ptr(),
            stream,
        )
    })
}

/// Which matrices of the two batches are multiplied.
pub struct Gather<'a> {
    pub lhs: Option<&'a Array>,
    pub rhs: Option<&'a Array>,
    /// Whether the right ones come in order, which is faster.
    pub sorted: bool,
}

/// [`matmul`] of chosen matrices, as in a mixture of experts.
pub fn gather_matmul(
    x: &Array,
    packed: &Packed,
    gather: &Gather,
    transpose: bool,
    format: &Format,
) -> Result<Array> {
    let mode = text("mode", &format.mode)?;
    let nothing = Null::empty();
    let pointer = |array: Option<&Array>| array.map_or(nothing.0, |a| a.as_ptr());
    op(|result, stream| unsafe {
        mlx_sys::mlx_gather_qmm(
            result,
            x.as_ptr(),
            packed.w.as_ptr(),
            packed.scales.as_ptr(),
            pointer(packed.biases),
            pointer(gather.lhs),
            pointer(gather.rhs),
            transpose,
            optional(format.group_size),
            optional(format.bits),
            mode.as_ptr(),
            gather.sorted,
            stream,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_weights_multiply_as_unpacked_ones() {
        let w = Array::from_iter((0..64 * 3).map(|i| (i % 7) as f32 - 3.0), &[3, 64]);
        let x = Array::from_iter((0..64).map(|i| (i % 5) as f32), &[1, 64]);
        for (mode, parts) in [("affine", 3), ("mxfp4", 2), ("mxfp8", 2), ("nvfp4", 2)] {
            let format = Format {
                mode: mode.into(),
                group_size: None,
                bits: None,
            };
            let q = quantize(&w, &format).unwrap();
            assert_eq!(q.len(), parts, "{mode}");
            let packed = Packed {
                w: &q[0],
                scales: &q[1],
                biases: q.get(2),
            };
            let whole = dequantize(&packed, &format, Some(Dtype::Float32)).unwrap();
            let direct = x.matmul(whole.transpose().unwrap()).unwrap();
            let product = matmul(&x, &packed, true, &format).unwrap();
            let off = direct.subtract(&product).unwrap().abs().unwrap();
            let off = crate::tensor::to_f32(&off).unwrap();
            assert!(off.iter().all(|off| *off < 1e-3), "{mode}: {off:?}");
        }
    }
}
