//! Update rules and their settings.

use crate::error::{Error, Result, nearest};
use crate::mlx::{Array, Dtype};
use mlx_rs::ops;

/// How a gradient becomes a step: the formulas of `mlx.optimizers`, with its defaults.
///
/// Settings are f64: in f32 `1 - beta2` is off by 5e-5.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// `v = momentum v + (1 - dampening) g`, `p -= lr v`.
    Sgd {
        momentum: f64,
        weight_decay: f64,
        dampening: f64,
        nesterov: bool,
    },
    /// Adam (<https://arxiv.org/abs/1412.6980>). With `decoupled` the decay is that of AdamW
    /// (<https://arxiv.org/abs/1711.05101>), otherwise it is added to the gradient; both as PyTorch.
    Adam {
        beta1: f64,
        beta2: f64,
        eps: f64,
        weight_decay: f64,
        decoupled: bool,
        bias_correction: bool,
    },
    /// Adam with the largest gradient in place of their mean square (same paper, section 7).
    Adamax {
        beta1: f64,
        beta2: f64,
        eps: f64,
    },
    /// Steps divided by the root of the mean square (Tieleman and Hinton 2012).
    Rmsprop {
        alpha: f64,
        eps: f64,
    },
    /// Steps divided by the root of all squares (<https://jmlr.org/papers/v12/duchi11a.html>).
    Adagrad {
        eps: f64,
    },
    /// Steps in the unit of the parameters (<https://arxiv.org/abs/1212.5701>).
    Adadelta {
        rho: f64,
        eps: f64,
    },
    /// Only the sign of the mean counts (<https://arxiv.org/abs/2302.06675>).
    Lion {
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
    },
    Adafactor(Adafactor),
    /// Steps of matrices made orthogonal (<https://kellerjordan.github.io/posts/muon/>).
    Muon {
        momentum: f64,
        weight_decay: f64,
        nesterov: bool,
        ns_steps: u32,
    },
}

/// Second moments kept by rows and columns (<https://arxiv.org/abs/1804.04235>).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adafactor {
    /// Added to squares, and the smallest scale of a parameter.
    pub eps: (f64, f64),
    pub clip_threshold: f64,
    pub decay_rate: f64,
    pub beta1: Option<f64>,
    pub weight_decay: f64,
    pub scale_parameter: bool,
    /// The step's size follows from the count of steps, and the learning rate is not used.
    pub relative_step: bool,
    pub warmup_init: bool,
}

impl Default for Adafactor {
    fn default() -> Self {
        Self {
            eps: (1e-30, 1e-3),
            clip_threshold: 1.0,
            decay_rate: -0.8,
            beta1: None,
            weight_decay: 0.0,
            scale_parameter: true,
            relative_step: true,
            warmup_init: false,
        }
    }
}

/// The names that [`Rule::named`] knows.
const NAMES: [&str; 10] = [
    "sgd",
    "adam",
    "adamw",
    "adamax",
    "rmsprop",
    "adagrad",
    "adadelta",
    "adafactor",
    "lion",
    "muon",
];

impl Rule {
    /// The rule of a name with common settings, as a trainer has them.
    ///
    /// # Errors
    /// An unknown name, with the known ones; a weight decay for a rule that has none.
    pub fn named(name: &str, betas: (f64, f64), weight_decay: f64) -> Result<Self> {
        let (beta1, beta2) = betas;
        let eps = 1e-8;
        let adam = |decoupled| Self::Adam {
            beta1,
            beta2,
            eps,
            weight_decay,
            decoupled,
            bias_correction: true,
        };
        let rule = match name {
            "sgd" => Self::Sgd {
                momentum: 0.0,
                weight_decay,
                dampening: 0.0,
                nesterov: false,
            },
            "adam" => adam(false),
            "adamw" => adam(true),
            "adamax" => Self::Adamax { beta1, beta2, eps },
            "rmsprop" => Self::Rmsprop { alpha: 0.99, eps },
            "adagrad" => Self::Adagrad { eps },
            "adadelta" => Self::Adadelta {
                rho: 0.9,
                eps: 1e-6,
            },
            "lion" => Self::Lion {
                beta1,
                beta2,
                weight_decay,
            },
            // The trainer's own learning rate and schedule hold, as in transformers.
            "adafactor" => Self::Adafactor(Adafactor {
                weight_decay,
                scale_parameter: false,
                relative_step: false,
                ..Adafactor::default()
            }),
            "muon" => Self::Muon {
                momentum: 0.95,
                weight_decay,
                nesterov: true,
                ns_steps: 5,
            },
            other => {
                let hint = nearest(other, NAMES)
                    .map(|name| format!("`{name}`, or one of "))
                    .unwrap_or_default();
                let expected = format!("{hint}{}", NAMES.join(", "));
                return Err(Error::setting("optimizer", other, &expected));
            }
        };
        match rule.without_decay() == rule && weight_decay != 0.0 {
            true => Err(Error::setting(
                "weight_decay",
                weight_decay,
                &format!("0 with {name}, which has none"),
            )),
            false => Ok(rule),
        }
    }

    /// An error for the first setting out of its range.
    pub fn check(self) -> Result<()> {
        let share = |name: &str, value: f64| match (0.0..1.0).contains(&value) {
            true => Ok(()),
            false => Err(Error::setting(name, value, "a number from 0 to below 1")),
        };
        let positive = |name: &str, value: f64| match value >= 0.0 && value.is_finite() {
            true => Ok(()),
            false => Err(Error::setting(name, value, "0 or a positive number")),
        };
        match self {
            Self::Sgd {
                momentum,
                weight_decay,
                dampening,
                nesterov,
            } => {
                if nesterov && (momentum <= 0.0 || dampening != 0.0) {
                    let expected = "false, or a momentum above 0 and no dampening";
                    return Err(Error::setting("nesterov", "true", expected));
                }
                positive("momentum", momentum)?;
                positive("weight_decay", weight_decay)
            }
            Self::Adam {
                beta1,
                beta2,
                eps,
                weight_decay,
                ..
            } => {
                share("betas", beta1)?;
                share("betas", beta2)?;
                positive("eps", eps)?;
                positive("weight_decay", weight_decay)
            }
            Self::Adamax { beta1, beta2, eps } => {
                share("betas", beta1)?;
                share("betas", beta2)?;
                positive("eps", eps)
            }
            Self::Rmsprop { alpha: past, eps } | Self::Adadelta { rho: past, eps } => {
                positive("the share of the past", past)?;
                positive("eps", eps)
            }
            Self::Adagrad { eps } => positive("eps", eps),
            Self::Lion {
                beta1,
                beta2,
                weight_decay,
            } => {
                share("betas", beta1)?;
                share("betas", beta2)?;
                positive("weight_decay", weight_decay)
            }
            Self::Adafactor(a) => {
                share("beta_1", a.beta1.unwrap_or(0.0))?;
                positive("clip_threshold", a.clip_threshold)?;
                positive("weight_decay", a.weight_decay)
            }
            Self::Muon {
                momentum,
                weight_decay,
                ..
            } => {
                share("momentum", momentum)?;
                positive("weight_decay", weight_decay)
            }
        }
    }

    /// The same rule for a parameter that does not decay.
    pub(super) fn without_decay(mut self) -> Self {
        match &mut self {
            Self::Sgd { weight_decay, .. }
            | Self::Adam { weight_decay, .. }
            | Self::Lion { weight_decay, .. }
            | Self::Adafactor(Adafactor { weight_decay, .. })
            | Self::Muon { weight_decay, .. } => *weight_decay = 0.0,
            Self::Adamax { .. }
            | Self::Rmsprop { .. }
            | Self::Adagrad { .. }
            | Self::Adadelta { .. } => {}
        }
        self
    }

    /// Names of the arrays that are kept for a parameter of a shape, in MLX's words and in
    /// alphabetical order.
    pub fn slots(self, shape: &[i32]) -> Vec<&'static str> {
        match self {
            Self::Sgd { momentum: 0.0, .. } => vec![],
            Self::Sgd { .. } | Self::Rmsprop { .. } | Self::Adagrad { .. } | Self::Muon { .. } => {
                vec!["v"]
            }
            Self::Adam { .. } | Self::Adamax { .. } => vec!["m", "v"],
            Self::Adadelta { .. } => vec!["u", "v"],
            Self::Lion { .. } => vec!["m"],
            Self::Adafactor(a) => {
                let mut names = if a.beta1.is_some() {
                    vec!["exp_avg"]
                } else {
                    vec![]
                };
                match shape.len() {
                    0 | 1 => names.push("exp_avg_sq"),
                    _ => names.extend(["exp_avg_sq_col", "exp_avg_sq_row"]),
                }
                names
            }
        }
    }

    /// The shapes of the slots of a parameter.
    pub(super) fn slot_shapes(self, shape: &[i32]) -> Vec<Vec<i32>> {
        let slot = |name: &&str| {
            let mut shape = shape.to_vec();
            match *name {
                "exp_avg_sq_row" => drop(shape.pop()),
                "exp_avg_sq_col" => drop(shape.remove(shape.len() - 2)),
                _ => {}
            }
            shape
        };
        self.slots(shape).iter().map(slot).collect()
    }

    /// What is kept for a parameter before the first step, f32.
    pub(super) fn fresh_state(self, shape: &[i32]) -> Result<Vec<Array>> {
        let zeros = |shape: &Vec<i32>| Ok(ops::zeros_dtype(shape, Dtype::Float32)?);
        self.slot_shapes(shape).iter().map(zeros).collect()
    }
}
