//! Activation functions.

use crate::error::Result;
use crate::mlx::Array;
use crate::nn::{self, activations as native};
use crate::script::bind::Binder;
use mlx_rs::ops;

/// A function of one tensor: its name, meaning, and what it makes of `[-1, 0, 2]`.
type Plain = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Array) -> Result<Array>,
);

const PLAIN: [Plain; 15] = [
    (
        "relu",
        "`x` where it is positive, else 0.",
        "[0, 0, 2]",
        native::relu,
    ),
    (
        "relu2",
        "The square of `relu(x)`.",
        "[0, 0, 4]",
        native::relu2,
    ),
    ("relu6", "`relu(x)`, at most 6.", "[0, 0, 2]", native::relu6),
    (
        "selu",
        "The self-normalising `elu` (Klambauer et al. 2017).",
        "[-1.11133, 0, 2.1014]",
        native::selu,
    ),
    (
        "gelu",
        "`x Phi(x)`, Phi being the normal distribution function (Hendrycks and Gimpel 2016).",
        "[-0.158655, 0, 1.9545]",
        native::gelu,
    ),
    (
        "gelu_approx",
        "`gelu` by a hyperbolic tangent, as in GPT-2.",
        "[-0.158808, 0, 1.954598]",
        native::gelu_approx,
    ),
    (
        "gelu_fast_approx",
        "`gelu` by a sigmoid: `x sigmoid(1.702 x)`.",
        "[-0.154204, 0, 1.935659]",
        native::gelu_fast_approx,
    ),
    (
        "silu",
        "`x sigmoid(x)`.",
        "[-0.268941, 0, 1.761594]",
        native::silu,
    ),
    (
        "sigmoid",
        "`1 / (1 + exp(-x))`.",
        "[0.268941, 0.5, 0.880797]",
        |x| Ok(ops::sigmoid(x)?),
    ),
    (
        "log_sigmoid",
        "`log(sigmoid(x))`.",
        "[-1.313262, -0.693147, -0.126928]",
        native::log_sigmoid,
    ),
    (
        "softplus",
        "`log(1 + exp(x))`.",
        "[0.313262, 0.693147, 2.126928]",
        native::softplus,
    ),
    (
        "softsign",
        "`x / (1 + |x|)`.",
        "[-0.5, 0, 0.666667]",
        native::softsign,
    ),
    (
        "hardswish",
        "`x min(max(x + 3, 0), 6) / 6`.",
        "[-0.333333, 0, 1.666667]",
        native::hardswish,
    ),
    (
        "mish",
        "`x tanh(softplus(x))`.",
        "[-0.303401, 0, 1.943959]",
        native::mish,
    ),
    (
        "tanh",
        "The hyperbolic tangent.",
        "[-0.761594, 0, 0.964028]",
        |x| Ok(ops::tanh(x)?),
    ),
];

/// Puts the functions into `nn`.
pub fn register(b: &mut Binder) {
    for (name, doc, result, body) in PLAIN {
        b.function(
            &format!("{name}(x: Tensor) -> Tensor"),
            doc,
            &format!("assert_close(nn::{name}(tensor([-1.0, 0.0, 2.0])), {result}, 1e-5);"),
            move |c| body(&c.tensor(0)?),
        );
    }
    with_settings(b);
    along_an_axis(b);
    gates(b);
}

fn with_settings(b: &mut Binder) {
    b.function(
        "leaky_relu(x: Tensor, negative_slope: number = 0.01) -> Tensor",
        "`x` where positive, else `negative_slope x`.",
        "assert_close(nn::leaky_relu(tensor([-1.0, 2.0])), [-0.01, 2.0], 1e-6);",
        |c| native::leaky_relu(&c.tensor(0)?, c.float(1)?),
    );
    b.function(
        "elu(x: Tensor, alpha: number = 1.0) -> Tensor",
        "`x` where positive, else `alpha (exp(x) - 1)` (Clevert et al. 2015).",
        "assert_close(nn::elu(tensor([-1.0, 2.0])), [-0.632121, 2.0], 1e-5);",
        |c| native::elu(&c.tensor(0)?, c.float(1)?),
    );
    b.function(
        "celu(x: Tensor, alpha: number = 1.0) -> Tensor",
        "`elu` with a continuous slope: `max(x, 0) + alpha (exp(min(x, 0) / alpha) - 1)`.",
        "assert_close(nn::celu(tensor([-1.0, 2.0]), 2.0), [-0.786939, 2.0], 1e-5);",
        |c| native::celu(&c.tensor(0)?, c.float(1)?),
    );
    b.function(
        "softshrink(x: Tensor, lambd: number = 0.5) -> Tensor",
        "`x` moved towards 0 by `lambd`; 0 within.",
        "assert_eq(nn::softshrink(tensor([-2.0, 0.25, 1.0])), [-1.5, 0, 0.5]);",
        |c| native::softshrink(&c.tensor(0)?, c.float(1)?),
    );
    b.function(
        "hard_shrink(x: Tensor, lambd: number = 0.5) -> Tensor",
        "`x`; 0 within `lambd` of 0.",
        "assert_eq(nn::hard_shrink(tensor([-2.0, 0.25, 1.0])), [-2, 0, 1]);",
        |c| native::hard_shrink(&c.tensor(0)?, c.float(1)?),
    );
    b.function(
        "hard_tanh(x: Tensor, min_val: number = -1.0, max_val: number = 1.0) -> Tensor",
        "`x` held between two numbers.",
        "assert_eq(nn::hard_tanh(tensor([-2.0, 0.5])), [-1, 0.5]);",
        |c| native::hard_tanh(&c.tensor(0)?, c.float(1)?, c.float(2)?),
    );
    b.function(
        "step(x: Tensor, threshold: number = 0.0) -> Tensor",
        "1 from `threshold` on, else 0, int32.",
        "assert_eq(nn::step(tensor([-1.0, 0.0, 2.0])), [0, 1, 1]);",
        |c| native::step(&c.tensor(0)?, c.float(1)?),
    );
    b.function(
        "prelu(x: Tensor, alpha: Tensor) -> Tensor",
        "`x` where positive, else `alpha x` with a tensor `alpha`, which can be trained.",
        "assert_eq(nn::prelu(tensor([-2.0, 3.0]), tensor(0.25)), [-0.5, 3]);",
        |c| {
            let (x, alpha) = c.pair(0, 1)?;
            native::prelu(&x, &alpha)
        },
    );
}

fn along_an_axis(b: &mut Binder) {
    b.function(
        "softmax(x: Tensor, axis: integer = -1) -> Tensor",
        "Exponentials that sum to 1 along an axis.",
        "assert_close(nn::softmax(tensor([0.0, 0.0])), [0.5, 0.5], 1e-6);",
        |c| Ok(ops::softmax_axes(c.tensor(0)?, &[c.int(1)?], false)?),
    );
    b.function(
        "log_softmax(x: Tensor, axis: integer = -1) -> Tensor",
        "The logarithm of the softmax along an axis.",
        "assert_close(nn::log_softmax(tensor([0.0, 0.0])), [-0.693147, -0.693147], 1e-5);",
        |c| nn::log_softmax(&c.tensor(0)?, &[c.int(1)?]),
    );
    b.function(
        "softmin(x: Tensor, axis: integer = -1) -> Tensor",
        "The softmax of `-x` along an axis.",
        "assert_close(nn::softmin(tensor([0.0, 1.0])), [0.731059, 0.268941], 1e-5);",
        |c| {
            Ok(ops::softmax_axes(
                c.tensor(0)?.negative()?,
                &[c.int(1)?],
                false,
            )?)
        },
    );
}

fn gates(b: &mut Binder) {
    b.function(
        "glu(x: Tensor, axis: integer = -1) -> Tensor",
        "One half of an axis times the sigmoid of the other (Dauphin et al. 2016).",
        "assert_eq(nn::glu(tensor([3.0, 0.0])), [1.5]);",
        |c| native::glu(&c.tensor(0)?, c.int(1)?),
    );
    b.function(
        "swiglu(gate: Tensor, x: Tensor) -> Tensor",
        "`silu(gate) x` (Shazeer 2020), the gated unit of Qwen3 and Llama.",
        "assert_close(nn::swiglu(tensor([1.0]), tensor([2.0])), [1.462117], 1e-5);",
        |c| {
            let (gate, x) = c.pair(0, 1)?;
            native::swiglu(&gate, &x)
        },
    );
}
