//! Weights in few bits, in every format of MLX. mlx-rs knows the affine one only.

use super::raw::{Null, arrays, op};
use super::{Array, Dtype, ops::text};
use crate::error::Result;
use mlx_sys::{mlx_optional_dtype, mlx_optional_int};

/// How numbers are packed.
#[derive(Clone, Debug, PartialEq)]
pub struct Format {
    /// `"affine"`, `"mxfp4"`, `"mxfp8"` or `"nvfp4"`.
    pub mode: String,
    /// Elements of the last axis that share a scale.
    pub group_size: i32,
    /// Bits of one element.
    pub bits: i32,
}

impl Format {
    /// A format; what is left out is the mode's own, as in MLX.
    pub fn new(mode: &str, group_size: Option<i32>, bits: Option<i32>) -> Self {
        let (own_size, own_bits) = match mode {
            "mxfp4" => (32, 4),
            "mxfp8" => (32, 8),
            "nvfp4" => (16, 4),
            // MLX refuses a mode that it does not know.
            _ => (64, 4),
        };
        Self {
            mode: mode.into(),
            group_size: group_size.unwrap_or(own_size),
            bits: bits.unwrap_or(own_bits),
        }
    }
}

/// Packed weights with the scales of their groups, and biases where the format has them.
pub struct Packed<'a> {
    pub w: &'a Array,
    pub scales: &'a Array,
    pub biases: Option<&'a Array>,
}

fn given(value: i32) -> mlx_optional_int {
    mlx_optional_int {
        value,
        has_value: true,
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
            given(format.group_size),
            given(format.bits),
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
            given(format.group_size),
            given(format.bits),
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
            given(format.group_size),
            given(format.bits),
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
            given(format.group_size),
            given(format.bits),
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
            let format = Format::new(mode, None, None);
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
