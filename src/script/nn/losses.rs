//! Losses.

use crate::error::Result;
use crate::mlx::Array;
use crate::nn::losses::{self as native, Reduction};
use crate::script::bind::{Binder, Call};

/// Puts the functions into `nn`.
pub fn register(b: &mut Binder) {
    of_classes(b);
    of_numbers(b);
    robust(b);
    of_vectors(b);
    of_order(b);
}

/// Reduces a loss as argument `i` says.
fn reduced(c: &Call, i: usize, loss: Array) -> Result<Array> {
    Reduction::named(&c.text(i)?)?.apply(loss)
}

/// A loss times the weights of argument `i`, if there are any.
fn weighted(c: &Call, i: usize, loss: Array) -> Result<Array> {
    let Some(weights) = c.optional_tensor(i)? else {
        return Ok(loss);
    };
    match weights.shape() == loss.shape() {
        true => Ok(loss.multiply(weights)?),
        false => Err(c.wrong(i, &format!("the shape of the loss, {:?}", loss.shape()))),
    }
}

fn of_classes(b: &mut Binder) {
    b.function(
        "cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor = (), axis: integer = -1, label_smoothing: number = 0.0, reduction: string = \"none\") -> Tensor",
        "`-log softmax(logits)[target]` in nats.

         Shapes: logits `[.., V]`, targets integers `[..]` or probabilities `[.., V]`; gives `[..]`, or a
         scalar with `reduction` `\"mean\"` or `\"sum\"`.",
        "let loss = nn::cross_entropy(tensor([[0.0, 0.0]]), tensor([1]));
         assert_close(loss, [0.693147], 1e-5);",
        |c| {
            let (axis, smoothing) = (c.int(3)?, c.float(4)?);
            let (logits, targets) = (c.tensor(0)?, c.tensor(1)?);
            let targets = if targets.ndim() == logits.ndim() {
                native::Targets::Probabilities(targets)
            } else {
                native::Targets::Classes(c.positions(1)?)
            };
            let loss = native::cross_entropy(&logits, &targets, axis, smoothing)?;
            reduced(c, 5, weighted(c, 2, loss)?)
        },
    );
    b.function(
        "binary_cross_entropy(inputs: Tensor, targets: Tensor, weights: Tensor = (), with_logits: bool = true, reduction: string = \"mean\") -> Tensor",
        "Cross-entropy of yes-or-no answers, from logits or, with `with_logits: false`, probabilities.",
        "assert_close(nn::binary_cross_entropy(tensor([0.0]), tensor([1.0])), 0.693147, 1e-5);",
        |c| {
            let (inputs, targets) = c.pair(0, 1)?;
            let loss = native::binary_cross_entropy(&inputs, &targets, c.flag(3)?)?;
            reduced(c, 4, weighted(c, 2, loss)?)
        },
    );
    b.function(
        "nll_loss(inputs: Tensor, targets: Tensor, axis: integer = -1, reduction: string = \"none\") -> Tensor",
        "The negative log-probability of each class: inputs `[.., V]`, targets integers `[..]`.",
        "assert_eq(nn::nll_loss(tensor([[-1.0, -2.0]]), tensor([1])), [2]);",
        |c| {
            let loss = native::nll(&c.tensor(0)?, &c.positions(1)?, c.int(2)?)?;
            reduced(c, 3, loss)
        },
    );
    for name in ["kl_div", "kl_div_loss"] {
        b.function(
            &format!("{name}(inputs: Tensor, targets: Tensor, axis: integer = -1, reduction: string = \"none\") -> Tensor"),
            "`sum exp(targets) (targets - inputs)` along an axis, both log-probabilities: KL(targets || inputs).",
            &format!(
                "let p = mx::log(tensor([0.5, 0.5]));
                 assert_close(nn::{name}(p, p), 0.0, 1e-6);"
            ),
            |c| {
                let (inputs, targets) = c.pair(0, 1)?;
                reduced(c, 3, native::kl_div(&inputs, &targets, c.int(2)?)?)
            },
        );
    }
}

fn of_numbers(b: &mut Binder) {
    for name in ["mse", "mse_loss"] {
        b.function(
            &format!("{name}(predictions: Tensor, targets: Tensor, reduction: string = \"mean\") -> Tensor"),
            "The squared error.",
            &format!("assert_eq(nn::{name}(tensor([1.0, 2.0]), tensor([1.0, 4.0])), 2);"),
            |c| {
                let (predictions, targets) = c.pair(0, 1)?;
                reduced(c, 2, native::mse(&predictions, &targets)?)
            },
        );
    }
    b.function(
        "l1_loss(predictions: Tensor, targets: Tensor, reduction: string = \"mean\") -> Tensor",
        "The absolute error.",
        "assert_eq(nn::l1_loss(tensor([1.0, 2.0]), tensor([1.0, 4.0])), 1);",
        |c| {
            let (predictions, targets) = c.pair(0, 1)?;
            reduced(c, 2, native::l1(&predictions, &targets)?)
        },
    );
    b.function(
        "gaussian_nll_loss(inputs: Tensor, targets: Tensor, vars: Tensor, full: bool = false, eps: number = 1e-6, reduction: string = \"mean\") -> Tensor",
        "The negative log-likelihood of targets under normal distributions of given means and variances.",
        "let one = tensor([1.0]);
         assert_eq(nn::gaussian_nll_loss(one, tensor([3.0]), one), 2);",
        |c| {
            let (inputs, targets, vars) = (c.tensor(0)?, c.tensor(1)?, c.tensor(2)?);
            let loss = native::gaussian_nll(&inputs, &targets, &vars, c.flag(3)?, c.float(4)?)?;
            reduced(c, 5, loss)
        },
    );
}

fn robust(b: &mut Binder) {
    b.function(
        "smooth_l1_loss(predictions: Tensor, targets: Tensor, beta: number = 1.0, reduction: string = \"mean\") -> Tensor",
        "The squared error below `beta`, the absolute one above.",
        "assert_eq(nn::smooth_l1_loss(tensor([0.0, 0.0]), tensor([0.5, 3.0]), #{ reduction: \"none\" }), [0.125, 2.5]);",
        |c| {
            let (predictions, targets) = c.pair(0, 1)?;
            reduced(c, 3, native::smooth_l1(&predictions, &targets, c.float(2)?)?)
        },
    );
    b.function(
        "huber_loss(inputs: Tensor, targets: Tensor, delta: number = 1.0, reduction: string = \"none\") -> Tensor",
        "The squared error up to `delta`, a straight line of slope `delta` beyond.",
        "assert_eq(nn::huber_loss(tensor([0.0, 0.0]), tensor([1.0, 3.0])), [0.5, 2.5]);",
        |c| {
            let (inputs, targets) = c.pair(0, 1)?;
            reduced(c, 3, native::huber(&inputs, &targets, c.float(2)?)?)
        },
    );
    b.function(
        "log_cosh_loss(inputs: Tensor, targets: Tensor, reduction: string = \"none\") -> Tensor",
        "The logarithm of the hyperbolic cosine of the error.",
        "assert_close(nn::log_cosh_loss(tensor([0.0]), tensor([1.0])), [0.433781], 1e-5);",
        |c| {
            let (inputs, targets) = c.pair(0, 1)?;
            reduced(c, 2, native::log_cosh(&inputs, &targets)?)
        },
    );
}

fn of_vectors(b: &mut Binder) {
    b.function(
        "cosine_similarity_loss(x1: Tensor, x2: Tensor, axis: integer = 1, eps: number = 1e-8, reduction: string = \"none\") -> Tensor",
        "The cosine of the angle between vectors along an axis.",
        "let x = tensor([[1.0, 0.0]]);
         assert_close(nn::cosine_similarity_loss(x, tensor([[1.0, 1.0]])), [0.707107], 1e-5);",
        |c| {
            let (x1, x2) = c.pair(0, 1)?;
            let cosine = native::cosine_similarity(&x1, &x2, c.int(2)?, c.float(3)?)?;
            reduced(c, 4, cosine)
        },
    );
    b.function(
        "triplet_loss(anchors: Tensor, positives: Tensor, negatives: Tensor, axis: integer = -1, p: number = 2, margin: number = 1.0, eps: number = 1e-6, reduction: string = \"none\") -> Tensor",
        "How far the positives are from the anchors beyond the negatives, plus a margin, at least 0.",
        "let a = tensor([[0.0, 0.0]]);
         assert_close(nn::triplet_loss(a, tensor([[0.0, 1.0]]), tensor([[0.0, 3.0]])), [0.0], 1e-5);",
        |c| {
            let all = [c.tensor(0)?, c.tensor(1)?, c.tensor(2)?];
            let (axis, p, margin) = (c.int(3)?, c.float(4)?, c.float(5)?);
            let loss = native::triplet(all.each_ref(), axis, p, margin, c.float(6)?)?;
            reduced(c, 7, loss)
        },
    );
}

fn of_order(b: &mut Binder) {
    b.function(
        "hinge_loss(inputs: Tensor, targets: Tensor, reduction: string = \"none\") -> Tensor",
        "`max(1 - inputs targets, 0)`, targets being -1 and 1.",
        "assert_eq(nn::hinge_loss(tensor([0.5, 2.0]), tensor([1.0, 1.0])), [0.5, 0]);",
        |c| {
            let (inputs, targets) = c.pair(0, 1)?;
            reduced(c, 2, native::hinge(&inputs, &targets)?)
        },
    );
    b.function(
        "margin_ranking_loss(inputs1: Tensor, inputs2: Tensor, targets: Tensor, margin: number = 0.0, reduction: string = \"none\") -> Tensor",
        "`max(-targets (inputs1 - inputs2) + margin, 0)`, targets being -1 and 1.",
        "assert_eq(nn::margin_ranking_loss(tensor([1.0]), tensor([3.0]), tensor([1.0])), [2]);",
        |c| {
            let (first, second, targets) = (c.tensor(0)?, c.tensor(1)?, c.tensor(2)?);
            let loss = native::margin_ranking(&first, &second, &targets, c.float(3)?)?;
            reduced(c, 4, loss)
        },
    );
}
