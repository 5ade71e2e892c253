//! Functions that sum axes up, and those that run along one.

use crate::error::Result;
use crate::mlx::Array;
use crate::script::bind::{Binder, Call};
use mlx_rs::ops::{self, indexing};

/// Puts the functions into `mx`.
pub fn register(b: &mut Binder) {
    over_axes(b);
    spread(b);
    positions(b);
    distributions(b);
    cumulative(b);
}

/// A reduction over given axes.
type Reduction = fn(&Array, &[i32], bool) -> mlx_rs::error::Result<Array>;

fn all_axes(a: &Array) -> Vec<i32> {
    (0..a.ndim() as i32).collect()
}

fn over_axes(b: &mut Binder) {
    let table: [(&str, &str, &str, Reduction); 9] = [
        (
            "sum",
            "The sum",
            "assert_eq(mx::sum(tensor([[1, 2], [3, 4]]), 0), [4, 6]);
             assert_eq(tensor([[1, 2]]).sum([0, 1], #{ keepdims: true }).shape, [1, 1]);",
            |a, x, k| a.sum_axes(x, k),
        ),
        (
            "mean",
            "The mean",
            "assert_eq(mx::mean(tensor([[1, 2], [3, 6]]), -1), [1.5, 4.5]);",
            |a, x, k| a.mean_axes(x, k),
        ),
        (
            "prod",
            "The product",
            "assert_eq(mx::prod(tensor([2, 3, 4])), 24);",
            |a, x, k| a.prod_axes(x, k),
        ),
        (
            "max",
            "The largest element",
            "assert_eq(mx::max(tensor([[1, 5], [3, 2]]), 1), [5, 3]);",
            |a, x, k| a.max_axes(x, k),
        ),
        (
            "min",
            "The smallest element",
            "assert_eq(mx::min(tensor([[1, 5], [3, 2]]), 1), [1, 2]);",
            |a, x, k| a.min_axes(x, k),
        ),
        (
            "all",
            "Whether all elements are true",
            "assert_eq(mx::all(tensor([[true, false], [true, true]]), 1), [false, true]);",
            |a, x, k| a.all_axes(x, k),
        ),
        (
            "any",
            "Whether some element is true",
            "assert_eq(mx::any(tensor([[true, false], [false, false]]), 1), [true, false]);",
            |a, x, k| a.any_axes(x, k),
        ),
        (
            "logsumexp",
            "`log(sum(exp(x)))`",
            "assert_close(mx::logsumexp(tensor([0, 0])), 0.693147, 1e-5);",
            |a, x, k| ops::logsumexp_axes(a, x, k),
        ),
        (
            "median",
            "The median (of an even number of elements, the mean of the middle two)",
            "assert_eq(mx::median(tensor([3.0, 1.0, 2.0])), 2.0);",
            |a, x, k| ops::median_axes(a, x, k),
        ),
    ];
    for (name, doc, example, f) in table {
        reduction(b, name, doc, example, f);
    }
    reduction(
        b,
        "count_nonzero",
        "The number of elements that are not 0",
        "assert_eq(mx::count_nonzero(tensor([0, 3, 4])), 2);",
        |a, x, k| {
            a.ne(Array::from_int(0).as_dtype(a.dtype())?)?
                .as_dtype(crate::mlx::Dtype::Int32)?
                .sum_axes(x, k)
        },
    );
}

fn reduction(b: &mut Binder, name: &str, doc: &str, example: &str, f: Reduction) {
    b.method(
        &format!("{name}(a: Tensor, axis: integer or list = (), keepdims: bool = false) -> Tensor"),
        &format!("{doc} of all elements, or along an axis or a list of axes."),
        example,
        move |c| {
            let a = c.tensor(0)?;
            let axes = c.axes(1)?.unwrap_or_else(|| all_axes(&a));
            Ok(f(&a, &axes, c.flag(2)?)?)
        },
    );
}

/// A spread over axes, with what is subtracted from the count.
type Spread = fn(&Array, &[i32], bool, i32) -> mlx_rs::error::Result<Array>;

fn spread(b: &mut Binder) {
    let table: [(&str, &str, &str, Spread); 2] = [
        (
            "var",
            "The variance",
            "assert_eq(mx::var(tensor([1.0, 3.0])), 1.0);
             assert_eq(mx::var(tensor([1.0, 3.0]), #{ ddof: 1 }), 2.0);",
            |a, x, k, d| ops::var_axes(a, x, k, d),
        ),
        (
            "std",
            "The standard deviation",
            "assert_eq(mx::std(tensor([1.0, 3.0])), 1.0);",
            |a, x, k, d| ops::std_axes(a, x, k, d),
        ),
    ];
    for (name, doc, example, f) in table {
        b.method(
            &format!(
                "{name}(a: Tensor, axis: integer or list = (), keepdims: bool = false, ddof: integer = 0) -> Tensor"
            ),
            &format!("{doc} of all elements, or along axes, with `n - ddof` as the divisor."),
            example,
            move |c| {
                let a = c.tensor(0)?;
                let axes = c.axes(1)?.unwrap_or_else(|| all_axes(&a));
                Ok(f(&a, &axes, c.flag(2)?, c.int(3)?)?)
            },
        );
    }
}

fn positions(b: &mut Binder) {
    type Native = fn(&Call) -> Result<Array>;
    let table: [(&str, &str, &str, Native); 2] = [
        (
            "argmax",
            "The position of the largest element",
            "assert_eq(mx::argmax(tensor([[1, 5], [3, 2]]), -1), [1, 0]);",
            |c| {
                let (a, keep) = (c.tensor(0)?, c.flag(2)?);
                Ok(match c.optional_int(1)? {
                    Some(axis) => indexing::argmax_axis(a, axis, keep)?,
                    None => indexing::argmax(a, keep)?,
                })
            },
        ),
        (
            "argmin",
            "The position of the smallest element",
            "assert_eq(mx::argmin(tensor([4, 1, 3])), 1);",
            |c| {
                let (a, keep) = (c.tensor(0)?, c.flag(2)?);
                Ok(match c.optional_int(1)? {
                    Some(axis) => indexing::argmin_axis(a, axis, keep)?,
                    None => indexing::argmin(a, keep)?,
                })
            },
        ),
    ];
    for (name, doc, example, f) in table {
        b.method(
            &format!("{name}(a: Tensor, axis: integer = (), keepdims: bool = false) -> Tensor"),
            &format!("{doc} along an axis, or of all elements in row-major order."),
            example,
            f,
        );
    }
}

fn distributions(b: &mut Binder) {
    b.method(
        "softmax(a: Tensor, axis: integer or list = (), precise: bool = false) -> Tensor",
        "`exp(x)` divided by its sum over axes, or over all elements; with `precise` in f32.",
        "assert_close(mx::softmax(tensor([[0, 0], [0, 1]]), -1)[0], [0.5, 0.5], 1e-6);",
        |c| {
            let a = c.tensor(0)?;
            let axes = c.axes(1)?.unwrap_or_else(|| all_axes(&a));
            Ok(ops::softmax_axes(&a, &axes, c.flag(2)?)?)
        },
    );
    b.method(
        "log_softmax(a: Tensor, axis: integer or list = -1) -> Tensor",
        "The logarithm of the softmax along axes.",
        "assert_close(mx::log_softmax(tensor([0, 0])), [-0.693147, -0.693147], 1e-5);",
        |c| {
            let a = c.tensor(0)?;
            let axes = c.axes(1)?.unwrap_or_else(|| all_axes(&a));
            crate::nn::log_softmax(&a, &axes)
        },
    );
}

/// A running function: axis, from the end, with the element itself.
type Running = fn(&Array, Option<i32>, bool, bool) -> mlx_rs::error::Result<Array>;

fn cumulative(b: &mut Binder) {
    let table: [(&str, &str, &str, Running); 5] = [
        (
            "cumsum",
            "Sums of the elements so far",
            "assert_eq(mx::cumsum(tensor([1, 2, 3])), [1, 3, 6]);
             assert_eq(mx::cumsum(tensor([1, 2, 3]), #{ reverse: true }), [6, 5, 3]);",
            |a, x, r, i| a.cumsum(x, r, i),
        ),
        (
            "cumprod",
            "Products of the elements so far",
            "assert_eq(mx::cumprod(tensor([1, 2, 3])), [1, 2, 6]);",
            |a, x, r, i| a.cumprod(x, r, i),
        ),
        (
            "cummax",
            "The largest of the elements so far",
            "assert_eq(mx::cummax(tensor([1, 3, 2])), [1, 3, 3]);",
            |a, x, r, i| a.cummax(x, r, i),
        ),
        (
            "cummin",
            "The smallest of the elements so far",
            "assert_eq(mx::cummin(tensor([3, 1, 2])), [3, 1, 1]);",
            |a, x, r, i| a.cummin(x, r, i),
        ),
        (
            "logcumsumexp",
            "`log(sum(exp(x)))` of the elements so far",
            "assert_close(mx::logcumsumexp(tensor([0.0, 0.0])), [0, 0.693147], 1e-5);",
            |a, x, r, i| {
                a.logcumsumexp(ops::LogCumsumExpOptions {
                    axis: x,
                    reverse: r,
                    inclusive: i,
                })
            },
        ),
    ];
    for (name, doc, example, f) in table {
        b.method(
            &format!(
                "{name}(a: Tensor, axis: integer = (), reverse: bool = false, inclusive: bool = true, dtype: string = ()) -> Tensor"
            ),
            &format!("{doc} along an axis, or of all elements in row-major order."),
            example,
            move |c| {
                let mut a = c.tensor(0)?;
                if let Some(dtype) = c.optional_dtype(4)? {
                    a = a.as_dtype(dtype)?;
                }
                Ok(f(&a, c.optional_int(1)?, c.flag(2)?, c.flag(3)?)?)
            },
        );
    }
    b.method(
        "diff(a: Tensor, n: integer = 1, axis: integer = -1) -> Tensor",
        "Differences of neighbours along an axis, taken `n` times.",
        "assert_eq(mx::diff(tensor([1, 4, 9])), [3, 5]);",
        |c| {
            let (a, axis) = (c.tensor(0)?, c.int(2)?);
            // More of them than elements leave nothing, and each costs time.
            let longest = a.shape().iter().max().copied().unwrap_or(0);
            Ok(a.diff(c.count(1)?.min(longest), axis)?)
        },
    );
}
