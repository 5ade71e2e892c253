//! Weights in few bits.

use super::matrices::matrix_indices;
use crate::error::Result;
use crate::mlx::Array;
use crate::mlx::quantized::{self, Format, Gather, Packed};
use crate::script::bind::{Binder, Call};

const MODES: [&str; 4] = ["affine", "mxfp4", "mxfp8", "nvfp4"];

/// Puts the functions into `mx`.
pub fn register(b: &mut Binder) {
    b.method(
        "quantize(w: Tensor, group_size: integer = (), bits: integer = (), mode: string = \"affine\") -> list",
        "Weights in few bits, each group of the last axis on its own scale.

         `[packed, scales, biases]` in mode `\"affine\"` (groups of 32, 64 or 128, by default 64; 2 to 6 or 8
         bits, by default 4), and `[packed, scales]` in the modes `\"mxfp4\"`, `\"mxfp8\"` (groups of 32) and
         `\"nvfp4\"` (groups of 16), whose numbers are small floats.",
        "let q = mx::quantize(mx::ones([2, 64]));
         assert_eq(mx::dequantize(q[0], q[1], q[2]), mx::ones([2, 64]));",
        |c| quantized::quantize(&c.tensor(0)?, &format(c, 1)?),
    );
    b.function(
        "dequantize(w: Tensor, scales: Tensor, biases: Tensor = (), group_size: integer = (), bits: integer = (), mode: string = \"affine\", dtype: string = ()) -> Tensor",
        "The weights that `quantize` packed.",
        "let q = mx::quantize(mx::ones([2, 32]), 32, 8);
         assert_eq(mx::dequantize(q[0], q[1], q[2], 32, 8).shape, [2, 32]);",
        |c| {
            let (w, scales, biases) = (c.tensor(0)?, c.tensor(1)?, c.optional_tensor(2)?);
            let packed = packed(&w, &scales, biases.as_ref());
            quantized::dequantize(&packed, &format(c, 3)?, c.optional_dtype(6)?)
        },
    );
    b.function(
        "quantized_matmul(x: Tensor, w: Tensor, scales: Tensor, biases: Tensor = (), transpose: bool = true, group_size: integer = (), bits: integer = (), mode: string = \"affine\") -> Tensor",
        "The product of `x` with quantised weights, transposed or not.",
        "let q = mx::quantize(mx::ones([32, 64]));
         assert_eq(mx::quantized_matmul(mx::ones([1, 64]), q[0], q[1], q[2]).shape, [1, 32]);",
        |c| {
            let (x, w, scales) = (c.tensor(0)?, c.tensor(1)?, c.tensor(2)?);
            let biases = c.optional_tensor(3)?;
            let packed = packed(&w, &scales, biases.as_ref());
            quantized::matmul(&x, &packed, c.flag(4)?, &format(c, 5)?)
        },
    );
    b.function(
        "gather_qmm(x: Tensor, w: Tensor, scales: Tensor, biases: Tensor = (), lhs_indices: Tensor = (), rhs_indices: Tensor = (), transpose: bool = true, group_size: integer = (), bits: integer = (), mode: string = \"affine\", sorted_indices: bool = false) -> Tensor",
        "`quantized_matmul` of the matrices that indices choose, as in a mixture of experts.",
        "let q = mx::quantize(mx::ones([4, 32, 64]));
         let y = mx::gather_qmm(mx::ones([2, 1, 64]), q[0], q[1], q[2], #{ rhs_indices: tensor([3, 0]) });
         assert_eq(y.shape, [2, 1, 32]);",
        |c| {
            let (x, w, scales) = (c.tensor(0)?, c.tensor(1)?, c.tensor(2)?);
            let biases = c.optional_tensor(3)?;
            let (lhs, rhs) = (matrix_indices(c, 4, &x)?, matrix_indices(c, 5, &w)?);
            let gather = Gather {
                lhs: lhs.as_ref(),
                rhs: rhs.as_ref(),
                sorted: c.flag(10)?,
            };
            let packed = packed(&w, &scales, biases.as_ref());
            quantized::gather_matmul(&x, &packed, &gather, c.flag(6)?, &format(c, 7)?)
        },
    );
}

/// The group size, bits and mode that begin with argument `i`.
fn format(c: &Call, i: usize) -> Result<Format> {
    let mode = c.choice(i + 2, &MODES)?;
    Ok(Format::new(
        &mode,
        c.optional_int(i)?,
        c.optional_int(i + 1)?,
    ))
}

fn packed<'a>(w: &'a Array, scales: &'a Array, biases: Option<&'a Array>) -> Packed<'a> {
    Packed { w, scales, biases }
}
