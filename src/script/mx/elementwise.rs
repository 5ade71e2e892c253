//! Functions of each element.

use crate::mlx::{autograd, ops as raw};
use crate::script::bind::Binder;
use mlx_rs::ops;

/// Puts the functions into `mx`.
pub fn register(b: &mut Binder) {
    powers(b);
    trigonometry(b);
    rounding(b);
    tests(b);
    parts(b);
}

fn powers(b: &mut Binder) {
    b.method(
        "abs(a: Tensor) -> Tensor",
        "The absolute value of each element.",
        "assert_eq(mx::abs(tensor([-1, 2])), [1, 2]);",
        |c| Ok(c.tensor(0)?.abs()?),
    );
    b.method(
        "exp(a: Tensor) -> Tensor",
        "The exponential of each element.",
        "assert_close(mx::exp(tensor([0, 1])), [1, 2.718282], 1e-5);",
        |c| Ok(c.tensor(0)?.exp()?),
    );
    b.method(
        "expm1(a: Tensor) -> Tensor",
        "`exp(x) - 1` of each element, exact where x is small.",
        "assert_close(mx::expm1(tensor([0, 1])), [0, 1.718282], 1e-5);",
        |c| Ok(ops::expm1(c.tensor(0)?)?),
    );
    b.method(
        "log(a: Tensor) -> Tensor",
        "The natural logarithm of each element.",
        "assert_close(mx::log(tensor([1, 10])), [0, 2.302585], 1e-5);",
        |c| Ok(c.tensor(0)?.log()?),
    );
    b.method(
        "log1p(a: Tensor) -> Tensor",
        "`log(1 + x)` of each element, exact where x is small.",
        "assert_close(mx::log1p(tensor([0, 1])), [0, 0.693147], 1e-5);",
        |c| Ok(c.tensor(0)?.log1p()?),
    );
    b.method(
        "log2(a: Tensor) -> Tensor",
        "The logarithm to base 2 of each element.",
        "assert_close(mx::log2(tensor([1, 8])), [0, 3], 1e-5);",
        |c| Ok(c.tensor(0)?.log2()?),
    );
    b.method(
        "log10(a: Tensor) -> Tensor",
        "The logarithm to base 10 of each element.",
        "assert_close(mx::log10(tensor([1, 100])), [0, 2], 1e-5);",
        |c| Ok(c.tensor(0)?.log10()?),
    );
    b.method(
        "sqrt(a: Tensor) -> Tensor",
        "The square root of each element.",
        "assert_close(mx::sqrt(tensor([1, 9])), [1, 3], 1e-6);",
        |c| Ok(c.tensor(0)?.sqrt()?),
    );
    b.method(
        "rsqrt(a: Tensor) -> Tensor",
        "1 divided by the square root of each element.",
        "assert_close(mx::rsqrt(tensor([1, 4])), [1, 0.5], 1e-5);",
        |c| Ok(c.tensor(0)?.rsqrt()?),
    );
    b.method(
        "square(a: Tensor) -> Tensor",
        "The square of each element.",
        "assert_eq(mx::square(tensor([2, -3])), [4, 9]);",
        |c| Ok(c.tensor(0)?.square()?),
    );
    b.method(
        "reciprocal(a: Tensor) -> Tensor",
        "1 divided by each element.",
        "assert_close(mx::reciprocal(tensor([1, 4])), [1, 0.25], 1e-6);",
        |c| Ok(c.tensor(0)?.reciprocal()?),
    );
    b.method(
        "negative(a: Tensor) -> Tensor",
        "Each element with the other sign.",
        "assert_eq(mx::negative(tensor([1, -2])), [-1, 2]);",
        |c| Ok(c.tensor(0)?.negative()?),
    );
    b.method(
        "positive(a: Tensor) -> Tensor",
        "The elements as they are.",
        "assert_eq(mx::positive(tensor([1, -2])), [1, -2]);",
        |c| c.tensor(0),
    );
    b.method(
        "sign(a: Tensor) -> Tensor",
        "-1, 0 or 1 by the sign of each element.",
        "assert_eq(mx::sign(tensor([-5, 0, 7])), [-1, 0, 1]);",
        |c| Ok(ops::sign(c.tensor(0)?)?),
    );
    b.method(
        "sigmoid(a: Tensor) -> Tensor",
        "`1 / (1 + exp(-x))` of each element.",
        "assert_close(mx::sigmoid(tensor([0, 1])), [0.5, 0.731059], 1e-5);",
        |c| Ok(ops::sigmoid(c.tensor(0)?)?),
    );
    b.method(
        "erf(a: Tensor) -> Tensor",
        "The error function of each element.",
        "assert_close(mx::erf(tensor([0, 1])), [0, 0.842701], 1e-5);",
        |c| Ok(ops::erf(c.tensor(0)?)?),
    );
    b.method(
        "erfinv(a: Tensor) -> Tensor",
        "The inverse of the error function of each element.",
        "assert_close(mx::erfinv(tensor([0, 0.842701])), [0, 1], 1e-4);",
        |c| Ok(ops::erfinv(c.tensor(0)?)?),
    );
}

fn trigonometry(b: &mut Binder) {
    b.method(
        "sin(a: Tensor) -> Tensor",
        "The sine of each element, in radians.",
        "assert_close(mx::sin(tensor([0, 1])), [0, 0.841471], 1e-5);",
        |c| Ok(c.tensor(0)?.sin()?),
    );
    b.method(
        "cos(a: Tensor) -> Tensor",
        "The cosine of each element, in radians.",
        "assert_close(mx::cos(tensor([0, 1])), [1, 0.540302], 1e-5);",
        |c| Ok(c.tensor(0)?.cos()?),
    );
    b.method(
        "tan(a: Tensor) -> Tensor",
        "The tangent of each element, in radians.",
        "assert_close(mx::tan(tensor([0, 1])), [0, 1.557408], 1e-5);",
        |c| Ok(ops::tan(c.tensor(0)?)?),
    );
    b.method(
        "sinh(a: Tensor) -> Tensor",
        "The hyperbolic sine of each element.",
        "assert_close(mx::sinh(tensor([0, 1])), [0, 1.175201], 1e-5);",
        |c| Ok(ops::sinh(c.tensor(0)?)?),
    );
    b.method(
        "cosh(a: Tensor) -> Tensor",
        "The hyperbolic cosine of each element.",
        "assert_close(mx::cosh(tensor([0, 1])), [1, 1.543081], 1e-5);",
        |c| Ok(ops::cosh(c.tensor(0)?)?),
    );
    b.method(
        "tanh(a: Tensor) -> Tensor",
        "The hyperbolic tangent of each element.",
        "assert_close(mx::tanh(tensor([0, 1])), [0, 0.761594], 1e-5);",
        |c| Ok(ops::tanh(c.tensor(0)?)?),
    );
    for name in ["arcsin", "asin"] {
        b.method(
            &format!("{name}(a: Tensor) -> Tensor"),
            "The angle in radians whose sine each element is.",
            &format!("assert_close(mx::{name}(tensor([0, 1])), [0, 1.570796], 1e-5);"),
            |c| Ok(ops::asin(c.tensor(0)?)?),
        );
    }
    for name in ["arccos", "acos"] {
        b.method(
            &format!("{name}(a: Tensor) -> Tensor"),
            "The angle in radians whose cosine each element is.",
            &format!("assert_close(mx::{name}(tensor([0, 1])), [1.570796, 0], 1e-5);"),
            |c| Ok(ops::acos(c.tensor(0)?)?),
        );
    }
    for name in ["arctan", "atan"] {
        b.method(
            &format!("{name}(a: Tensor) -> Tensor"),
            "The angle in radians whose tangent each element is.",
            &format!("assert_close(mx::{name}(tensor([0, 1])), [0, 0.785398], 1e-5);"),
            |c| Ok(ops::atan(c.tensor(0)?)?),
        );
    }
    for name in ["arcsinh", "asinh"] {
        b.method(
            &format!("{name}(a: Tensor) -> Tensor"),
            "The inverse of the hyperbolic sine of each element.",
            &format!("assert_close(mx::{name}(tensor([0, 1])), [0, 0.881374], 1e-5);"),
            |c| Ok(ops::asinh(c.tensor(0)?)?),
        );
    }
    for name in ["arccosh", "acosh"] {
        b.method(
            &format!("{name}(a: Tensor) -> Tensor"),
            "The inverse of the hyperbolic cosine of each element.",
            &format!("assert_close(mx::{name}(tensor([1, 2])), [0, 1.316958], 1e-5);"),
            |c| Ok(ops::acosh(c.tensor(0)?)?),
        );
    }
    for name in ["arctanh", "atanh"] {
        b.method(
            &format!("{name}(a: Tensor) -> Tensor"),
            "The inverse of the hyperbolic tangent of each element.",
            &format!("assert_close(mx::{name}(tensor([0, 0.5])), [0, 0.549306], 1e-5);"),
            |c| Ok(ops::atanh(c.tensor(0)?)?),
        );
    }
    b.method(
        "degrees(a: Tensor) -> Tensor",
        "Radians as degrees.",
        "assert_close(mx::degrees(tensor([0, 3.141593])), [0, 180], 1e-3);",
        |c| Ok(ops::degrees(c.tensor(0)?)?),
    );
    b.method(
        "radians(a: Tensor) -> Tensor",
        "Degrees as radians.",
        "assert_close(mx::radians(tensor([0, 180])), [0, 3.141593], 1e-5);",
        |c| Ok(ops::radians(c.tensor(0)?)?),
    );
}

fn rounding(b: &mut Binder) {
    b.method(
        "floor(a: Tensor) -> Tensor",
        "Each element rounded down.",
        "assert_eq(mx::floor(tensor([1.7, -1.2])), [1.0, -2.0]);",
        |c| Ok(c.tensor(0)?.floor()?),
    );
    b.method(
        "ceil(a: Tensor) -> Tensor",
        "Each element rounded up.",
        "assert_eq(mx::ceil(tensor([1.2, -1.7])), [2.0, -1.0]);",
        |c| Ok(ops::ceil(c.tensor(0)?)?),
    );
    b.method(
        "trunc(a: Tensor) -> Tensor",
        "Each element rounded towards 0.",
        "assert_eq(mx::trunc(tensor([1.7, -1.7])), [1.0, -1.0]);",
        |c| raw::trunc(&c.tensor(0)?),
    );
    b.method(
        "round(a: Tensor, decimals: integer = 0) -> Tensor",
        "Each element rounded to so many decimals; halves go to the even neighbour.",
        "assert_eq(mx::round(tensor([1.5, 2.5])), [2.0, 2.0]);
         assert_close(tensor([3.14159]).round(2), [3.14], 1e-6);",
        |c| Ok(ops::round(c.tensor(0)?, c.int(1)?)?),
    );
    b.method(
        "nan_to_num(a: Tensor, nan: number = 0, posinf: number = (), neginf: number = ()) -> Tensor",
        "With other numbers for NaN and the infinities (by default the largest of the dtype).",
        "let a = tensor([0.0]) / 0.0;
         assert_eq(mx::nan_to_num(a, 7.0), [7.0]);",
        |c| {
            let number = |x: Option<f64>| x.map(|x| x as f32);
            let (pos, neg) = (c.optional_float(2)?, c.optional_float(3)?);
            let nan = c.float(1)? as f32;
            Ok(c.tensor(0)?.nan_to_num(nan, number(pos), number(neg))?)
        },
    );
}

fn tests(b: &mut Binder) {
    b.method(
        "isnan(a: Tensor) -> Tensor",
        "True where an element is not a number.",
        "assert_eq(mx::isnan(tensor([0.0, 1.0]) / 0.0), [true, false]);",
        |c| Ok(ops::is_nan(c.tensor(0)?)?),
    );
    b.method(
        "isinf(a: Tensor) -> Tensor",
        "True where an element is infinite.",
        "assert_eq(mx::isinf(tensor([0.0, 1.0]) / 0.0), [false, true]);",
        |c| Ok(ops::is_inf(c.tensor(0)?)?),
    );
    b.method(
        "isposinf(a: Tensor) -> Tensor",
        "True where an element is plus infinity.",
        "assert_eq(mx::isposinf(tensor([1.0, -1.0]) / 0.0), [true, false]);",
        |c| Ok(ops::is_pos_inf(c.tensor(0)?)?),
    );
    b.method(
        "isneginf(a: Tensor) -> Tensor",
        "True where an element is minus infinity.",
        "assert_eq(mx::isneginf(tensor([1.0, -1.0]) / 0.0), [false, true]);",
        |c| Ok(ops::is_neg_inf(c.tensor(0)?)?),
    );
    b.method(
        "isfinite(a: Tensor) -> Tensor",
        "True where an element is a finite number.",
        "assert_eq(mx::isfinite(tensor([1.0, 2.0]) / tensor([0.0, 1.0])), [false, true]);",
        |c| Ok(c.tensor(0)?.is_finite()?),
    );
    b.method(
        "logical_not(a: Tensor) -> Tensor",
        "True where an element is 0 or false.",
        "assert_eq(mx::logical_not(tensor([true, false])), [false, true]);",
        |c| Ok(c.tensor(0)?.logical_not()?),
    );
    b.method(
        "bitwise_invert(a: Tensor) -> Tensor",
        "The bits of each integer turned over.",
        "assert_eq(mx::bitwise_invert(tensor([0, 5])), [-1, -6]);",
        |c| raw::bitwise_invert(&c.tensor(0)?),
    );
}

fn parts(b: &mut Binder) {
    b.method(
        "real(a: Tensor) -> Tensor",
        "The real part of each element.",
        "assert_eq(mx::real(tensor([1, 2], \"complex64\")), [1.0, 2.0]);",
        |c| Ok(ops::real(c.tensor(0)?)?),
    );
    b.method(
        "imag(a: Tensor) -> Tensor",
        "The imaginary part of each element.",
        "assert_eq(mx::imag(tensor([1, 2], \"complex64\")), [0.0, 0.0]);",
        |c| Ok(ops::imag(c.tensor(0)?)?),
    );
    for name in ["conjugate", "conj"] {
        b.method(
            &format!("{name}(a: Tensor) -> Tensor"),
            "The complex conjugate of each element.",
            &format!(
                "let a = mx::fft::fft(tensor([0.0, 1.0, 0.0]));
                 assert_close(mx::{name}(a).imag(), a.imag() * -1, 1e-6);"
            ),
            |c| raw::conjugate(&c.tensor(0)?),
        );
    }
    b.view(
        "stop_gradient(a: Tensor) -> Tensor",
        "The same values, through which no gradient passes.",
        "let g = mx::grad(|x| (mx::stop_gradient(x) * x).sum(), [tensor([3.0])]);
         assert_eq(g[0], [3.0]);",
        |c| autograd::stop_gradient(&c.tensor(0)?),
    );
    b.method(
        "astype(a: Tensor, dtype: string) -> Tensor",
        "The elements as another type: `\"float32\"`, `\"bfloat16\"`, `\"int32\"` and so on.",
        "assert_eq(tensor([1.7, -1.7]).astype(\"int32\"), [1, -1]);",
        |c| Ok(c.tensor(0)?.as_dtype(c.dtype(1)?)?),
    );
    b.method(
        "view(a: Tensor, dtype: string) -> Tensor",
        "The same bytes read as another type; the last axis grows or shrinks with the type's size.",
        "assert_eq(tensor([1.0]).view(\"int32\"), [1065353216]);",
        |c| Ok(c.tensor(0)?.view_dtype(c.dtype(1)?)?),
    );
    b.view(
        "contiguous(a: Tensor) -> Tensor",
        "The same elements in row-major order in memory.",
        "assert_eq(mx::contiguous(tensor([[1, 2], [3, 4]]).T), [[1, 3], [2, 4]]);",
        |c| Ok(c.tensor(0)?.contiguous()?),
    );
    b.method(
        "to_fp8(a: Tensor) -> Tensor",
        "The elements as 8-bit floats (E4M3), in bytes.",
        "assert_eq(mx::to_fp8(tensor([1.0])).dtype, \"uint8\");",
        |c| Ok(c.tensor(0)?.to_fp8()?),
    );
    b.method(
        "from_fp8(a: Tensor, dtype: string = \"bfloat16\") -> Tensor",
        "8-bit floats (E4M3), in bytes, as another type.",
        "assert_eq(mx::from_fp8(mx::to_fp8(tensor([1.5])), \"float32\"), [1.5]);",
        |c| Ok(c.tensor(0)?.from_fp8(c.dtype(1)?)?),
    );
}
