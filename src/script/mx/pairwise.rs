//! Functions of two tensors, with broadcasting.

use crate::error::Result;
use crate::mlx::{Array, ops as raw};
use crate::script::bind::{Binder, Call};
use crate::tensor::{divmod, floor_divide, remainder};
use mlx_rs::ops;

/// Puts the functions into `mx`.
pub fn register(b: &mut Binder) {
    arithmetic(b);
    comparison(b);
    logic(b);
    choice(b);
}

type Binary = fn(&Array, &Array) -> Result<Array>;

/// A function of two tensors or numbers.
fn pair(b: &mut Binder, name: &str, doc: &str, example: &str, f: Binary) {
    let signature = format!("{name}(a: Tensor, b: Tensor or number) -> Tensor");
    let doc = format!("{doc}\n\nShapes are broadcast; a number takes the tensor's dtype.");
    b.method(&signature, &doc, example, move |c| {
        let (x, y) = c.pair(0, 1)?;
        f(&x, &y)
    });
}

fn arithmetic(b: &mut Binder) {
    let table: [(&str, &str, &str, Binary); 13] = [
        (
            "add",
            "Sums; also `a + b`.",
            "assert_eq(mx::add(tensor([1, 2]), 10), [11, 12]);",
            |a, b| Ok(a.add(b)?),
        ),
        (
            "subtract",
            "Differences; also `a - b`.",
            "assert_eq(mx::subtract(10, tensor([1, 2])), [9, 8]);",
            |a, b| Ok(a.subtract(b)?),
        ),
        (
            "multiply",
            "Products; also `a * b`.",
            "assert_eq(mx::multiply(tensor([[1], [2]]), tensor([1, 10])), [[1, 10], [2, 20]]);",
            |a, b| Ok(a.multiply(b)?),
        ),
        (
            "divide",
            "Quotients, as floats; also `a / b`.",
            "assert_eq(mx::divide(tensor([1, 3]), 2), [0.5, 1.5]);",
            |a, b| Ok(a.divide(b)?),
        ),
        (
            "floor_divide",
            "Quotients rounded down; 0 where integers are divided by 0.",
            "assert_eq(mx::floor_divide(tensor([7, 9]), 4), [1, 2]);",
            floor_divide,
        ),
        (
            "remainder",
            "Remainders, with the sign of the divisor; 0 where integers are divided by 0.",
            "assert_eq(mx::remainder(tensor([7, -7]), 3), [1, 2]);",
            remainder,
        ),
        (
            "power",
            "Powers; also `a ** b`.",
            "assert_eq(mx::power(tensor([2, 3]), 2), [4, 9]);",
            |a, b| Ok(a.power(b)?),
        ),
        (
            "pow",
            "Powers; also `a ** b`.",
            "assert_eq(mx::pow(tensor([2.0]), 0.5), mx::sqrt(tensor([2.0])));",
            |a, b| Ok(a.power(b)?),
        ),
        (
            "maximum",
            "The larger of two elements.",
            "assert_eq(mx::maximum(tensor([-1, 2]), 0), [0, 2]);",
            |a, b| Ok(ops::maximum(a, b)?),
        ),
        (
            "minimum",
            "The smaller of two elements.",
            "assert_eq(mx::minimum(tensor([-1, 2]), 0), [-1, 0]);",
            |a, b| Ok(ops::minimum(a, b)?),
        ),
        (
            "logaddexp",
            "`log(exp(a) + exp(b))`.",
            "assert_close(mx::logaddexp(tensor([0.0]), 0), [0.693147], 1e-5);",
            |a, b| Ok(ops::logaddexp(a, b)?),
        ),
        (
            "arctan2",
            "The angle in radians of the point `(b, a)`.",
            "assert_close(mx::arctan2(tensor([1.0, -1.0]), 0), [1.570796, -1.570796], 1e-5);",
            |a, b| Ok(ops::atan2(a, b)?),
        ),
        (
            "atan2",
            "The angle in radians of the point `(b, a)`.",
            "assert_close(mx::atan2(tensor([1.0]), 1), [0.785398], 1e-5);",
            |a, b| Ok(ops::atan2(a, b)?),
        ),
    ];
    for (name, doc, example, f) in table {
        pair(b, name, doc, example, f);
    }
    b.method(
        "divmod(a: Tensor, b: Tensor or number) -> [Tensor, Tensor]",
        "Quotients rounded down, and remainders.",
        "let parts = mx::divmod(tensor([7, 9]), 4);
         assert_eq(parts[0], [1, 2]);
         assert_eq(parts[1], [3, 1]);",
        |c| {
            let (a, b) = c.pair(0, 1)?;
            divmod(&a, &b)
        },
    );
}

fn comparison(b: &mut Binder) {
    let table: [(&str, &str, &str, Binary); 6] = [
        (
            "equal",
            "True where elements are equal (`a == b` asks for the whole).",
            "assert_eq(mx::equal(tensor([1, 2]), 2), [false, true]);",
            |a, b| Ok(a.eq(b)?),
        ),
        (
            "not_equal",
            "True where elements differ.",
            "assert_eq(mx::not_equal(tensor([1, 2]), 2), [true, false]);",
            |a, b| Ok(a.ne(b)?),
        ),
        (
            "less",
            "True where the first is smaller; also `a < b`.",
            "assert_eq(mx::less(tensor([1, 2]), 2), [true, false]);",
            |a, b| Ok(a.lt(b)?),
        ),
        (
            "less_equal",
            "True where the first is not larger; also `a <= b`.",
            "assert_eq(mx::less_equal(tensor([1, 3]), 2), [true, false]);",
            |a, b| Ok(a.le(b)?),
        ),
        (
            "greater",
            "True where the first is larger; also `a > b`.",
            "assert_eq(mx::greater(tensor([1, 3]), 2), [false, true]);",
            |a, b| Ok(a.gt(b)?),
        ),
        (
            "greater_equal",
            "True where the first is not smaller; also `a >= b`.",
            "assert_eq(mx::greater_equal(tensor([1, 2]), 2), [false, true]);",
            |a, b| Ok(a.ge(b)?),
        ),
    ];
    for (name, doc, example, f) in table {
        pair(b, name, doc, example, f);
    }
    b.method(
        "array_equal(a: Tensor, b: Tensor, equal_nan: bool = false) -> Tensor",
        "Whether shapes and all elements are equal, as a boolean tensor; `a == b` gives a boolean.",
        "assert_eq(mx::array_equal(tensor([1, 2]), tensor([1, 2])).item(), true);",
        |c| {
            let (a, b) = c.pair(0, 1)?;
            Ok(ops::array_eq(a, b, c.flag(2)?)?)
        },
    );
    b.method(
        "isclose(a: Tensor, b: Tensor, rtol: number = 1e-5, atol: number = 1e-8, equal_nan: bool = false) -> Tensor",
        "True where `|a - b| <= atol + rtol |b|`.",
        "assert_eq(mx::isclose(tensor([1.0, 1.1]), 1.0), [true, false]);",
        |c| {
            let (a, b) = c.pair(0, 1)?;
            Ok(ops::is_close(a, b, c.float(2)?, c.float(3)?, c.flag(4)?)?)
        },
    );
    b.method(
        "allclose(a: Tensor, b: Tensor, rtol: number = 1e-5, atol: number = 1e-8, equal_nan: bool = false) -> Tensor",
        "Whether everywhere `|a - b| <= atol + rtol |b|`, as a boolean tensor.",
        "assert_eq(mx::allclose(tensor([1.0]), tensor([1.001]), #{ atol: 0.01 }).item(), true);",
        |c| {
            let (a, b) = c.pair(0, 1)?;
            let close = ops::is_close(a, b, c.float(2)?, c.float(3)?, c.flag(4)?)?;
            Ok(close.all(false)?)
        },
    );
}

fn logic(b: &mut Binder) {
    let table: [(&str, &str, &str, Binary); 10] = [
        (
            "logical_and",
            "True where both are.",
            "assert_eq(mx::logical_and(tensor([true, true]), tensor([true, false])), [true, false]);",
            |a, b| Ok(a.logical_and(b)?),
        ),
        (
            "logical_or",
            "True where one is.",
            "assert_eq(mx::logical_or(tensor([true, false]), tensor([false, false])), [true, false]);",
            |a, b| Ok(a.logical_or(b)?),
        ),
        (
            "logical_xor",
            "True where exactly one is.",
            "assert_eq(mx::logical_xor(tensor([true, true]), tensor([true, false])), [false, true]);",
            |a, b| Ok(ops::logical_xor(a, b)?),
        ),
        (
            "bitwise_and",
            "The bits that both integers have.",
            "assert_eq(mx::bitwise_and(tensor([12]), 10), [8]);",
            raw::bitwise_and,
        ),
        (
            "bitwise_or",
            "The bits that one of the integers has.",
            "assert_eq(mx::bitwise_or(tensor([12]), 10), [14]);",
            raw::bitwise_or,
        ),
        (
            "bitwise_xor",
            "The bits that exactly one of the integers has.",
            "assert_eq(mx::bitwise_xor(tensor([12]), 10), [6]);",
            raw::bitwise_xor,
        ),
        (
            "left_shift",
            "Integers with their bits moved up.",
            "assert_eq(mx::left_shift(tensor([1, 2]), 3), [8, 16]);",
            raw::left_shift,
        ),
        (
            "bitwise_left_shift",
            "Integers with their bits moved up.",
            "assert_eq(mx::bitwise_left_shift(tensor([1]), 3), [8]);",
            raw::left_shift,
        ),
        (
            "right_shift",
            "Integers with their bits moved down.",
            "assert_eq(mx::right_shift(tensor([8, 16]), 3), [1, 2]);",
            raw::right_shift,
        ),
        (
            "bitwise_right_shift",
            "Integers with their bits moved down.",
            "assert_eq(mx::bitwise_right_shift(tensor([8]), 3), [1]);",
            raw::right_shift,
        ),
    ];
    for (name, doc, example, f) in table {
        pair(b, name, doc, example, f);
    }
}

fn choice(b: &mut Binder) {
    b.method(
        "where(condition: Tensor, x: Tensor or number, y: Tensor or number) -> Tensor",
        "Elements of `x` where the condition is true, of `y` elsewhere; shapes are broadcast.",
        "assert_eq(mx::where(tensor([true, false]), 1, 2), [1, 2]);",
        |c| {
            let (x, y) = c.pair(1, 2)?;
            Ok(ops::select(c.tensor(0)?, x, y)?)
        },
    );
    b.method(
        "clip(a: Tensor, a_min: Tensor or number = (), a_max: Tensor or number = ()) -> Tensor",
        "Each element no smaller and no larger than two bounds; `()` is no bound.",
        "assert_eq(mx::clip(tensor([-5, 0, 5]), -1, 1), [-1, 0, 1]);
         assert_eq(tensor([-5, 5]).clip(0, ()), [0, 5]);",
        clip,
    );
}

fn clip(c: &Call) -> Result<Array> {
    let mut a = c.tensor(0)?;
    if !c.has(1) && !c.has(2) {
        return Err(c.wrong(1, "a lower bound, an upper bound, or both"));
    }
    if c.has(1) {
        a = ops::maximum(&a, c.like(1, &a)?)?;
    }
    if c.has(2) {
        a = ops::minimum(&a, c.like(2, &a)?)?;
    }
    Ok(a)
}
