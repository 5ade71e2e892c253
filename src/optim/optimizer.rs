//! A rule with what it remembers.

use super::rule::Rule;
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype};

/// A rule and what it remembers of each parameter, in f32.
///
/// A trainer's keeps a master copy in f32 of parameters of another dtype: a step of a bf16 weight
/// is often smaller than its precision and would be lost.
#[derive(Clone, Debug)]
pub struct Optimizer {
    rule: Rule,
    state: Vec<Vec<Array>>,
    masters: Vec<Option<Array>>,
    steps: u64,
    decay_vectors: bool,
    has_masters: bool,
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
            has_masters: true,
            state: Vec::new(),
            masters: Vec::new(),
            steps: 0,
        }
    }

    /// An optimiser of which a parameter's next value follows from the one it is given, as in MLX:
    /// everything decays, and there are no master copies.
    pub fn functional(rule: Rule) -> Self {
        Self {
            has_masters: false,
            ..Self::new(rule, true)
        }
    }

    /// What is kept for each parameter, in the order of [`Rule::slots`].
    pub fn state(&self) -> &[Vec<Array>] {
        &self.state
    }

    /// Goes on from what [`state`](Self::state) gave after so many steps.
    pub fn set_state(&mut self, state: Vec<Vec<Array>>, steps: u64) {
        self.masters = vec![None; state.len()];
        (self.state, self.steps) = (state, steps);
    }

    /// The rule.
    pub fn rule(&self) -> Rule {
        self.rule
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
        self.begin(params, grads)?;
        let pairs = params.iter().zip(grads).enumerate();
        pairs
            .map(|(i, (param, grad))| self.advance(i, param, grad, learning_rate))
            .collect()
    }

    /// Begins a step, of which [`advance`](Self::advance) is asked for each parameter in turn.
    ///
    /// # Errors
    /// Gradients or a state that are not those of the parameters; nothing is changed then.
    pub fn begin(&mut self, params: &[Array], grads: &[Array]) -> Result<()> {
        self.check(params, grads)?;
        self.prepare(params)?;
        self.steps += 1;
        Ok(())
    }

    /// Parameter number `i` after the step that has begun.
    pub fn advance(
        &mut self,
        i: usize,
        param: &Array,
        grad: &Array,
        learning_rate: f64,
    ) -> Result<Array> {
        let grad = grad.as_dtype(Dtype::Float32)?;
        let full = self.masters[i].as_ref().unwrap_or(param);
        let decays = self.decay_vectors || param.ndim() >= 2;
        let rule = if decays {
            self.rule
        } else {
            self.rule.without_decay()
        };
        let full = full.as_dtype(Dtype::Float32)?;
        let state = &mut self.state[i];
        let next = rule.step(&full, &grad, state, learning_rate, self.steps)?;
        let updated = next.as_dtype(param.dtype())?;
        if self.masters[i].is_some() {
            self.masters[i] = Some(next);
        }
        Ok(updated)
    }

    /// What is kept for parameter number `i`, its master copy included.
    pub fn kept(&self, i: usize) -> impl Iterator<Item = &Array> {
        self.state[i].iter().chain(&self.masters[i])
    }

    /// Gradients and state must be those of the parameters, one by one.
    fn check(&self, params: &[Array], grads: &[Array]) -> Result<()> {
        if params.len() != grads.len() {
            let found = format!("{} for {} parameters", grads.len(), params.len());
            return Err(Error::value("gradients", found, "one for each parameter"));
        }
        if !self.state.is_empty() && self.state.len() != params.len() {
            let expected = format!("the {} of the steps before", self.state.len());
            return Err(Error::value("parameters", params.len(), &expected));
        }
        for (i, (param, grad)) in params.iter().zip(grads).enumerate() {
            if !param.dtype().is_float() {
                let found = format!(
                    "parameter {i} of {}",
                    crate::tensor::dtype::name(param.dtype())
                );
                return Err(Error::value("parameters", found, "floats"));
            }
            if param.shape() != grad.shape() {
                let expected = format!("{:?}, as its parameter {i}", param.shape());
                return Err(Error::shape("gradient", expected, grad.shape()));
            }
            let Some(state) = self.state.get(i) else {
                continue;
            };
            let kept = state.iter().map(Array::shape);
            if !kept.eq(self.rule.slot_shapes(param.shape())) {
                let found = format!("that of another parameter than {:?}", param.shape());
                return Err(Error::value(
                    "optimizer state",
                    found,
                    "a new optimizer for new parameters",
                ));
            }
        }
        Ok(())
    }

    fn prepare(&mut self, params: &[Array]) -> Result<()> {
        if self.state.len() == params.len() {
            return Ok(());
        }
        for param in params {
            self.state.push(self.rule.fresh_state(param.shape())?);
            self.masters
                .push(if !self.has_masters || param.dtype() == Dtype::Float32 {
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
