//! Losses, by the formulas and the defaults of `mlx.nn.losses`.

use super::activations::{at_least, at_most, plus, times, whole};
use crate::error::{Error, Result};
use crate::mlx::{Array, autograd::stop_gradient};
use crate::tensor::{index::Positions, scalar};
use mlx_rs::ops;

/// What becomes of the losses of the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    None,
    Mean,
    Sum,
}

impl Reduction {
    /// The reduction of a name.
    ///
    /// # Errors
    /// An unknown name; the error lists the known ones.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "none" => Ok(Self::None),
            "mean" => Ok(Self::Mean),
            "sum" => Ok(Self::Sum),
            other => Err(Error::setting("reduction", other, "none, mean or sum")),
        }
    }

    /// Applies it.
    pub fn apply(self, loss: Array) -> Result<Array> {
        Ok(match self {
            Self::None => loss,
            Self::Mean => loss.mean(false)?,
            Self::Sum => loss.sum(false)?,
        })
    }
}

/// An error unless two arrays have one shape: broadcasting would hide a mistake.
fn same_shape(a: &Array, b: &Array, what: &'static str) -> Result<()> {
    match a.shape() == b.shape() {
        true => Ok(()),
        false => Err(Error::shape(what, format!("{:?}", a.shape()), b.shape())),
    }
}

/// What cross-entropy compares with.
pub enum Targets {
    /// The right class at each place.
    Classes(Positions),
    /// The probability of each class at each place.
    Probabilities(Array),
}

/// Cross-entropy of logits with classes, or with probabilities over them, in nats.
///
/// # Shapes
/// - logits: `[.., V, ..]`, the classes on `axis`
/// - targets: integers of that shape without `axis`, or probabilities of the same shape
/// - returns: the shape without `axis`
pub fn cross_entropy(
    logits: &Array,
    targets: &Targets,
    axis: i32,
    label_smoothing: f64,
) -> Result<Array> {
    if !(0.0..1.0).contains(&label_smoothing) {
        let expected = "a number in [0, 1)";
        return Err(Error::setting(
            "label_smoothing",
            label_smoothing.to_string(),
            expected,
        ));
    }
    let largest = stop_gradient(&logits.max_axis(axis, true)?)?;
    let logits = logits.subtract(largest)?;
    let score = match targets {
        Targets::Probabilities(targets) => {
            same_shape(&logits, targets, "probabilities to predict")?;
            logits.multiply(targets)?.sum_axis(axis, false)?
        }
        Targets::Classes(targets) => chosen(&logits, targets, axis)?,
    };
    let normalizer = logits.logsumexp_axis(axis, false)?;
    if label_smoothing == 0.0 {
        return Ok(normalizer.subtract(score)?);
    }
    let smooth = times(&logits.mean_axis(axis, false)?, label_smoothing)?;
    let score = times(&score, 1.0 - label_smoothing)?;
    Ok(normalizer.subtract(score)?.subtract(smooth)?)
}

/// The values that classes point at on an axis.
fn chosen(values: &Array, classes: &Positions, axis: i32) -> Result<Array> {
    let rank = values.ndim() as i32;
    let at = if axis < 0 { axis + rank } else { axis };
    let mut expected = values.shape().to_vec();
    if !(0..rank).contains(&at) {
        return Err(Error::value(
            "axis",
            axis.to_string(),
            &format!("-{rank}..{rank}"),
        ));
    }
    let count = expected.remove(at as usize);
    let classes = classes.within(count, "the classes")?;
    if classes.shape() != expected {
        return Err(Error::shape(
            "classes to predict",
            format!("{expected:?}"),
            classes.shape(),
        ));
    }
    let classes = classes.expand_dims(at)?;
    Ok(values.take_along_axis(classes, at)?.squeeze_axes(&[at])?)
}

/// Cross-entropy of yes-or-no answers: `inputs` are logits, or with `with_logits` false
/// probabilities, whose logarithms are held above -100.
pub fn binary_cross_entropy(inputs: &Array, targets: &Array, with_logits: bool) -> Result<Array> {
    same_shape(inputs, targets, "targets")?;
    if with_logits {
        let total = ops::logaddexp(inputs, scalar(0.0, inputs)?)?;
        return Ok(total.subtract(inputs.multiply(targets)?)?);
    }
    let yes = at_least(&inputs.log()?, -100.0)?;
    let no = at_least(&plus(&inputs.negative()?, 1.0)?.log()?, -100.0)?;
    let other = scalar(1.0, inputs)?.subtract(targets)?;
    Ok(targets
        .multiply(yes)?
        .add(other.multiply(no)?)?
        .negative()?)
}

/// `|prediction - target|`.
pub fn l1(predictions: &Array, targets: &Array) -> Result<Array> {
    same_shape(predictions, targets, "targets")?;
    Ok(predictions.subtract(targets)?.abs()?)
}

/// `(prediction - target)^2`.
pub fn mse(predictions: &Array, targets: &Array) -> Result<Array> {
    same_shape(predictions, targets, "targets")?;
    Ok(predictions.subtract(targets)?.square()?)
}

/// The negative of the log-probability of each class.
pub fn nll(logprobs: &Array, targets: &Positions, axis: i32) -> Result<Array> {
    Ok(chosen(logprobs, targets, axis)?.negative()?)
}

/// Negative log-likelihood of a normal distribution with given means and variances.
pub fn gaussian_nll(
    inputs: &Array,
    targets: &Array,
    vars: &Array,
    full: bool,
    eps: f64,
) -> Result<Array> {
    same_shape(inputs, targets, "targets")?;
    same_shape(inputs, vars, "variances")?;
    let vars = at_least(vars, eps)?;
    let squares = targets.subtract(inputs)?.square()?.divide(&vars)?;
    let loss = times(&vars.log()?.add(squares)?, 0.5)?;
    match full {
        true => plus(&loss, 0.5 * (2.0 * std::f64::consts::PI).ln()),
        false => Ok(loss),
    }
}

/// `sum exp(target) (target - input)` over an axis, both log-probabilities: the divergence of
/// the inputs from the targets.
pub fn kl_div(inputs: &Array, targets: &Array, axis: i32) -> Result<Array> {
    let parts = targets.exp()?.multiply(targets.subtract(inputs)?)?;
    Ok(parts.sum_axis(axis, false)?)
}

/// A square below `beta`, a straight line above.
pub fn smooth_l1(predictions: &Array, targets: &Array, beta: f64) -> Result<Array> {
    let diff = l1(predictions, targets)?;
    let near = diff.lt(scalar(beta, &diff)?)?;
    let square = times(&diff.square()?, 0.5 / beta)?;
    Ok(ops::select(near, square, plus(&diff, -0.5 * beta)?)?)
}

/// How much nearer (in the `p` norm over an axis) the positives are than the negatives; below
/// `margin` it costs.
pub fn triplet(
    [anchors, positives, negatives]: [&Array; 3],
    axis: i32,
    p: f64,
    margin: f64,
    eps: f64,
) -> Result<Array> {
    let distance = |other: &Array| -> Result<Array> {
        let apart = anchors.subtract(other)?.abs()?;
        let powers = apart.power(scalar(p, &apart)?)?.sum_axis(axis, false)?;
        let powers = plus(&powers, eps)?;
        Ok(powers.power(scalar(1.0 / p, &powers)?)?)
    };
    let excess = distance(positives)?.subtract(distance(negatives)?)?;
    at_least(&plus(&excess, margin)?, 0.0)
}

/// `max(1 - input target, 0)`, targets being -1 and 1.
pub fn hinge(inputs: &Array, targets: &Array) -> Result<Array> {
    let product = inputs.multiply(targets)?;
    let short = whole(1, &product)?.subtract(&product)?;
    Ok(ops::maximum(&short, whole(0, &short)?)?)
}

/// A square up to `delta`, a straight line of slope `delta` beyond.
pub fn huber(inputs: &Array, targets: &Array, delta: f64) -> Result<Array> {
    let errors = inputs.subtract(targets)?.abs()?;
    let near = at_most(&errors, delta)?;
    let far = times(&errors.subtract(&near)?, delta)?;
    Ok(times(&near.square()?, 0.5)?.add(far)?)
}

/// `log cosh(input - target)`.
pub fn log_cosh(inputs: &Array, targets: &Array) -> Result<Array> {
    let errors = inputs.subtract(targets)?;
    let both = ops::logaddexp(&errors, errors.negative()?)?;
    plus(&both, -std::f64::consts::LN_2)
}

/// The cosine of the angle between two vectors on an axis.
pub fn cosine_similarity(x1: &Array, x2: &Array, axis: i32, eps: f64) -> Result<Array> {
    let norm = |x: &Array| -> Result<Array> { Ok(x.square()?.sum_axis(axis, false)?.sqrt()?) };
    let lengths = at_least(&norm(x1)?.multiply(norm(x2)?)?, eps)?;
    Ok(x1.multiply(x2)?.sum_axis(axis, false)?.divide(lengths)?)
}

/// Costs where the order of two values is not that of `targets` (-1 or 1) by `margin`.
pub fn margin_ranking(
    inputs1: &Array,
    inputs2: &Array,
    targets: &Array,
    margin: f64,
) -> Result<Array> {
    same_shape(inputs1, inputs2, "second inputs")?;
    same_shape(inputs1, targets, "targets")?;
    let order = targets.multiply(inputs1.subtract(inputs2)?)?;
    at_least(&plus(&order.negative()?, margin)?, 0.0)
}
