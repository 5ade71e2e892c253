//! One step of the optimiser.

use super::OptimSettings;
use crate::error::{Error, Result};
use crate::mlx::{self, Array, autograd};
use crate::models::Qwen3;
use crate::nn::Params;
use crate::optim::{Optimizer, clip_grad_norm, grad_norm};
use crate::tensor::item;

/// The outputs of a function of the model, and the gradient of the first by every weight that is
/// trained: the adapters where there are any.
///
/// `f` gets the model with traced weights in its leaves and runs its ordinary `forward`.
pub fn loss_and_grads(
    model: &Qwen3,
    mut f: impl FnMut(&Qwen3) -> Result<Vec<Array>>,
) -> Result<(Vec<Array>, Vec<Array>)> {
    model.check_trainable()?;
    let trained = model.trained_arrays();
    autograd::value_and_grad(|arrays| f(&model.with_trained(arrays)), &trained)
}

/// What a step did.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Norm of the gradient before clipping.
    pub grad_norm: f64,
    pub learning_rate: f64,
    /// True if the gradient was not finite and nothing was changed.
    pub skipped: bool,
}

/// Accumulates gradients and applies them.
#[derive(Debug)]
pub struct Stepper {
    pub optimizer: Optimizer,
    pub settings: OptimSettings,
    accumulated: Option<Vec<Array>>,
    non_finite: u32,
}

/// Whether something is due after a step that happens every so many; 0 is never.
pub fn every(steps: u64, step: u64) -> bool {
    steps > 0 && step.is_multiple_of(steps)
}

impl Stepper {
    /// # Errors
    /// A setting out of its range.
    pub fn new(settings: OptimSettings) -> Result<Self> {
        settings.check()?;
        Ok(Self {
            optimizer: settings.optimizer()?,
            settings,
            accumulated: None,
            non_finite: 0,
        })
    }

    /// Adds the gradients of one micro-batch, and computes them so that its graph can go.
    pub fn accumulate(&mut self, grads: Vec<Array>) -> Result<()> {
        let sum = match self.accumulated.take() {
            None => grads,
            Some(old) => old
                .iter()
                .zip(&grads)
                .map(|(a, b)| Ok(a.add(b)?))
                .collect::<Result<_>>()?,
        };
        mlx::eval(&sum)?;
        self.accumulated = Some(sum);
        Ok(())
    }

    /// Forgets what was accumulated, after an error or an interrupt.
    pub fn discard(&mut self) {
        self.accumulated = None;
    }

    /// How many steps in a row had no usable gradient.
    pub fn non_finite(&self) -> u32 {
        self.non_finite
    }

    /// Goes on with a checkpoint's optimiser; what was accumulated is forgotten.
    pub fn restore(&mut self, optimizer: Optimizer, non_finite: u32) {
        self.optimizer = optimizer;
        self.non_finite = non_finite;
        self.discard();
    }

    /// Applies the accumulated gradients to the model, at the rate of `step` (from 0) of
    /// `total_steps`. A loss or a gradient that is not finite changes nothing.
    ///
    /// # Errors
    /// Too many steps in a row without a finite gradient.
    pub fn apply(
        &mut self,
        model: &mut Qwen3,
        is_finite: bool,
        step: u64,
        total_steps: u64,
    ) -> Result<Outcome> {
        let learning_rate = self.settings.schedule(total_steps).rate(step);
        let mut outcome = Outcome {
            grad_norm: 0.0,
            learning_rate,
            skipped: true,
        };
        let Some(grads) = self.accumulated.take() else {
            return Ok(outcome);
        };
        let (grads, norm) = if self.settings.max_grad_norm > 0.0 {
            clip_grad_norm(&grads, self.settings.max_grad_norm)?
        } else {
            let norm = grad_norm(&grads)?;
            (grads, norm)
        };
        outcome.grad_norm = f64::from(item(&norm)?);
        if !(is_finite && outcome.grad_norm.is_finite()) {
            self.non_finite += 1;
            if self.non_finite >= self.settings.max_skipped_steps {
                return Err(Error::NonFinite {
                    what: if is_finite {
                        "the gradient"
                    } else {
                        "the loss"
                    },
                    times: self.non_finite,
                    step: step + 1,
                });
            }
            return Ok(outcome);
        }
        self.non_finite = 0;
        self.optimizer.begin(&model.trained_arrays(), &grads)?;
        // One parameter after another, so that the old and the new values of one only are in
        // memory at a time.
        let mut grads = grads.into_iter().enumerate();
        model.change_trained(&mut |place| {
            let Some((i, grad)) = grads.next() else {
                return Ok(());
            };
            *place = self.optimizer.advance(i, place, &grad, learning_rate)?;
            drop(grad);
            mlx::eval(std::iter::once(&*place).chain(self.optimizer.kept(i)))
        })?;
        outcome.skipped = false;
        Ok(outcome)
    }

    /// The optimiser's arrays, named after the model's weights.
    pub fn state(&self, model: &Qwen3) -> Vec<(String, Array)> {
        let names: Vec<String> = model.trained().into_iter().map(|(name, _)| name).collect();
        self.optimizer.arrays(&names)
    }
}
