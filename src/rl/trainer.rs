//! The GRPO trainer: sample, score, compare within groups, take a step.

use super::advantage::{advantages, weighted};
use super::loss::{LossInputs, loss};
use super::report::{EvalSettings, Evaluation, Report};
use super::reward::{Reward, Scores};
use super::rollout::Rollout;
use super::settings::GrpoSettings;
use crate::data::{Dataset, Row};
use crate::error::{Error, Result};
use crate::generate::{Finish, GenerateSettings};
use crate::mlx::autograd::stop_gradient;
use crate::mlx::random::derive;
use crate::mlx::{self, Array, Dtype, interrupt};
use crate::models::Qwen3;
use crate::tensor::mask::length_mask;
use crate::tensor::select::entropy;
use crate::tensor::{item, selective_log_softmax, to_f32};
use crate::text::SharedModel;
use crate::train::{
    Batch, Metrics, Observer, Progress, RunDir, Stepper, completion_logits, completion_logprobs,
    loss_and_grads, mean_and_std,
};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The curve is drawn again at most this often.
const DRAW_EVERY: Duration = Duration::from_secs(2);

/// A model in training, its settings, and what has happened so far.
#[derive(Debug)]
pub struct GrpoTrainer {
    pub model: SharedModel,
    pub settings: GrpoSettings,
    /// One entry for each step.
    pub history: Vec<Metrics>,
    pub(super) stepper: Stepper,
    /// The model as it was at the start, where `beta` needs one.
    pub(super) reference: Option<Qwen3>,
    pub(super) step: u64,
    /// Tokens of prompts and completions so far.
    pub(super) num_tokens: u64,
    run: Option<RunDir>,
    last_drawn: Option<Instant>,
}

/// What one step is computed from.
struct Scored {
    rollout: Rollout,
    scores: Scores,
    /// Weighted sums, NaN where nothing could be scored.
    rewards: Vec<f64>,
    advantages: Vec<f64>,
}

impl GrpoTrainer {
    /// # Errors
    /// A setting out of its range, or a model without a tokenizer.
    pub fn new(model: SharedModel, settings: GrpoSettings) -> Result<Self> {
        settings.check()?;
        model.borrow().tokenizer()?;
        let needs_reference = settings.loss.beta > 0.0;
        let reference = needs_reference.then(|| model.borrow().network.clone());
        Ok(Self {
            stepper: Stepper::new(settings.optim.clone())?,
            model,
            settings,
            history: Vec::new(),
            reference,
            step: 0,
            num_tokens: 0,
            run: None,
            last_drawn: None,
        })
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// The folder of the run, once there is one.
    pub fn run_dir(&self) -> Option<PathBuf> {
        let made = self.run.as_ref().map(|run| run.path().to_path_buf());
        made.or(self.settings.run_dir.clone())
    }

    /// How many steps a dataset asks for.
    ///
    /// # Errors
    /// Fewer rows than a step needs.
    pub fn total_steps(&self, dataset: &Dataset) -> Result<u64> {
        let per_epoch = dataset.rows().len() / self.settings.prompts_per_step;
        if per_epoch == 0 {
            return Err(Error::value(
                "dataset",
                format!("{} rows", dataset.rows().len()),
                &format!(
                    "at least prompts_per_step = {}",
                    self.settings.prompts_per_step
                ),
            ));
        }
        Ok(match self.settings.max_steps {
            0 => self.settings.num_epochs * per_epoch as u64,
            steps => steps,
        })
    }

    /// The rows of a step, from 0: each epoch has its own order, and what does not fill a step at
    /// its end is left out. They depend on the seed and the step only, so a resumed run goes on
    /// where it stopped.
    fn rows(&self, dataset: &Dataset, step: u64) -> Vec<Row> {
        let size = self.settings.prompts_per_step;
        let per_epoch = (dataset.rows().len() / size) as u64;
        let order = dataset.order(derive(self.settings.seed, 0), step / per_epoch);
        let first = (step % per_epoch) as usize * size;
        let chosen = order[first..first + size].iter();
        chosen.map(|i| dataset.rows()[*i].clone()).collect()
    }

    /// Trains until the dataset or `max_steps` is used up, or somebody asks to stop.
    ///
    /// Stopped or not, the run's folder then holds a checkpoint of the last whole step.
    pub fn train(
        &mut self,
        dataset: &Dataset,
        rewards: &mut [Box<dyn Reward + '_>],
        observer: &mut dyn Observer,
    ) -> Result<Report> {
        let total = self.total_steps(dataset)?;
        let (start, first) = (Instant::now(), self.step);
        let outcome = self.train_steps(dataset, rewards, observer, total, start);
        observer.end();
        // Whatever happened, what was learnt is kept.
        if self.step > first {
            self.checkpoint()?;
        }
        if !matches!(outcome, Ok(()) | Err(Error::Interrupted)) {
            outcome?;
        }
        let step = self.step;
        let run = self.run()?;
        let (run_dir, checkpoint) = (run.path().to_path_buf(), run.checkpoint(step));
        let reward = |metrics: Option<&Metrics>| metrics.and_then(|m| m.get("reward"));
        Ok(Report {
            steps: self.step - first,
            interrupted: interrupt::is_set(),
            first_reward: reward(self.history.get(first as usize)).unwrap_or(f64::NAN),
            last_reward: reward(self.history.last()).unwrap_or(f64::NAN),
            seconds: start.elapsed().as_secs_f64(),
            run_dir,
            checkpoint,
        })
    }

    fn train_steps(
        &mut self,
        dataset: &Dataset,
        rewards: &mut [Box<dyn Reward + '_>],
        observer: &mut dyn Observer,
        total: u64,
        start: Instant,
    ) -> Result<()> {
        while self.step < total {
            interrupt::check()?;
            for note in rewards.iter_mut().filter_map(|reward| reward.refresh()) {
                observer.note(&note);
            }
            let rows = self.rows(dataset, self.step);
            self.take_step(&rows, rewards, total)?;
            if let Some(metrics) = self.history.last() {
                observer.step(&Progress {
                    task: "grpo",
                    step: self.step,
                    total_steps: total,
                    elapsed: start.elapsed(),
                    metrics,
                });
            }
            let every = |steps: u64| steps > 0 && self.step.is_multiple_of(steps);
            if let (true, Some(data)) =
                (every(self.settings.eval_steps), &self.settings.eval_dataset)
            {
                let result = self.evaluate(&data.clone(), rewards, &EvalSettings::default())?;
                observer.note(&format!(
                    "step {}: evaluation reward {:.4}",
                    self.step, result.reward
                ));
            }
            if every(self.settings.save_steps) {
                self.checkpoint()?;
            }
        }
        Ok(())
    }

    /// One step on given rows; the numbers of the step.
    pub fn step(&mut self, rows: &[Row], rewards: &mut [Box<dyn Reward + '_>]) -> Result<Metrics> {
        if rows.is_empty() {
            return Err(Error::value("rows", "none", "at least one row"));
        }
        for reward in rewards.iter_mut() {
            reward.refresh();
        }
        let total = self.settings.max_steps.max(self.step + 1);
        self.take_step(rows, rewards, total)?;
        Ok(self.history.last().cloned().unwrap_or_default())
    }

    /// Samples as a step would, without learning.
    pub fn rollout(&self, rows: &[Row]) -> Result<Rollout> {
        let model = self.model.borrow();
        let seed = derive(derive(self.settings.seed, 1), self.step);
        let settings = self.settings.generate(&model.eos_token_ids, seed);
        Rollout::sample(&model, rows, &settings)
    }

    fn take_step(
        &mut self,
        rows: &[Row],
        rewards: &mut [Box<dyn Reward + '_>],
        total: u64,
    ) -> Result<()> {
        // 1. Sample and score. An interrupted batch is not trained on.
        let start = Instant::now();
        let rollout = self.rollout(rows)?;
        if rollout.interrupted() {
            return Err(Error::Interrupted);
        }
        let sampled = start.elapsed();
        let scored = self.score(rollout, rewards)?;
        let scoring = start.elapsed() - sampled;
        // 2. Learn.
        let mut metrics = Metrics::default();
        metrics.set("step", (self.step + 1) as f64);
        self.describe(&scored, &mut metrics);
        self.learn(&scored, total, &mut metrics)?;
        // 3. Write down.
        self.step += 1;
        let seconds = start.elapsed().as_secs_f64();
        let tokens = scored.rollout.num_tokens() as f64;
        metrics.set("num_tokens", self.num_tokens as f64);
        metrics.set("step_time", seconds);
        metrics.set("time/generate", sampled.as_secs_f64());
        metrics.set("time/reward", scoring.as_secs_f64());
        metrics.set("tokens_per_second", tokens / seconds);
        metrics.set("peak_memory_gb", mlx::memory::memory()?.peak as f64 / 1e9);
        self.write(&scored, &metrics, rewards)?;
        self.history.push(metrics);
        self.draw(false)
    }

    fn score(&self, rollout: Rollout, rewards: &mut [Box<dyn Reward + '_>]) -> Result<Scored> {
        let scores = Scores::ask(rewards, &rollout.outputs)?;
        let mut settings = self.settings.advantage.clone();
        if settings.reward_weights.is_empty() {
            settings.reward_weights = rewards.iter().map(|reward| reward.weight()).collect();
        }
        let group = rollout.num_generations;
        let advantages = advantages(&scores.values, group, &settings)?;
        let sums = scores.values.iter();
        let rewards = sums.map(|row| weighted(row, &settings.reward_weights));
        Ok(Scored {
            rewards: rewards.collect(),
            rollout,
            scores,
            advantages,
        })
    }

    /// The metrics that need no model, under TRL's names.
    fn describe(&mut self, scored: &Scored, metrics: &mut Metrics) {
        let known: Vec<f64> = scored
            .rewards
            .iter()
            .copied()
            .filter(|reward| !reward.is_nan())
            .collect();
        let (mean, deviation) = mean_and_std(&known);
        metrics.set("reward", mean);
        metrics.set("reward_std", deviation);
        for (name, values) in &scored.scores.parts {
            let (mean, deviation) = mean_and_std(values);
            metrics.set(format!("rewards/{name}/mean"), mean);
            metrics.set(format!("rewards/{name}/std"), deviation);
        }
        let groups = scored.rewards.chunks(scored.rollout.num_generations);
        let count = groups.len() as f64;
        let flat = groups.filter(|group| mean_and_std(group).1 < 1e-12).count();
        metrics.set("frac_reward_zero_std", flat as f64 / count);
        let lengths: Vec<f64> = scored
            .rollout
            .outputs
            .iter()
            .map(|output| output.completion.token_ids.len() as f64)
            .collect();
        let ended = |o: &&super::RewardOutput| o.completion.finish == Finish::Length;
        let cut = scored.rollout.outputs.iter().filter(ended).count();
        metrics.set("completions/mean_length", mean_and_std(&lengths).0);
        metrics.set(
            "completions/max_length",
            lengths.iter().copied().fold(0.0, f64::max),
        );
        metrics.set(
            "completions/clipped_ratio",
            cut as f64 / lengths.len() as f64,
        );
        let prompts = scored.rollout.outputs.iter();
        let prompt_tokens: usize = prompts
            .map(|output| scored.rollout.prompt_ids[output.group].len())
            .sum();
        self.num_tokens += (prompt_tokens + scored.rollout.num_tokens()) as u64;
    }

    /// `num_iterations` updates on one batch of completions.
    fn learn(&mut self, scored: &Scored, total: u64, metrics: &mut Metrics) -> Result<()> {
        let mut sums: Vec<(String, f64)> = Vec::new();
        for _ in 0..self.settings.num_iterations {
            sums.clear();
            for range in self.micro_batches(scored.rollout.outputs.len()) {
                if let Err(error) = interrupt::check() {
                    self.stepper.discard();
                    return Err(error);
                }
                for (name, value) in self.backward(scored, range)? {
                    match sums.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, sum)) => *sum += value,
                        None => sums.push((name, value)),
                    }
                }
            }
            let mut model = self.model.borrow_mut();
            let outcome = self.stepper.apply(&mut model.network, self.step, total)?;
            metrics.set("grad_norm", outcome.grad_norm);
            metrics.set("learning_rate", outcome.learning_rate);
            metrics.set("skipped", f64::from(u8::from(outcome.skipped)));
        }
        for (name, value) in sums {
            metrics.set(name, value);
        }
        Ok(())
    }

    /// Rows split into `gradient_accumulation_steps` parts of nearly equal size.
    fn micro_batches(&self, rows: usize) -> Vec<std::ops::Range<usize>> {
        let parts = self.settings.gradient_accumulation_steps.min(rows);
        (0..parts)
            .map(|i| i * rows / parts..(i + 1) * rows / parts)
            .collect()
    }

    /// Loss and gradient of some rows, added to what is accumulated; metrics that sum to the
    /// step's over its micro-batches.
    fn backward(
        &mut self,
        scored: &Scored,
        range: std::ops::Range<usize>,
    ) -> Result<Vec<(String, f64)>> {
        let all = scored.rollout.outputs.len();
        let share = range.len() as f32 / all as f32;
        let temperature = self.settings.sampler.logprob_temperature();
        // 1. Constants of the batch.
        let pairs = scored.rollout.pairs(range.clone());
        let batch = Batch::new(&pairs);
        let width = batch.width();
        let rows = range.len() as i32;
        let mask = length_mask(&batch.lengths, width)?.as_dtype(Dtype::Float32)?;
        let advantages: Vec<f32> = scored.advantages[range.clone()]
            .iter()
            .map(|a| *a as f32)
            .collect();
        let advantages = Array::from_slice(&advantages, &[rows]);
        let behaviour: Vec<f32> = scored.rollout.outputs[range]
            .iter()
            .flat_map(|output| output.completion.logprobs.iter().copied())
            .collect();
        let behaviour = Array::from_slice(&behaviour, &[behaviour.len() as i32]);
        let behaviour_rows = batch.to_rows(&behaviour)?;
        let reference = match &self.reference {
            Some(model) => {
                let logprobs = completion_logprobs(model, &batch, temperature)?;
                Some(batch.to_rows(&logprobs)?)
            }
            None => None,
        };
        // With one update the policy that sampled is the one that is trained: the ratio is 1.
        let old = (self.settings.num_iterations > 1).then_some(&behaviour_rows);
        // 2. Forward and backward.
        let mut names: Vec<String> = Vec::new();
        let model = self.model.borrow();
        let (values, grads) = loss_and_grads(&model.network, |network| {
            let logits = completion_logits(network, &batch, temperature)?;
            let logprobs = selective_log_softmax(&logits, batch.targets())?;
            let difference = stop_gradient(&logprobs)?.subtract(&behaviour)?.abs()?;
            let logprob_rows = batch.to_rows(&logprobs)?;
            let inputs = LossInputs {
                logprobs: &logprob_rows,
                old_logprobs: old,
                ref_logprobs: reference.as_ref(),
                advantages: &advantages,
                mask: &mask,
                num_items_in_batch: Some(scored.rollout.num_tokens() as f32),
                max_completion_length: Some(self.settings.max_completion_length as i32),
                gradient_accumulation_steps: 1.0 / share,
            };
            let (value, watched) = loss(&inputs, &self.settings.loss)?;
            let entropy = entropy(&stop_gradient(&logits)?)?.mean(false)?;
            let mut outputs = vec![
                value,
                difference.max(false)?,
                difference.mean(false)?,
                entropy,
            ];
            names = watched.iter().map(|(name, _)| name.clone()).collect();
            outputs.extend(watched.into_iter().map(|(_, value)| value));
            Ok(outputs)
        })?;
        drop(model);
        // 3. Keep the gradient, read the numbers.
        self.stepper.accumulate(grads)?;
        mlx::eval(&values)?;
        let share = f64::from(share);
        let mut metrics = vec![("loss".to_string(), f64::from(item(&values[0])?))];
        let shared = [
            ("sampling/sampling_logp_difference/max", 1),
            ("sampling/sampling_logp_difference/mean", 2),
            ("entropy", 3),
        ];
        for (name, i) in shared {
            metrics.push((name.to_string(), f64::from(item(&values[i])?) * share));
        }
        for (name, value) in names.into_iter().zip(&values[4..]) {
            metrics.push((name, f64::from(to_f32(value)?[0]) * share));
        }
        Ok(metrics)
    }

    /// Mean rewards over a dataset, without learning.
    pub fn evaluate(
        &self,
        dataset: &Dataset,
        rewards: &mut [Box<dyn Reward + '_>],
        settings: &EvalSettings,
    ) -> Result<Evaluation> {
        let model = self.model.borrow();
        let mut sampler = self.settings.sampler;
        sampler.temperature = settings.temperature;
        let base = self.settings.generate(&model.eos_token_ids, 0);
        let longest = settings.max_completion_length.unwrap_or(base.max_tokens);
        let (mut sums, mut lengths) = (Vec::new(), Vec::new());
        let mut parts: Vec<(String, Vec<f64>)> = Vec::new();
        for (i, rows) in dataset
            .rows()
            .chunks(settings.batch_size.max(1))
            .enumerate()
        {
            let rollout = Rollout::sample(
                &model,
                rows,
                &GenerateSettings {
                    sampler,
                    seed: derive(derive(self.settings.seed, 2), i as u64),
                    num_samples: settings.num_generations.max(1),
                    max_tokens: longest,
                    ..base.clone()
                },
            )?;
            interrupt::check()?;
            let scores = Scores::ask(rewards, &rollout.outputs)?;
            let weights: Vec<f64> = rewards.iter().map(|reward| reward.weight()).collect();
            sums.extend(scores.values.iter().map(|row| weighted(row, &weights)));
            lengths.extend(
                rollout
                    .outputs
                    .iter()
                    .map(|o| o.completion.token_ids.len() as f64),
            );
            for (name, values) in scores.parts {
                match parts.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, all)) => all.extend(values),
                    None => parts.push((name, values)),
                }
            }
        }
        sums.retain(|sum: &f64| !sum.is_nan());
        let (reward, reward_std) = mean_and_std(&sums);
        Ok(Evaluation {
            reward,
            reward_std,
            parts: parts
                .into_iter()
                .map(|(name, values)| (name, mean_and_std(&values).0))
                .collect(),
            mean_length: mean_and_std(&lengths).0,
            num_rows: dataset.rows().len(),
        })
    }

    /// The run's folder, made when it is first needed.
    fn run(&mut self) -> Result<&mut RunDir> {
        if self.run.is_none() {
            let run = RunDir::create(self.settings.run_dir.as_deref(), "grpo")?;
            run.write_config(&self.describe_settings())?;
            self.run = Some(run);
        }
        // Just made if it was not there.
        self.run
            .as_mut()
            .ok_or_else(|| Error::Unsupported("a run without a folder".into()))
    }

    fn describe_settings(&self) -> Value {
        let s = &self.settings;
        json!({
            "trainer": "grpo",
            "prompts_per_step": s.prompts_per_step,
            "num_generations": s.num_generations,
            "max_completion_length": s.max_completion_length,
            "temperature": s.sampler.temperature,
            "top_p": s.sampler.top_p,
            "top_k": s.sampler.top_k,
            "min_p": s.sampler.min_p,
            "loss_type": s.loss.loss_type.name(),
            "epsilon": s.loss.epsilon,
            "epsilon_high": s.loss.epsilon_high,
            "delta": s.loss.delta,
            "beta": s.loss.beta,
            "learning_rate": s.optim.learning_rate,
            "optimizer": s.optim.optimizer,
            "weight_decay": s.optim.weight_decay,
            "max_grad_norm": s.optim.max_grad_norm,
            "warmup_steps": s.optim.warmup_steps,
            "num_iterations": s.num_iterations,
            "gradient_accumulation_steps": s.gradient_accumulation_steps,
            "max_steps": s.max_steps,
            "num_epochs": s.num_epochs,
            "seed": s.seed,
            "model": self.model.borrow().network.config.to_json(),
        })
    }

    fn write(
        &mut self,
        scored: &Scored,
        metrics: &Metrics,
        rewards: &[Box<dyn Reward + '_>],
    ) -> Result<()> {
        let (step, log) = (self.step, self.settings.log_completions);
        let run = self.run()?;
        run.append_metrics(metrics)?;
        for (hash, text) in rewards.iter().filter_map(|reward| reward.source()) {
            run.keep_script(&hash, &text)?;
        }
        if !log {
            return Ok(());
        }
        let lines: Vec<Value> = scored
            .rollout
            .outputs
            .iter()
            .map(|output| {
                json!({
                    "step": step,
                    "prompt": &*output.prompt,
                    "completion": output.completion.raw_text,
                    "rewards": scored.scores.values[output.index],
                    "advantage": scored.advantages[output.index],
                    "finish_reason": output.completion.finish.name(),
                })
            })
            .collect();
        run.append_completions(&lines)
    }

    fn draw(&mut self, now: bool) -> Result<()> {
        if !now
            && self
                .last_drawn
                .is_some_and(|last| last.elapsed() < DRAW_EVERY)
        {
            return Ok(());
        }
        self.last_drawn = Some(Instant::now());
        let history = std::mem::take(&mut self.history);
        let drawn = self
            .run()
            .and_then(|run| run.draw("reward.svg", "reward", &history));
        self.history = history;
        drawn
    }

    fn checkpoint(&mut self) -> Result<()> {
        self.draw(true)?;
        let (step, keep) = (self.step, self.settings.save_total_limit);
        let path = self.run()?.checkpoint(step);
        self.save(&path)?;
        self.run()?.prune_checkpoints(keep)
    }
}
