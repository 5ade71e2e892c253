//! One update: from a scored batch of completions to a step of the optimiser.

use super::gathered::{Gathered, compared, masked_mean};
use super::lesson::{Entropies, Lesson};
use super::loss::{LossInputs, LossSettings, Ratio, loss};
use super::sample::Scored;
use super::trainer::GrpoTrainer;
use crate::error::Result;
use crate::mlx::autograd::stop_gradient;
use crate::mlx::random::derive;
use crate::mlx::{self, Array, autograd, interrupt};
use crate::nn::Params;
use crate::tensor::to_f32;
use crate::text::change;
use crate::train::{BackwardSettings, Metrics, TargetGrads, TargetScores, gradients};

/// A loss of the log-probabilities of a batch: the built-in one, or a script's.
pub trait PolicyLoss {
    /// The loss `[]`, differentiable by the log-probabilities and the entropies, and numbers to
    /// watch, `[]` each.
    fn loss(
        &mut self,
        inputs: &LossInputs,
        settings: &LossSettings,
    ) -> Result<(Array, Vec<(String, Array)>)>;

    /// Whether it is the built-in one, of which it is known what it depends on.
    fn is_built_in(&self) -> bool {
        false
    }
}

/// [`loss`] as `loss_type` says.
pub struct BuiltIn;

impl PolicyLoss for BuiltIn {
    fn loss(
        &mut self,
        inputs: &LossInputs,
        settings: &LossSettings,
    ) -> Result<(Array, Vec<(String, Array)>)> {
        loss(inputs, settings)
    }

    fn is_built_in(&self) -> bool {
        true
    }
}

/// The size of a step.
struct Whole {
    rows: usize,
    /// Tokens that count.
    tokens: usize,
    /// Those of them that something is learnt from, and their rows.
    learnt: usize,
    learnt_rows: usize,
}

impl GrpoTrainer {
    /// `num_iterations` updates on one batch of completions.
    pub(super) fn learn(
        &mut self,
        scored: &Scored,
        total: u64,
        loss: &mut dyn PolicyLoss,
        metrics: &mut Metrics,
    ) -> Result<()> {
        let lessons = self.lessons(scored, loss.is_built_in())?;
        let outputs = scored.rollout.outputs.iter();
        let whole = Whole {
            rows: scored.rollout.outputs.len(),
            tokens: outputs.map(|output| self.counted(output)).sum(),
            learnt: lessons.iter().map(|lesson| lesson.tokens).sum(),
            learnt_rows: lessons.iter().map(|lesson| lesson.part.rows.len()).sum(),
        };
        let mut skipped = 0;
        for iteration in 0..self.settings.num_iterations {
            let mut gathered = Gathered::default();
            let entropies = self.entropies_of_step(&lessons)?;
            for (i, lesson) in lessons.iter().enumerate() {
                // Once the weights have moved, the step is finished: half of it could not be told
                // from a whole one when the run goes on.
                let outcome = match iteration {
                    0 => interrupt::check(),
                    _ => Ok(()),
                };
                let outcome = outcome.and_then(|()| {
                    self.backward(&whole, lesson, i, &entropies, loss, &mut gathered)
                });
                if let Err(error) = outcome {
                    self.stepper.discard();
                    return Err(error);
                }
            }
            let value = gathered.0.iter().find(|(name, _)| name == "loss");
            let is_finite = value.is_none_or(|(_, value)| value.is_finite());
            let mut model = change(&self.model)?;
            let outcome = self
                .stepper
                .apply(&mut model.network, is_finite, self.step, total)?;
            drop(model);
            metrics.set("grad_norm", outcome.grad_norm);
            metrics.set("learning_rate", outcome.learning_rate);
            skipped += u32::from(outcome.skipped);
            metrics.set("skipped", f64::from(skipped));
            for (name, value) in gathered.0 {
                // How far the sampler was off is known before the weights move, not after.
                if iteration == 0 || !name.starts_with("sampling/") {
                    metrics.set(name, value);
                }
            }
        }
        self.sync_reference()
    }

    /// Loss and gradient of a micro-batch, added to what is accumulated.
    fn backward(
        &mut self,
        whole: &Whole,
        lesson: &Lesson,
        index: usize,
        step: &Entropies,
        policy_loss: &mut dyn PolicyLoss,
        gathered: &mut Gathered,
    ) -> Result<()> {
        let part = |tokens: usize| lesson.tokens as f64 / tokens.max(1) as f64;
        let (of_tokens, of_learnt) = (part(whole.tokens), part(whole.learnt));
        let of_rows = lesson.part.rows.len() as f64 / whole.rows as f64;
        // What the loss divides by in itself says which share of the step this part is. Without any
        // token that counts the loss is 0, whatever the share.
        let share = match self.settings.loss.loss_type.is_by_local_tokens() {
            true if lesson.tokens > 0 => of_tokens,
            _ => of_rows,
        };
        let batch = &lesson.part.batch;
        let sampled = batch.to_rows(&lesson.behaviour)?;
        let reference = match &lesson.reference {
            Some(logprobs) => Some(batch.to_rows(logprobs)?),
            None => None,
        };
        // With one update the policy that sampled is the one that is trained: the ratio is 1.
        let old = (self.settings.num_iterations > 1).then_some(&sampled);
        let mut watched: Vec<(String, f64)> = Vec::new();
        let by_targets = |found: &TargetScores| -> Result<TargetGrads> {
            let Some(entropies) = &found.entropies else {
                return Err(crate::error::Error::Mlx(
                    "no entropies were computed".into(),
                ));
            };
            // 1. The loss as a function of the log-probabilities and entropies of the targets.
            let mut names = Vec::new();
            let run = |args: &[Array]| -> Result<Vec<Array>> {
                let logprobs = batch.to_rows(&args[0])?;
                let entropies = batch.to_rows(&args[1])?;
                // A loss of a script's own may look at them.
                let detached = stop_gradient(&logprobs)?;
                let same = (!policy_loss.is_built_in()).then_some(&detached);
                let inputs = LossInputs {
                    old_logprobs: old.or(same),
                    ref_logprobs: reference.as_ref(),
                    sampling_logprobs: Some(&sampled),
                    entropies: Some(&entropies),
                    entropy_kept: step.kept.as_ref().map(|kept| &kept[index]),
                    num_entropies: step.reach,
                    num_items_in_batch: Some(whole.tokens as f32),
                    max_completion_length: Some(self.settings.max_completion_length as i32),
                    gradient_accumulation_steps: (1.0 / share) as f32,
                    ..LossInputs::new(&logprobs, &lesson.advantages, &lesson.mask)
                };
                let (value, numbers) = policy_loss.loss(&inputs, &self.settings.loss)?;
                names = numbers.iter().map(|(name, _)| name.clone()).collect();
                let mut outputs = vec![value];
                outputs.extend(numbers.into_iter().map(|(_, number)| number));
                Ok(outputs)
            };
            let args = [found.logprobs.clone(), entropies.clone()];
            let (values, mut grads) = autograd::value_and_grad(run, &args)?;
            mlx::eval(values.iter().chain(&grads))?;
            // 2. Numbers to watch.
            for (name, value) in std::iter::once("loss".into()).chain(names).zip(&values) {
                watched.push((name, f64::from(to_f32(value)?[0])));
            }
            // The entropy is known in any case, not only to a loss with a bonus.
            watched.retain(|(name, _)| name != "entropy");
            let rows = |values: &Array| to_f32(&batch.to_rows(values)?);
            let mask = to_f32(&lesson.mask)?;
            watched.extend(compared(
                &mask,
                &rows(&found.logprobs)?,
                &rows(&lesson.behaviour)?,
            ));
            let mean = masked_mean(&mask, &rows(entropies)?, f64::from);
            watched.push(("entropy".into(), mean));
            // 3. A bonus for entropy is the only thing that moves it.
            let has_bonus = self.settings.loss.entropy_coef != 0.0 || !policy_loss.is_built_in();
            let by_entropies = grads.pop().filter(|_| has_bonus);
            Ok(TargetGrads {
                logprobs: grads.swap_remove(0),
                entropies: by_entropies,
            })
        };
        let seed = derive(self.settings.seed, 2);
        let seed = derive(derive(seed, self.stepper.optimizer.steps()), index as u64);
        let network = self.model.borrow().network.with_dropout(seed)?;
        let settings = BackwardSettings {
            head: self.head(true),
            gradient_checkpointing: self.settings.gradient_checkpointing,
            router_aux_loss_coef: self.settings.router_aux_loss_coef * of_rows as f32,
        };
        let found = gradients(&network, batch, &settings, by_targets)?;
        drop(network);
        self.stepper.accumulate(found.arrays)?;
        for (name, value) in watched {
            match name.as_str() {
                "loss" => gathered.mean(&name, value, 1.0),
                "policy_loss" => gathered.mean(&name, value, share),
                // A part without tokens has no smallest and no largest.
                "clip_ratio/low_min" | "clip_ratio/high_max" if lesson.tokens == 0 => {}
                // A completion that is neither better nor worse is never clipped.
                clipped if clipped.contains("clip_ratio") => {
                    let share = match self.settings.loss.importance_sampling_level {
                        Ratio::Token => of_tokens,
                        Ratio::Sequence => of_rows,
                    };
                    gathered.mean(&name, value, share);
                    if clipped.ends_with("low_min") && whole.learnt_rows < whole.rows {
                        gathered.mean(&name, 0.0, share);
                    }
                }
                // A mean over sequences.
                "vespo/phi_seq_mean" => {
                    let rows = lesson.part.rows.len() as f64;
                    gathered.mean(&name, value, rows / whole.learnt_rows.max(1) as f64);
                }
                _ => gathered.mean(&name, value, of_learnt),
            }
        }
        if let Some(aux) = found.aux_loss {
            let aux = f64::from(aux);
            gathered.mean("aux_loss", aux, of_rows);
            let weight = f64::from(self.settings.router_aux_loss_coef);
            gathered.mean("loss", weight * aux * of_rows, 1.0);
        }
        Ok(())
    }

    /// Moves the reference towards the model, every `ref_sync_steps` (TR-DPO,
    /// <https://arxiv.org/abs/2404.09656>).
    fn sync_reference(&mut self) -> Result<()> {
        let every = self.settings.ref_sync_steps;
        if every == 0 || !(self.step + 1).is_multiple_of(every) {
            return Ok(());
        }
        let Some(reference) = &mut self.reference else {
            return Ok(());
        };
        let alpha = self.settings.ref_model_mixup_alpha;
        let trained = self.model.borrow().network.trained_arrays();
        let mixed: Vec<Array> = (reference.trained_arrays().iter().zip(&trained))
            .map(|(old, new)| {
                let kept = old.multiply(Array::from_f32(1.0 - alpha).as_dtype(old.dtype())?)?;
                let taken = new.multiply(Array::from_f32(alpha).as_dtype(new.dtype())?)?;
                Ok(kept.add(taken)?)
            })
            .collect::<Result<_>>()?;
        mlx::eval(&mixed)?;
        reference.set_trained(&mixed);
        Ok(())
    }
}
