//! Products of matrices, and convolutions.

use crate::error::Result;
use crate::mlx::{Array, ops as raw};
use crate::script::bind::{Binder, Call};
use crate::script::convert;
use mlx_rs::ops;
use rhai::{Array as List, Dynamic};

/// Puts the functions into `mx`.
pub fn register(b: &mut Binder) {
    products(b);
    contractions(b);
    gathered(b);
    convolutions(b);
    transposed(b);
}

fn products(b: &mut Binder) {
    b.method(
        "matmul(a: Tensor, b: Tensor) -> Tensor",
        "The matrix product over the last two axes; the axes before are broadcast.",
        "assert_eq(mx::matmul(tensor([[1.0, 2.0]]), tensor([[3.0], [4.0]])), [[11]]);",
        |c| Ok(c.tensor(0)?.matmul(c.tensor(1)?)?),
    );
    b.function(
        "addmm(c: Tensor, a: Tensor, b: Tensor, alpha: number = 1, beta: number = 1) -> Tensor",
        "`alpha (a matmul b) + beta c`.",
        "assert_eq(mx::addmm(tensor([1.0]), tensor([[2.0]]), tensor([[3.0]])), [[7]]);",
        |c| {
            let (alpha, beta) = (c.float(3)? as f32, c.float(4)? as f32);
            Ok(ops::addmm(
                c.tensor(0)?,
                c.tensor(1)?,
                c.tensor(2)?,
                alpha,
                beta,
            )?)
        },
    );
    b.method(
        "inner(a: Tensor, b: Tensor) -> Tensor",
        "Sums of products over the last axes.",
        "assert_eq(mx::inner(tensor([1.0, 2.0]), tensor([3.0, 4.0])), 11);",
        |c| Ok(ops::inner(c.tensor(0)?, c.tensor(1)?)?),
    );
    b.method(
        "outer(a: Tensor, b: Tensor) -> Tensor",
        "The product of every element of one with every element of the other.",
        "assert_eq(mx::outer(tensor([1, 2]), tensor([3, 4])), [[3, 4], [6, 8]]);",
        |c| Ok(ops::outer(c.tensor(0)?, c.tensor(1)?)?),
    );
    b.method(
        "vecdot(a: Tensor, b: Tensor, axis: integer = -1) -> Tensor",
        "Sums of products along an axis.",
        "assert_eq(mx::vecdot(tensor([[1.0, 2.0], [3.0, 4.0]]), mx::ones([2, 2])), [3, 7]);",
        |c| Ok(ops::vecdot(c.tensor(0)?, c.tensor(1)?, c.int(2)?)?),
    );
    b.method(
        "kron(a: Tensor, b: Tensor) -> Tensor",
        "The Kronecker product.",
        "assert_eq(mx::kron(tensor([1, 2]), tensor([1, 10])), [1, 10, 2, 20]);",
        |c| Ok(ops::kron(c.tensor(0)?, c.tensor(1)?)?),
    );
    b.method(
        "hadamard_transform(a: Tensor, scale: number = ()) -> Tensor",
        "The Walsh-Hadamard transform of the last axis, scaled by `1 / sqrt(n)` by default.",
        "assert_eq(mx::hadamard_transform(tensor([1.0, 1.0]), 1), [2, 0]);",
        |c| raw::hadamard_transform(&c.tensor(0)?, c.optional_float(1)?.map(|x| x as f32)),
    );
}

fn contractions(b: &mut Binder) {
    b.method(
        "tensordot(a: Tensor, b: Tensor, axes: integer or list = 2) -> Tensor",
        "Sums of products over the last axes of one and the first of the other, or over two lists of axes.",
        "assert_eq(mx::tensordot(tensor([1.0, 2.0]), tensor([3.0, 4.0]), 1), 11);",
        tensordot,
    );
    b.function(
        "einsum(subscripts: string, operands: list) -> Tensor",
        "Sums of products by Einstein's convention.",
        "let a = tensor([[1.0, 2.0]]);
         let b = tensor([[3.0], [4.0]]);
         assert_eq(mx::einsum(\"ij,jk->ik\", [a, b]), [[11]]);",
        |c| Ok(ops::einsum(&c.text(0)?, &c.tensors(1)?)?),
    );
}

fn tensordot(c: &Call) -> Result<Array> {
    let (a, b) = (c.tensor(0)?, c.tensor(1)?);
    let wrong = || c.wrong(2, "a count, or two lists of axes");
    let Some(list) = c.get(2).read_lock::<List>() else {
        return Ok(ops::tensordot_axis(a, b, c.count(2)?)?);
    };
    let axes = |item: Option<&Dynamic>| {
        let list = item
            .and_then(|item| item.clone().try_cast::<List>())
            .ok_or_else(wrong)?;
        crate::script::convert::axes(&list).map_err(|_| wrong())
    };
    Ok(ops::tensordot_axes(
        a,
        b,
        &axes(list.first())?,
        &axes(list.get(1))?,
    )?)
}

fn gathered(b: &mut Binder) {
    b.function(
        "gather_mm(a: Tensor, b: Tensor, lhs_indices: Tensor = (), rhs_indices: Tensor = (), sorted_indices: bool = false) -> Tensor",
        "Matrix products of the matrices that indices choose, as in a mixture of experts.",
        "let experts = tensor([[[1.0]], [[10.0]]]);
         let y = mx::gather_mm(tensor([[[2.0]], [[3.0]]]), experts, (), tensor([1, 0]));
         assert_eq(y, [[[20]], [[3]]]);",
        |c| {
            let (a, b) = (c.tensor(0)?, c.tensor(1)?);
            let (left, right) = (matrix_indices(c, 2, &a)?, matrix_indices(c, 3, &b)?);
            Ok(ops::gather_mm(a, b, left.as_ref(), right.as_ref(), c.flag(4)?)?)
        },
    );
    b.function(
        "segmented_mm(a: Tensor, b: Tensor, segments: Tensor) -> Tensor",
        "Matrix products over segments `[.., 2]` of the inner axis, one result for each.",
        "let y = mx::segmented_mm(tensor([[1.0, 2.0]]), tensor([[3.0], [4.0]]), tensor([[0, 1], [1, 2]], \"uint32\"));
         assert_eq(y, [[[3]], [[8]]]);",
        |c| {
            let (a, b) = (c.tensor(0)?, c.tensor(1)?);
            let inner = a.shape().last().copied().unwrap_or(0);
            let ends = c.positions(2)?;
            Ok(ops::segmented_mm(a, b, ends.within(inner + 1, "the inner axis")?)?)
        },
    );
    b.function(
        "block_masked_mm(a: Tensor, b: Tensor, block_size: integer = 64, mask_out: Tensor = (), mask_lhs: Tensor = (), mask_rhs: Tensor = ()) -> Tensor",
        "A matrix product that leaves out blocks (of 32 or 64) by their masks.",
        "let y = mx::block_masked_mm(mx::ones([32, 32]), mx::ones([32, 32]), 32, tensor([[false]]));
         assert_eq(y.sum(), 0);",
        |c| {
            let masks = [c.optional_tensor(3)?, c.optional_tensor(4)?, c.optional_tensor(5)?];
            let [out, left, right] = masks.each_ref().map(Option::as_ref);
            Ok(ops::block_masked_mm(c.tensor(0)?, c.tensor(1)?, c.int(2)?, out, left, right)?)
        },
    );
}

/// Indices of matrices, which MLX does not check.
pub fn matrix_indices(c: &Call, i: usize, of: &Array) -> Result<Option<Array>> {
    if !c.has(i) {
        return Ok(None);
    }
    let batch = &of.shape()[..of.ndim().saturating_sub(2)];
    let count = batch.iter().product();
    let indices = c.positions(i)?;
    let indices = indices.within(count, "the matrices")?;
    Ok(Some(indices.as_dtype(crate::mlx::Dtype::Uint32)?))
}

/// The parameters that convolutions share.
const CONV: &str = "input: Tensor, weight: Tensor, stride: integer or list = 1, padding: integer or list = 0, dilation: integer or list = 1";

fn convolutions(b: &mut Binder) {
    let doc = |n: i32, axes: &str| {
        format!(
            "A convolution over {n} axes.\n\nShapes: input `[N, {axes}, C_in]`, weight `[C_out, {}, C_in / groups]`.",
            ["k", "k, k", "k, k, k"][n as usize - 1]
        )
    };
    b.function(
        &format!("conv1d({CONV}, groups: integer = 1) -> Tensor"),
        &doc(1, "L"),
        "assert_eq(mx::conv1d(tensor([[[1.0], [2.0], [3.0]]]), tensor([[[1.0], [1.0]]])), [[[3], [5]]]);",
        |c| conv1d(c, 2),
    );
    b.function(
        &format!("conv2d({CONV}, groups: integer = 1) -> Tensor"),
        &doc(2, "H, W"),
        "assert_eq(mx::conv2d(mx::ones([1, 2, 2, 1]), mx::ones([1, 2, 2, 1])), [[[[4]]]]);",
        |c| conv2d(c, 2),
    );
    b.function(
        &format!("conv3d({CONV}, groups: integer = 1) -> Tensor"),
        &doc(3, "D, H, W"),
        "assert_eq(mx::conv3d(mx::ones([1, 2, 2, 2, 1]), mx::ones([1, 2, 2, 2, 1])).sum(), 8);",
        |c| conv3d(c, 2),
    );
    b.function(
        "convolve(a: Tensor, v: Tensor, mode: string = \"full\") -> Tensor",
        "The convolution of two vectors, as NumPy's: `\"full\"`, `\"valid\"` or `\"same\"`.",
        "assert_eq(mx::convolve(tensor([1.0, 2.0]), tensor([1.0, 1.0])), [1, 3, 2]);",
        |c| {
            let mode = c.choice(2, &["full", "valid", "same"])?;
            crate::tensor::convolve(&c.tensor(0)?, &c.tensor(1)?, &mode)
        },
    );
    b.function(
        "conv_general(input: Tensor, weight: Tensor, stride: integer or list = 1, padding: integer or list = 0, kernel_dilation: integer or list = 1, input_dilation: integer or list = 1, groups: integer = 1, flip: bool = false) -> Tensor",
        "A convolution over any number of axes; with `flip` the kernel is turned over.\n\n`padding` may be two lists, for before and after.",
        "let x = tensor([[[1.0], [2.0]]]);
         let w = tensor([[[1.0], [1.0]]]);
         assert_eq(mx::conv_general(x, w), [[[3]]]);
         assert_eq(mx::conv_general(x, w, #{ padding: [[1], [0]] }), [[[1], [3]]]);",
        |c| {
            let a = c.tensor(0)?;
            let n = a.ndim().saturating_sub(2);
            let all = |i: usize| -> Result<Vec<i32>> {
                let list = c.ints(i)?;
                Ok(if list.len() == 1 { vec![list[0]; n] } else { list })
            };
            let by_side = |side: usize| -> Option<Result<Vec<i32>>> {
                let sides = c.get(3).read_lock::<List>()?;
                let is_pair = sides.len() == 2 && sides.iter().all(Dynamic::is_array);
                let side = is_pair.then(|| sides[side].read_lock::<List>())??;
                Some(convert::axes(&side))
            };
            let padding = |side: usize| by_side(side).unwrap_or_else(|| all(3));
            let (before, after) = (padding(0)?, padding(1)?);
            let shape = raw::Convolution {
                stride: &all(2)?,
                padding: (&before, &after),
                kernel_dilation: &all(4)?,
                input_dilation: &all(5)?,
                groups: c.int(6)?,
                flip: c.flag(7)?,
            };
            raw::conv_general(&a, &c.tensor(1)?, &shape)
        },
    );
}

/// A convolution over one axis whose stride, padding, dilation and groups begin with argument `i`.
pub fn conv1d(c: &Call, i: usize) -> Result<Array> {
    let ([s], [p], [d]) = (c.each(i)?, c.each(i + 1)?, c.each(i + 2)?);
    let groups = c.int(i + 3)?;
    Ok(ops::conv1d(c.tensor(0)?, c.tensor(1)?, s, p, d, groups)?)
}

/// The same over two axes.
pub fn conv2d(c: &Call, i: usize) -> Result<Array> {
    let [s, p, d] = [c.each(i)?, c.each(i + 1)?, c.each(i + 2)?].map(pair);
    let groups = c.int(i + 3)?;
    Ok(ops::conv2d(c.tensor(0)?, c.tensor(1)?, s, p, d, groups)?)
}

/// The same over three axes.
pub fn conv3d(c: &Call, i: usize) -> Result<Array> {
    let [s, p, d] = [c.each(i)?, c.each(i + 1)?, c.each(i + 2)?].map(triple);
    let groups = c.int(i + 3)?;
    Ok(ops::conv3d(c.tensor(0)?, c.tensor(1)?, s, p, d, groups)?)
}

fn pair([a, b]: [i32; 2]) -> (i32, i32) {
    (a, b)
}

fn triple([a, b, c]: [i32; 3]) -> (i32, i32, i32) {
    (a, b, c)
}

fn transposed(b: &mut Binder) {
    let rest = "output_padding: integer or list = 0, groups: integer = 1";
    b.function(
        &format!("conv_transpose1d({CONV}, {rest}) -> Tensor"),
        "A transposed convolution over one axis; shapes as `conv1d`.",
        "assert_eq(mx::conv_transpose1d(tensor([[[1.0], [2.0]]]), tensor([[[1.0], [1.0]]])), [[[1], [3], [2]]]);",
        |c| {
            let ([s], [p], [d], [o]) = (c.each(2)?, c.each(3)?, c.each(4)?, c.each(5)?);
            Ok(ops::conv_transpose1d(c.tensor(0)?, c.tensor(1)?, s, p, d, o, c.int(6)?)?)
        },
    );
    b.function(
        &format!("conv_transpose2d({CONV}, {rest}) -> Tensor"),
        "A transposed convolution over two axes; shapes as `conv2d`.",
        "assert_eq(mx::conv_transpose2d(mx::ones([1, 1, 1, 1]), mx::ones([1, 2, 2, 1])).sum(), 4);",
        |c| {
            let (s, p) = (pair(c.each(2)?), pair(c.each(3)?));
            let (d, o) = (pair(c.each(4)?), pair(c.each(5)?));
            Ok(ops::conv_transpose2d(
                c.tensor(0)?,
                c.tensor(1)?,
                s,
                p,
                d,
                o,
                c.int(6)?,
            )?)
        },
    );
    b.function(
        &format!("conv_transpose3d({CONV}, {rest}) -> Tensor"),
        "A transposed convolution over three axes; shapes as `conv3d`.",
        "assert_eq(mx::conv_transpose3d(mx::ones([1, 1, 1, 1, 1]), mx::ones([1, 2, 2, 2, 1])).sum(), 8);",
        |c| {
            let (s, p) = (triple(c.each(2)?), triple(c.each(3)?));
            let (d, o) = (triple(c.each(4)?), triple(c.each(5)?));
            Ok(ops::conv_transpose3d(c.tensor(0)?, c.tensor(1)?, s, p, d, o, c.int(6)?)?)
        },
    );
}
