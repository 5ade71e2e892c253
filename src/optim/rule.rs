//! Update rules with their state.

use crate::error::{Error, Result, nearest};
use crate::mlx::{Array, Dtype};
use mlx_rs::ops;

/// How a gradient becomes a step. Settings are f64: in f32 `1 - beta2` is off by 5e-5.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// `v = momentum v + g`, `p -= lr v`.
    Sgd { momentum: f64, weight_decay: f64 },
    /// Adam (<https://arxiv.org/abs/1412.6980>) with bias correction. With `decoupled` the decay
    /// is that of AdamW (<https://arxiv.org/abs/1711.05101>), otherwise it is added to the
    /// gradient; both as PyTorch.
    Adam {
        beta1: f64,
        beta2: f64,
        eps: f64,
        weight_decay: f64,
        decoupled: bool,
    },
}

impl Rule {
    /// The rule of a name with common settings.
    ///
    /// # Errors
    /// An unknown name; the error lists the known ones.
    pub fn named(name: &str, betas: (f64, f64), weight_decay: f64) -> Result<Self> {
        let adam = |decoupled| Self::Adam {
            beta1: betas.0,
            beta2: betas.1,
            eps: 1e-8,
            weight_decay,
            decoupled,
        };
        match name {
            "sgd" => Ok(Self::Sgd {
                momentum: 0.0,
                weight_decay,
            }),
            "adam" => Ok(adam(false)),
            "adamw" => Ok(adam(true)),
            other => {
                let names = ["sgd", "adam", "adamw"];
                let hint = nearest(other, names)
                    .map(|name| format!("`{name}`, or one of "))
                    .unwrap_or_default();
                let expected = format!("{hint}{}", names.join(", "));
                Err(Error::setting("optimizer", other, &expected))
            }
        }
    }

    /// The same rule for a parameter that does not decay.
    fn without_decay(mut self) -> Self {
        match &mut self {
            Self::Sgd { weight_decay, .. } | Self::Adam { weight_decay, .. } => *weight_decay = 0.0,
        }
        self
    }

    /// How many arrays of state each parameter has.
    fn slots(self) -> usize {
        match self {
            Self::Sgd { momentum: 0.0, .. } => 0,
            Self::Sgd { .. } => 1,
            Self::Adam { .. } => 2,
        }
    }
}

/// A rule and what it remembers of each parameter, in f32.
///
/// Parameters of another dtype have a master copy in f32 here: a step of a bf16 weight is often
/// smaller than its precision and would be lost.
#[derive(Clone, Debug)]
pub struct Optimizer {
    rule: Rule,
    state: Vec<Vec<Array>>,
    masters: Vec<Option<Array>>,
    steps: u64,
    decay_vectors: bool,
}

impl Optimizer {
    /// A fresh optimiser; its state is made with the first step.
    ///
    /// Without `decay_vectors` weight decay acts on matrices only: transformers excludes norms
    /// and biases.
    pub fn new(rule: Rule, decay_vectors: bool) -> Self {
        Self {
            rule,
            decay_vectors,
            state: Vec::new(),
            masters: Vec::new(),
            steps: 0,
        }
    }

    /// How many steps were taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The parameters after one step; nothing is computed before they are evaluated.
    pub fn update(
        &mut self,
        params: &[Array],
        grads: &[Array],
        learning_rate: f64,
    ) -> Result<Vec<Array>> {
        self.prepare(params)?;
        self.steps += 1;
        let mut updated = Vec::with_capacity(params.len());
        for (i, (param, grad)) in params.iter().zip(grads).enumerate() {
            let grad = grad.as_dtype(Dtype::Float32)?;
            let full = self.masters[i].as_ref().unwrap_or(param);
            let decays = self.decay_vectors || param.ndim() >= 2;
            let rule = if decays {
                self.rule
            } else {
                self.rule.without_decay()
            };
            let count = self.steps as i32;
            let next = rule.step(full, &grad, &mut self.state[i], learning_rate, count)?;
            updated.push(next.as_dtype(param.dtype())?);
            if self.masters[i].is_some() {
                self.masters[i] = Some(next);
            }
        }
        Ok(updated)
    }

    fn prepare(&mut self, params: &[Array]) -> Result<()> {
        if self.state.len() == params.len() {
            return Ok(());
        }
        for param in params {
            let zeros = ops::zeros_dtype(param.shape(), Dtype::Float32)?;
            self.state.push(vec![zeros; self.rule.slots()]);
            self.masters.push(if param.dtype() == Dtype::Float32 {
                None
            } else {
                Some(param.as_dtype(Dtype::Float32)?)
            });
        }
        Ok(())
    }

    /// Every array that the next step depends on, named after the parameters.
    pub fn arrays(&self, names: &[String]) -> Vec<(String, Array)> {
        let mut list = Vec::new();
        for (i, name) in names.iter().enumerate().take(self.state.len()) {
            for (slot, array) in self.state[i].iter().enumerate() {
                list.push((format!("{name}.state.{slot}"), array.clone()));
            }
            if let Some(master) = &self.masters[i] {
                list.push((format!("{name}.master"), master.clone()));
            }
        }
        list
    }

    /// Puts back what [`arrays`](Self::arrays) gave, after so many steps.
    ///
    /// # Errors
    /// An array that is missing, by name.
    pub fn restore(
        &mut self,
        params: &[(String, Array)],
        mut arrays: impl FnMut(&str) -> Option<Array>,
        steps: u64,
    ) -> Result<()> {
        let plain: Vec<Array> = params.iter().map(|(_, array)| array.clone()).collect();
        (self.state, self.masters) = (Vec::new(), Vec::new());
        self.prepare(&plain)?;
        self.steps = steps;
        if steps == 0 {
            return Ok(());
        }
        for (i, (name, _)) in params.iter().enumerate() {
            let mut take = |key: String| {
                arrays(&key).ok_or_else(|| {
                    Error::value(
                        "optimizer state",
                        format!("`{key}` missing"),
                        "a whole checkpoint",
                    )
                })
            };
            for slot in 0..self.state[i].len() {
                self.state[i][slot] = take(format!("{name}.state.{slot}"))?;
            }
            if self.masters[i].is_some() {
                self.masters[i] = Some(take(format!("{name}.master"))?);
            }
        }
        Ok(())
    }
}

impl Rule {
    /// One step of one parameter, in f32; `count` is 1 for the first.
    fn step(
        self,
        param: &Array,
        grad: &Array,
        state: &mut [Array],
        lr: f64,
        count: i32,
    ) -> Result<Array> {
        let number = |x: f64| Array::from_f32(x as f32);
        match self {
            Self::Sgd {
                momentum,
                weight_decay,
            } => {
                let mut step = if weight_decay == 0.0 {
                    grad.clone()
                } else {
                    grad.add(param.multiply(number(weight_decay))?)?
                };
                if let Some(velocity) = state.first_mut() {
                    step = velocity.multiply(number(momentum))?.add(step)?;
                    *velocity = step.clone();
                }
                Ok(param.subtract(step.multiply(number(lr))?)?)
            }
            Self::Adam {
                beta1,
                beta2,
                eps,
                weight_decay,
                decoupled,
            } => {
                let mut param = param.clone();
                let mut grad = grad.clone();
                if weight_decay != 0.0 && decoupled {
                    param = param.multiply(number(1.0 - lr * weight_decay))?;
                } else if weight_decay != 0.0 {
                    grad = grad.add(param.multiply(number(weight_decay))?)?;
                }
                let mean = state[0]
                    .multiply(number(beta1))?
                    .add(grad.multiply(number(1.0 - beta1))?)?;
                let square = state[1]
                    .multiply(number(beta2))?
                    .add(grad.square()?.multiply(number(1.0 - beta2))?)?;
                let correct = |beta: f64| 1.0 - beta.powi(count);
                let size = lr / correct(beta1);
                let root = (1.0 / correct(beta2)).sqrt();
                let denominator = square.sqrt()?.multiply(number(root))?.add(number(eps))?;
                let step = mean.multiply(number(size))?.divide(denominator)?;
                state[0] = mean;
                state[1] = square;
                Ok(param.subtract(step)?)
            }
        }
    }
}
