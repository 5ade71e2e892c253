//! One update: from a scored batch of completions to a step of the optimiser.

use super::RewardOutput;
use super::loss::{LossInputs, LossSettings, entropy_threshold, loss};
use super::micro::{MicroBatch, micro_batches};
use super::sample::Scored;
use super::trainer::GrpoTrainer;
use crate::error::Result;
use crate::generate::Finish;
use crate::mlx::random::derive;
use crate::mlx::{self, Array, autograd, interrupt};
use crate::models::Qwen3;
use crate::nn::Params;
use crate::tensor::{item, to_f32};
use crate::text::change;
use crate::train::{
    BackwardSettings, HeadSettings, Metrics, TargetGrads, TargetScores, gradients, scores,
};

/// A loss of the log-probabilities of a batch: the built-in one, or a script's.
pub trait PolicyLoss {
    /// The loss `[]`, differentiable by the log-probabilities and the entropies, and numbers to
    /// watch, `[]` each.
    fn loss(
        &mut self,
        inputs: &LossInputs,
        settings: &LossSettings,
    ) -> Result<(Array, Vec<(String, Array)>)>;
}

/// [`loss`](super::loss::loss) as `loss_type` says.
pub struct BuiltIn;

impl PolicyLoss for BuiltIn {
    fn loss(
        &mut self,
        inputs: &LossInputs,
        settings: &LossSettings,
    ) -> Result<(Array, Vec<(String, Array)>)> {
        loss(inputs, settings)
    }
}

/// What a micro-batch is learnt from, the same in every iteration.
struct Lesson {
    part: MicroBatch,
    /// `[B]`
    advantages: Array,
    /// `[B, T]`: 1 for tokens that count.
    mask: Array,
    /// `[N]`: the log-probabilities at sampling time.
    behaviour: Array,
    /// `[N]`: those of the reference model, where there is one.
    reference: Option<Array>,
    /// How many tokens count.
    tokens: usize,
}

/// The size of a step.
struct Whole {
    rows: usize,
    /// Tokens that count.
    tokens: usize,
    /// Those of them that something is learnt from.
    learnt: usize,
}

/// What a micro-batch must know of the entropies of its step.
struct Entropies {
    threshold: Option<f32>,
    /// How many tokens a bonus is the mean of.
    reach: Option<f32>,
}

/// The numbers of a step, gathered over its micro-batches.
#[derive(Default)]
struct Gathered(Vec<(String, f64)>);

impl Gathered {
    fn with(&mut self, name: &str, value: f64, join: impl Fn(f64, f64) -> f64) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = join(*old, value),
            None => self.0.push((name.to_string(), value)),
        }
    }

    /// A mean over tokens, of which this part has a share; extremes stay extremes.
    fn mean(&mut self, name: &str, value: f64, share: f64) {
        if name.ends_with("max") {
            self.with(name, value, f64::max);
        } else if name.ends_with("min") {
            self.with(name, value, f64::min);
        } else {
            self.with(name, value * share, |a, b| a + b);
        }
    }
}

impl GrpoTrainer {
    /// The model that `beta` holds the trained one to.
    fn reference(&self) -> Option<Qwen3> {
        let network = &self.model.borrow().network;
        match &self.reference {
            None if self.settings.loss.beta > 0.0 => Some(network.without_adapters()),
            kept => kept.clone(),
        }
    }

    fn head(&self, entropies: bool) -> HeadSettings {
        HeadSettings {
            temperature: self.settings.sampler.logprob_temperature(),
            chunk_size: self.settings.logprob_chunk_size,
            entropies,
        }
    }

    /// `num_iterations` updates on one batch of completions.
    pub(super) fn learn(
        &mut self,
        scored: &Scored,
        total: u64,
        loss: &mut dyn PolicyLoss,
        metrics: &mut Metrics,
    ) -> Result<()> {
        let lessons = self.lessons(scored)?;
        let outputs = scored.rollout.outputs.iter();
        let whole = Whole {
            rows: scored.rollout.outputs.len(),
            tokens: outputs.map(|output| self.counted(output)).sum(),
            learnt: lessons.iter().map(|lesson| lesson.tokens).sum(),
        };
        let mut skipped = 0;
        for iteration in 0..self.settings.num_iterations {
            let mut gathered = Gathered::default();
            let (threshold, reach) = self.entropies_of_step(&lessons)?;
            let entropies = Entropies {
                threshold,
                reach: (lessons.len() > 1).then_some(reach as f32),
            };
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

    /// Whether anything of the loss depends on a completion.
    fn teaches(&self, scored: &Scored, row: usize) -> bool {
        let loss = &self.settings.loss;
        let others = self.is_custom
            || loss.beta > 0.0
            || loss.entropy_coef != 0.0
            || loss.top_entropy_quantile < 1.0
            || self.settings.router_aux_loss_coef > 0.0;
        others || scored.advantages[row] != 0.0
    }

    /// Constants of the step, in parts. Completions that are no better or worse than their group are
    /// left out where nothing else is learnt from them: their part of the loss is 0, and so is its
    /// gradient; they count in what it is divided by.
    fn lessons(&self, scored: &Scored) -> Result<Vec<Lesson>> {
        let reference = self.reference();
        let outputs = &scored.rollout.outputs;
        let all = 0..outputs.len();
        let mut rows: Vec<usize> = all
            .clone()
            .filter(|row| self.teaches(scored, *row))
            .collect();
        if rows.is_empty() {
            rows = all.collect();
        }
        let parts = micro_batches(&scored.rollout, rows, &self.settings);
        parts
            .into_iter()
            .map(|part| {
                let rows = || part.rows.iter().map(|row| &outputs[*row]);
                let b = part.rows.len() as i32;
                let advantages: Vec<f32> = part
                    .rows
                    .iter()
                    .map(|row| scored.advantages[*row] as f32)
                    .collect();
                let behaviour: Vec<f32> = rows()
                    .flat_map(|output| output.completion.logprobs.iter().copied())
                    .collect();
                let width = part.batch.width() as usize;
                let mut mask = vec![0.0f32; part.rows.len() * width];
                for (i, output) in rows().enumerate() {
                    mask[i * width..][..self.counted(output)].fill(1.0);
                }
                let tokens = rows().map(|output| self.counted(output)).sum();
                let reference = match &reference {
                    Some(model) => Some(scores(model, &part.batch, self.head(false))?.logprobs),
                    None => None,
                };
                Ok(Lesson {
                    advantages: Array::from_slice(&advantages, &[b]),
                    mask: Array::from_slice(&mask, &[b, width as i32]),
                    behaviour: Array::from_slice(&behaviour, &[behaviour.len() as i32]),
                    reference,
                    tokens,
                    part,
                })
            })
            .collect()
    }

    /// How many tokens of a completion count.
    fn counted(&self, output: &RewardOutput) -> usize {
        let truncated = output.completion.finish == Finish::Length;
        match truncated && self.settings.mask_truncated_completions {
            true => 0,
            false => output.completion.token_ids.len(),
        }
    }

    /// The entropy from which on a token is learnt, of all tokens of the step, and how many tokens
    /// reach it. A step in one part finds that by itself, and one that learns from all tokens need not
    /// know.
    fn entropies_of_step(&self, lessons: &[Lesson]) -> Result<(Option<f32>, usize)> {
        let share = self.settings.loss.top_entropy_quantile;
        let all = lessons.iter().map(|lesson| lesson.tokens).sum();
        if share >= 1.0 || lessons.len() < 2 {
            return Ok((None, all));
        }
        let model = self.model.borrow();
        let mut counted = Vec::with_capacity(all);
        for lesson in lessons {
            let scores = scores(&model.network, &lesson.part.batch, self.head(true))?;
            let Some(entropies) = scores.entropies else {
                continue;
            };
            let rows = to_f32(&lesson.part.batch.to_rows(&entropies)?)?;
            let pairs = rows.into_iter().zip(to_f32(&lesson.mask)?);
            counted.extend(pairs.filter(|(_, m)| *m > 0.0).map(|(entropy, _)| entropy));
        }
        if counted.is_empty() {
            return Ok((None, all));
        }
        let n = counted.len() as i32;
        let ones = mlx_rs::ops::ones::<f32>(&[n])?;
        let list = Array::from_slice(&counted, &[n]);
        let threshold = item(&entropy_threshold(&list, &ones, 1.0 - share)?)?;
        let reach = counted
            .iter()
            .filter(|entropy| **entropy >= threshold)
            .count();
        Ok((Some(threshold), reach))
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
        // What the loss divides by in itself says which share of the step this part is.
        let share = match self.settings.loss.loss_type.is_by_local_tokens() {
            true => of_tokens,
            false => of_rows,
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
                let inputs = LossInputs {
                    old_logprobs: old,
                    ref_logprobs: reference.as_ref(),
                    sampling_logprobs: Some(&sampled),
                    entropies: Some(&entropies),
                    entropy_threshold: step.threshold,
                    num_entropies: step.reach,
                    num_items_in_batch: Some(whole.tokens as f32),
                    max_completion_length: Some(self.settings.max_completion_length as i32),
                    gradient_accumulation_steps: (1.0 / share.max(f64::MIN_POSITIVE)) as f32,
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
            let has_bonus = self.settings.loss.entropy_coef != 0.0 || self.is_custom;
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
                // A completion that is neither better nor worse is never clipped.
                clipped if clipped.contains("clip_ratio") => gathered.mean(&name, value, of_tokens),
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

/// The mean of `f` of what is not masked; 0 where everything is.
fn masked_mean(mask: &[f32], values: &[f32], f: impl Fn(f32) -> f64) -> f64 {
    let pairs = mask.iter().zip(values).filter(|(m, _)| **m > 0.0);
    let (sum, count) = pairs.fold((0.0, 0), |(sum, n), (_, x)| (sum + f(*x), n + 1));
    sum / f64::from(count.max(1))
}

/// How far log-probabilities in training are from those at sampling time, under TRL's names.
fn compared(mask: &[f32], trained: &[f32], sampled: &[f32]) -> Vec<(String, f64)> {
    let differences: Vec<f32> = trained.iter().zip(sampled).map(|(a, b)| a - b).collect();
    let counted = mask.iter().zip(&differences).filter(|(m, _)| **m > 0.0);
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (_, difference) in counted {
        low = low.min(f64::from(*difference));
        high = high.max(f64::from(*difference));
    }
    if low > high {
        return Vec::new();
    }
    let ratio = |x: f32| f64::from(x).exp();
    let size = |x: f32| f64::from(x).abs();
    let name = |name: &str| format!("sampling/{name}");
    vec![
        (
            name("sampling_logp_difference/mean"),
            masked_mean(mask, &differences, size),
        ),
        (
            name("sampling_logp_difference/max"),
            low.abs().max(high.abs()),
        ),
        (name("importance_sampling_ratio/min"), low.exp()),
        (
            name("importance_sampling_ratio/mean"),
            masked_mean(mask, &differences, ratio),
        ),
        (name("importance_sampling_ratio/max"), high.exp()),
    ]
}
