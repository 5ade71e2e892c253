//! `optim::`: update rules, learning-rate schedules and clipping.

use super::bind::{Binder, Call, Spec, define};
use super::optimizer::{Optimizer, Rate};
use super::tree::{leaves, with_leaves};
use crate::error::Result;
use crate::optim::{self as native, Adafactor, Curve, Rule, WarmUp};
use rhai::{Dynamic, Engine, Map, Module};

/// Puts the module and its types into an engine.
pub fn register(engine: &mut Engine, global: &mut Module) {
    engine.register_type_with_name::<WarmUp>("Schedule");
    let mut b = Binder::new();
    plain(&mut b);
    adaptive(&mut b);
    scaled(&mut b);
    schedules(&mut b);
    clipping(&mut b);
    define(
        &mut b.methods,
        Spec::new("rate(schedule: Schedule, step: integer) -> number").of::<WarmUp>(),
        "The rate of a step, counted from 0.",
        "assert_close(optim::linear(1.0, 0.0, 10).rate(5), 0.5, 1e-9);",
        |c| {
            let schedule = c.get(0).clone().try_cast::<WarmUp>();
            let schedule = schedule.ok_or_else(|| c.wrong(0, "a schedule"))?;
            Ok(schedule.rate(c.count(1)? as u64))
        },
    );
    super::optimizer::register(engine, &mut b.methods);
    global.combine(b.methods);
    engine.register_static_module("optim", b.module.into());
}

/// A fresh optimiser with the learning rate of argument 0.
fn optimizer(c: &Call, rule: Rule) -> Result<Dynamic> {
    rule.check()?;
    let rate = match rule {
        Rule::Adafactor(a) if !c.has(0) => {
            if !a.relative_step {
                return Err(c.wrong(0, "a learning rate, or relative_step: true"));
            }
            Rate::Fixed(0.0)
        }
        _ => Rate::of(c, 0)?,
    };
    Ok(Dynamic::from(Optimizer::new(rule, rate, c.ctx)?))
}

fn betas(c: &Call, i: usize) -> Result<(f64, f64)> {
    let wrong = || c.wrong(i, "two numbers, such as [0.9, 0.999]");
    let list = c.get(i).clone().into_array().map_err(|_| wrong())?;
    let numbers: Option<Vec<f64>> = list.iter().map(super::settings::float).collect();
    match numbers.as_deref() {
        Some([first, second]) => Ok((*first, *second)),
        _ => Err(wrong()),
    }
}

fn plain(b: &mut Binder) {
    b.function(
        "sgd(learning_rate: number or Schedule or function, momentum: number = 0.0, weight_decay: number = 0.0, dampening: number = 0.0, nesterov: bool = false) -> Optimizer",
        "Stochastic gradient descent: `v = momentum v + (1 - dampening) g`, `p -= learning_rate v`.",
        "let o = optim::sgd(0.1);
         assert_close(o.update(tensor([1.0]), tensor([2.0])), [0.8], 1e-6);",
        |c| {
            let rule = Rule::Sgd {
                momentum: c.float(1)?,
                weight_decay: c.float(2)?,
                dampening: c.float(3)?,
                nesterov: c.flag(4)?,
            };
            optimizer(c, rule)
        },
    );
    b.function(
        "rmsprop(learning_rate: number or Schedule or function, alpha: number = 0.99, eps: number = 1e-8) -> Optimizer",
        "Steps divided by the root of the mean square of the gradients (Tieleman and Hinton 2012).",
        "let o = optim::rmsprop(0.1);
         assert_close(o.update(tensor([1.0]), tensor([2.0])), [0.0], 1e-5);",
        |c| {
            let (alpha, eps) = (c.float(1)?, c.float(2)?);
            optimizer(c, Rule::Rmsprop { alpha, eps })
        },
    );
    b.function(
        "adagrad(learning_rate: number or Schedule or function, eps: number = 1e-8) -> Optimizer",
        "Steps divided by the root of the sum of squares so far (Duchi et al. 2011).",
        "let o = optim::adagrad(0.1);
         assert_close(o.update(tensor([1.0]), tensor([2.0])), [0.9], 1e-6);",
        |c| optimizer(c, Rule::Adagrad { eps: c.float(1)? }),
    );
    b.function(
        "adadelta(learning_rate: number or Schedule or function, rho: number = 0.9, eps: number = 1e-6) -> Optimizer",
        "Steps in the unit of the parameters (Zeiler 2012).",
        "let o = optim::adadelta(1.0);
         assert_close(o.update(tensor([1.0]), tensor([2.0])), [0.996838], 1e-5);",
        |c| {
            let (rho, eps) = (c.float(1)?, c.float(2)?);
            optimizer(c, Rule::Adadelta { rho, eps })
        },
    );
}

fn adaptive(b: &mut Binder) {
    b.function(
        "adam(learning_rate: number or Schedule or function, betas: list = [0.9, 0.999], eps: number = 1e-8, bias_correction: bool = true) -> Optimizer",
        "Adam (Kingma and Ba 2014). MLX leaves the correction of the paper out unless asked: `bias_correction: false` is that.",
        "let o = optim::adam(0.1);
         assert_close(o.update(tensor([1.0]), tensor([2.0])), [0.9], 1e-6);",
        |c| {
            let (beta1, beta2) = betas(c, 1)?;
            let rule = Rule::Adam {
                beta1,
                beta2,
                eps: c.float(2)?,
                weight_decay: 0.0,
                decoupled: false,
                bias_correction: c.flag(3)?,
            };
            optimizer(c, rule)
        },
    );
    b.function(
        "adamw(learning_rate: number or Schedule or function, betas: list = [0.9, 0.999], eps: number = 1e-8, weight_decay: number = 0.01, bias_correction: bool = true) -> Optimizer",
        "Adam with a weight decay of its own (Loshchilov and Hutter 2017).",
        "let o = optim::adamw(0.1, #{ weight_decay: 0.1 });
         assert_close(o.update(tensor([1.0]), tensor([2.0])), [0.89], 1e-6);",
        |c| {
            let (beta1, beta2) = betas(c, 1)?;
            let rule = Rule::Adam {
                beta1,
                beta2,
                eps: c.float(2)?,
                weight_decay: c.float(3)?,
                decoupled: true,
                bias_correction: c.flag(4)?,
            };
            optimizer(c, rule)
        },
    );
    b.function(
        "adamax(learning_rate: number or Schedule or function, betas: list = [0.9, 0.999], eps: number = 1e-8) -> Optimizer",
        "Adam with the largest gradient in place of the mean square (Kingma and Ba 2014, section 7).",
        "let o = optim::adamax(0.1);
         assert_close(o.update(tensor([1.0]), tensor([2.0])), [0.99], 1e-6);",
        |c| {
            let ((beta1, beta2), eps) = (betas(c, 1)?, c.float(2)?);
            optimizer(c, Rule::Adamax { beta1, beta2, eps })
        },
    );
    b.function(
        "lion(learning_rate: number or Schedule or function, betas: list = [0.9, 0.99], weight_decay: number = 0.0) -> Optimizer",
        "Steps by the sign of the mean gradient (Chen et al. 2023); the rate is 3 to 10 times below Adam's.",
        "let o = optim::lion(0.1);
         assert_close(o.update(tensor([1.0]), tensor([2.0])), [0.9], 1e-6);",
        |c| {
            let ((beta1, beta2), weight_decay) = (betas(c, 1)?, c.float(2)?);
            let rule = Rule::Lion {
                beta1,
                beta2,
                weight_decay,
            };
            optimizer(c, rule)
        },
    );
}

fn scaled(b: &mut Binder) {
    b.function(
        "adafactor(learning_rate: number or Schedule or function = (), eps: list = [1e-30, 1e-3], clip_threshold: number = 1.0, decay_rate: number = -0.8, beta_1: number = (), weight_decay: number = 0.0, scale_parameter: bool = true, relative_step: bool = true, warmup_init: bool = false) -> Optimizer",
        "Second moments by rows and columns of matrices (Shazeer and Stern 2018).

         With `relative_step` the step's size follows from the count of steps, and a learning rate is not used.",
        "let o = optim::adafactor();
         assert_close(o.update(tensor([1.0]), tensor([2.0])), [0.99], 1e-6);",
        |c| {
            let rule = Adafactor {
                eps: betas(c, 1)?,
                clip_threshold: c.float(2)?,
                decay_rate: c.float(3)?,
                beta1: c.optional_float(4)?,
                weight_decay: c.float(5)?,
                scale_parameter: c.flag(6)?,
                relative_step: c.flag(7)?,
                warmup_init: c.flag(8)?,
            };
            optimizer(c, Rule::Adafactor(rule))
        },
    );
    b.function(
        "muon(learning_rate: number or Schedule or function, momentum: number = 0.95, weight_decay: number = 0.01, nesterov: bool = true, ns_steps: integer = 5) -> Optimizer",
        "Momentum whose steps are made orthogonal (Jordan et al. 2024), for the matrices inside of a network; vectors take plain steps.",
        "let o = optim::muon(0.1);
         assert_eq(o.update(mx::ones([2, 3]), mx::ones([2, 3])).shape, [2, 3]);",
        |c| {
            let rule = Rule::Muon {
                momentum: c.float(1)?,
                weight_decay: c.float(2)?,
                nesterov: c.flag(3)?,
                ns_steps: c.count(4)? as u32,
            };
            optimizer(c, rule)
        },
    );
}

/// A schedule whose warm-up is arguments `i` and `i + 1`.
fn schedule(c: &Call, i: usize, curve: Curve) -> Result<Dynamic> {
    let (steps, from) = (c.count(i)? as u64, c.float(i + 1)?);
    Ok(Dynamic::from(WarmUp { curve, steps, from }))
}

/// A count of at least 1.
fn steps(c: &Call, i: usize) -> Result<u64> {
    match c.count(i)? {
        0 => Err(c.wrong(i, "a whole number of at least 1")),
        steps => Ok(steps as u64),
    }
}

fn schedules(b: &mut Binder) {
    const WARM: &str = "warmup: integer = 0, warmup_init: number = 0.0";
    b.function(
        &format!("linear(init: number, end: number, steps: integer, {WARM}) -> Schedule"),
        "A rate that goes from `init` to `end` in a straight line, after a rise of `warmup` steps.",
        "let rate = optim::linear(1.0, 0.0, 10, #{ warmup: 5 });
         assert_close([rate.rate(0), rate.rate(5), rate.rate(11)], [0.0, 1.0, 0.5], 1e-6);",
        |c| {
            let (init, end, steps) = (c.float(0)?, c.float(1)?, steps(c, 2)?);
            schedule(c, 3, Curve::Linear { init, end, steps })
        },
    );
    b.function(
        &format!(
            "cosine(init: number, decay_steps: integer, end: number = 0.0, {WARM}) -> Schedule"
        ),
        "A rate that falls from `init` to `end` by half a cosine, after a rise of `warmup` steps.",
        "assert_close(optim::cosine(1.0, 10).rate(5), 0.5, 1e-6);",
        |c| {
            let (init, steps, end) = (c.float(0)?, steps(c, 1)?, c.float(2)?);
            schedule(c, 3, Curve::Cosine { init, end, steps })
        },
    );
    b.function(
        &format!("step_decay(init: number, decay_rate: number, step_size: integer, {WARM}) -> Schedule"),
        "A rate multiplied by `decay_rate` every `step_size` steps, after a rise of `warmup` steps.",
        "assert_close(optim::step_decay(0.1, 0.9, 10).rate(25), 0.081, 1e-6);",
        |c| {
            let (init, rate, size) = (c.float(0)?, c.float(1)?, steps(c, 2)?);
            schedule(c, 3, Curve::StepDecay { init, rate, size })
        },
    );
    b.function(
        &format!("exponential(init: number, decay_rate: number, {WARM}) -> Schedule"),
        "A rate multiplied by `decay_rate` every step, after a rise of `warmup` steps.",
        "assert_close(optim::exponential(0.1, 0.9).rate(10), 0.034868, 1e-6);",
        |c| {
            let (init, rate) = (c.float(0)?, c.float(1)?);
            schedule(c, 2, Curve::Exponential { init, rate })
        },
    );
}

fn clipping(b: &mut Binder) {
    b.function(
        "clip_grad_norm(grads: Tensor or list or map, max_norm: number) -> map",
        "`#{ grads, norm }`: gradients scaled down so that their Euclidean norm, taken as one vector, is at most `max_norm`; and the norm before.",
        "let r = optim::clip_grad_norm([tensor([3.0]), tensor([4.0])], 1.0);
         assert_close(r.norm, 5.0, 1e-5);
         assert_close(r.grads[0], [0.6], 1e-5);",
        |c| {
            let max_norm = c.float(1)?;
            if max_norm.is_nan() || max_norm < 0.0 {
                return Err(c.wrong(1, "0 or a positive number"));
            }
            let (grads, norm) = native::clip_grad_norm(&leaves(c.get(0))?, max_norm as f32)?;
            let mut result = Map::new();
            result.insert("grads".into(), with_leaves(c.get(0), &grads)?);
            result.insert("norm".into(), super::bind::Reply::reply(norm)?);
            Ok(result)
        },
    );
}

impl Rate {
    /// The learning rate of an argument.
    fn of(c: &Call, i: usize) -> Result<Self> {
        Self::from_value(c.get(i))
            .filter(Rate::is_valid)
            .ok_or_else(|| {
                c.wrong(
                    i,
                    "a number of at least 0, a schedule, or a function of the step",
                )
            })
    }
}
