//! One step of one parameter by each rule, in f32.

use super::rule::{Adafactor, Rule};
use crate::error::Result;
use crate::mlx::{self, Array};
use mlx_rs::ops;

fn number(x: f64) -> Array {
    Array::from_f32(x as f32)
}

fn times(a: &Array, x: f64) -> Result<Array> {
    Ok(a.multiply(number(x))?)
}

/// `share old + (1 - share) new`.
fn blend(old: &Array, new: &Array, share: f64) -> Result<Array> {
    Ok(times(old, share)?.add(times(new, 1.0 - share)?)?)
}

/// `g + decay p`.
fn decayed(grad: &Array, param: &Array, decay: f64) -> Result<Array> {
    match decay == 0.0 {
        true => Ok(grad.clone()),
        false => Ok(grad.add(times(param, decay)?)?),
    }
}

/// `p - lr step`.
fn minus(param: &Array, step: &Array, lr: f64) -> Result<Array> {
    Ok(param.subtract(times(step, lr)?)?)
}

/// `a / (sqrt(square) + eps)`.
fn over_root(a: &Array, square: &Array, eps: f64) -> Result<Array> {
    Ok(a.divide(square.sqrt()?.add(number(eps))?)?)
}

/// Arrays of so many bytes are computed at once, so that what they were computed from can go.
const LARGE: usize = 64 << 20;

fn compute_large(a: &Array) -> Result<()> {
    match a.nbytes() >= LARGE {
        true => mlx::eval([a]),
        false => Ok(()),
    }
}

impl Rule {
    /// The parameter after a step; `count` is 1 for the first.
    pub(super) fn step(
        self,
        param: &Array,
        grad: &Array,
        state: &mut [Array],
        lr: f64,
        count: u64,
    ) -> Result<Array> {
        match self {
            Self::Sgd {
                momentum,
                weight_decay,
                dampening,
                nesterov,
            } => {
                let grad = decayed(grad, param, weight_decay)?;
                let Some(velocity) = state.first_mut() else {
                    return minus(param, &grad, lr);
                };
                *velocity = times(velocity, momentum)?.add(times(&grad, 1.0 - dampening)?)?;
                match nesterov {
                    true => minus(param, &grad.add(times(velocity, momentum)?)?, lr),
                    false => minus(param, velocity, lr),
                }
            }
            Self::Adam { .. } => self.adam(param, grad, state, lr, count),
            Self::Adamax { beta1, beta2, eps } => {
                state[0] = blend(&state[0], grad, beta1)?;
                state[1] = ops::maximum(times(&state[1], beta2)?, grad.abs()?)?;
                let step = state[0].divide(state[1].add(number(eps))?)?;
                minus(param, &step, lr)
            }
            Self::Rmsprop { alpha, eps } => {
                state[0] = blend(&state[0], &grad.square()?, alpha)?;
                minus(param, &over_root(grad, &state[0], eps)?, lr)
            }
            Self::Adagrad { eps } => {
                state[0] = state[0].add(grad.square()?)?;
                minus(param, &over_root(grad, &state[0], eps)?, lr)
            }
            Self::Adadelta { rho, eps } => {
                let [u, v] = [state[0].clone(), blend(&state[1], &grad.square()?, rho)?];
                let root = |a: &Array| -> Result<Array> { Ok(a.add(number(eps))?.sqrt()?) };
                let step = root(&u)?.divide(root(&v)?)?.multiply(grad)?;
                state[0] = blend(&u, &step.square()?, rho)?;
                state[1] = v;
                minus(param, &step, lr)
            }
            Self::Lion {
                beta1,
                beta2,
                weight_decay,
            } => {
                let sign = ops::sign(blend(&state[0], grad, beta1)?)?;
                state[0] = blend(&state[0], grad, beta2)?;
                minus(&times(param, 1.0 - lr * weight_decay)?, &sign, lr)
            }
            Self::Adafactor(settings) => settings.step(param, grad, state, lr, count),
            Self::Muon {
                momentum,
                weight_decay,
                nesterov,
                ns_steps,
            } => {
                let grad = decayed(grad, param, weight_decay)?;
                state[0] = blend(&state[0], &grad, momentum)?;
                let step = match nesterov {
                    true => blend(&state[0], &grad, momentum)?,
                    false => state[0].clone(),
                };
                muon(param, &step, lr, ns_steps)
            }
        }
    }

    fn adam(
        self,
        param: &Array,
        grad: &Array,
        state: &mut [Array],
        lr: f64,
        count: u64,
    ) -> Result<Array> {
        let Self::Adam {
            beta1,
            beta2,
            eps,
            weight_decay,
            decoupled,
            bias_correction,
        } = self
        else {
            return Ok(param.clone());
        };
        let (mut param, mut grad) = (param.clone(), grad.clone());
        if weight_decay != 0.0 && decoupled {
            param = times(&param, 1.0 - lr * weight_decay)?;
        } else {
            grad = decayed(&grad, &param, weight_decay)?;
        }
        // A moment at a time: of a large matrix the old and the new values of all three would be much.
        state[0] = blend(&state[0], &grad, beta1)?;
        compute_large(&state[0])?;
        state[1] = blend(&state[1], &grad.square()?, beta2)?;
        compute_large(&state[1])?;
        let correct = |beta: f64| match bias_correction {
            true => 1.0 - beta.powf(count as f64),
            false => 1.0,
        };
        let root = (1.0 / correct(beta2)).sqrt();
        let denominator = times(&state[1].sqrt()?, root)?.add(number(eps))?;
        let step = times(&state[0], lr / correct(beta1))?.divide(denominator)?;
        Ok(param.subtract(step)?)
    }
}

impl Adafactor {
    fn step(
        self,
        param: &Array,
        grad: &Array,
        state: &mut [Array],
        lr: f64,
        count: u64,
    ) -> Result<Array> {
        let rms = |a: &Array| -> Result<Array> { Ok(a.square()?.mean(false)?.sqrt()?) };
        let lr = self.rate(&rms(param)?, lr, count as f64)?;
        // The first moment, where there is one, stands before the second.
        let (first, second) = state.split_at_mut(usize::from(self.beta1.is_some()));
        let share = 1.0 - (count as f64).powf(self.decay_rate);
        let squares = grad.square()?.add(number(self.eps.0))?;
        let mut step = match second {
            [columns, rows] => {
                *rows = blend(rows, &squares.mean_axis(-1, false)?, share)?;
                *columns = blend(columns, &squares.mean_axis(-2, false)?, share)?;
                let by_row = rows.divide(rows.mean_axis(-1, true)?)?.rsqrt()?;
                let by_column = columns.rsqrt()?.expand_dims(-2)?;
                by_row
                    .expand_dims(-1)?
                    .multiply(by_column)?
                    .multiply(grad)?
            }
            [all, ..] => {
                *all = blend(all, &squares, share)?;
                all.rsqrt()?.multiply(grad)?
            }
            [] => grad.clone(),
        };
        let excess = times(&rms(&step)?, 1.0 / self.clip_threshold)?;
        step = step
            .divide(ops::maximum(excess, number(1.0))?)?
            .multiply(&lr)?;
        if let (Some(beta1), Some(mean)) = (self.beta1, first.first_mut()) {
            *mean = blend(mean, &step, beta1)?;
            step = mean.clone();
        }
        let shrunk = param.multiply(times(&lr, self.weight_decay)?)?;
        Ok(param.subtract(shrunk)?.subtract(step)?)
    }

    /// The size of the step, by the scale of the parameter.
    fn rate(self, param_rms: &Array, lr: f64, count: f64) -> Result<Array> {
        let most = if self.warmup_init { 1e-6 * count } else { 1e-2 };
        let relative = match self.relative_step {
            true => most.min(1.0 / count.sqrt()),
            false => lr,
        };
        let scale = match self.scale_parameter {
            true => ops::maximum(param_rms, number(self.eps.1))?,
            false => number(1.0),
        };
        times(&scale, relative)
    }
}

/// A step of a matrix by the orthogonal one nearest to it, found by a quintic iteration of Newton
/// and Schulz; more axes than two count as columns. Vectors take the step as it is.
fn muon(param: &Array, step: &Array, lr: f64, ns_steps: u32) -> Result<Array> {
    if step.ndim() < 2 {
        return minus(param, step, lr);
    }
    let (a, b, c) = (3.4445, -4.7750, 2.0315);
    let mut x = step.reshape(&[step.dim(0), -1])?;
    let tall = x.dim(0) > x.dim(1);
    if tall {
        x = x.transpose()?;
    }
    let norm = x.square()?.sum(false)?.sqrt()?.add(number(1e-7))?;
    x = x.divide(norm)?;
    for _ in 0..ns_steps {
        let square = x.matmul(x.transpose()?)?;
        let mixed = times(&square, b)?.add(times(&square.matmul(&square)?, c)?)?;
        x = times(&x, a)?.add(mixed.matmul(&x)?)?;
    }
    if tall {
        x = x.transpose()?;
    }
    let scale = f64::from(step.dim(-2)) / f64::from(step.dim(-1).max(1));
    minus(param, &x.reshape(step.shape())?, lr * scale.max(1.0).sqrt())
}
