//! The supervised trainer.

use super::settings::SftSettings;
use crate::data::{Dataset, Row};
use crate::error::{Error, Result};
use crate::mlx::random::derive;
use crate::mlx::{self, Array, interrupt};
use crate::nn::Params;
use crate::tensor::{item, selective_log_softmax};
use crate::text::{LanguageModel, SharedModel, change};
use crate::train::{
    Batch, Metrics, Observer, Progress, RunDir, Stepper, completion_logits, completion_logprobs,
    loss_and_grads, router_loss,
};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// Prompt and completion as ids; the completion ends with the model's end token.
type Example = (Vec<i32>, Vec<i32>);

/// A model in supervised training.
#[derive(Debug)]
pub struct SftTrainer {
    pub model: SharedModel,
    pub settings: SftSettings,
    /// One entry for each step.
    pub history: Vec<Metrics>,
    stepper: Stepper,
    step: u64,
    run: Option<RunDir>,
}

/// The end of a run.
#[derive(Clone, Debug)]
pub struct SftReport {
    pub steps: u64,
    pub interrupted: bool,
    pub first_loss: f64,
    pub last_loss: f64,
    pub seconds: f64,
    pub run_dir: PathBuf,
    pub checkpoint: PathBuf,
}

impl SftTrainer {
    /// # Errors
    /// A setting out of its range, or a model without a tokenizer.
    pub fn new(model: SharedModel, settings: SftSettings) -> Result<Self> {
        settings.check()?;
        model.borrow().tokenizer()?;
        change(&model)?.network.prepare(settings.lora.as_ref())?;
        Ok(Self {
            stepper: Stepper::new(settings.optim.clone())?,
            model,
            settings,
            history: Vec::new(),
            step: 0,
            run: None,
        })
    }

    /// The folder of the run, once there is one.
    pub fn run_dir(&self) -> Option<PathBuf> {
        let made = self.run.as_ref().map(|run| run.path().to_path_buf());
        made.or(self.settings.run_dir.clone())
    }

    /// Trains until the dataset or `max_steps` is used up, or somebody asks to stop; then the
    /// run's folder holds a checkpoint. Rows have a `prompt` and a `completion` (or `answer`).
    pub fn train(&mut self, dataset: &Dataset, observer: &mut dyn Observer) -> Result<SftReport> {
        let examples = self.encode(dataset)?;
        let per_step = self.settings.batch_size * self.settings.gradient_accumulation_steps;
        let per_epoch = examples.len().div_ceil(per_step) as u64;
        let total = match self.settings.max_steps {
            0 => self.settings.num_epochs * per_epoch,
            steps => steps,
        };
        let (start, first) = (Instant::now(), self.step);
        let mut outcome = Ok(());
        while self.step < total && outcome.is_ok() {
            let batches = self.batches(&examples, dataset, per_epoch);
            outcome = self.take_step(&batches, total);
            if let (Ok(()), Some(metrics)) = (&outcome, self.history.last()) {
                observer.step(&Progress {
                    task: "sft",
                    step: self.step,
                    total_steps: total,
                    elapsed: start.elapsed(),
                    metrics,
                });
            }
        }
        observer.end();
        if interrupt::is_set() {
            observer.note(&format!("interrupted after step {} of {total}", self.step));
        }
        if !matches!(outcome, Ok(()) | Err(Error::Interrupted)) {
            outcome?;
        }
        let model = self.model.clone();
        let (step, history) = (self.step, self.history.clone());
        let run = self.run()?;
        let checkpoint = run.checkpoint(step);
        model.borrow().save(&checkpoint)?;
        run.draw("loss.svg", "loss", &history)?;
        let run_dir = run.path().to_path_buf();
        let loss = |metrics: Option<&Metrics>| metrics.and_then(|m| m.get("loss"));
        Ok(SftReport {
            steps: step - first,
            interrupted: interrupt::is_set(),
            first_loss: loss(history.get(first as usize)).unwrap_or(f64::NAN),
            last_loss: loss(history.last()).unwrap_or(f64::NAN),
            seconds: start.elapsed().as_secs_f64(),
            run_dir,
            checkpoint,
        })
    }

    /// Mean loss of a completion token over a dataset, in nats.
    pub fn evaluate(&self, dataset: &Dataset) -> Result<f64> {
        let examples = self.encode(dataset)?;
        let model = self.model.borrow();
        let (mut total, mut count) = (0.0, 0);
        for chunk in examples.chunks(self.settings.batch_size) {
            interrupt::check()?;
            let batch = batch_of(chunk.iter());
            let logprobs = completion_logprobs(&model.network, &batch, 1.0)?;
            total -= f64::from(item(&logprobs.sum(false)?)?);
            count += logprobs.size();
        }
        Ok(total / count as f64)
    }

    /// All rows as ids, so that a bad one is found before anything is trained.
    fn encode(&self, dataset: &Dataset) -> Result<Vec<Example>> {
        if dataset.rows().is_empty() {
            return Err(Error::value("dataset", "no rows", "at least one row"));
        }
        let model = self.model.borrow();
        dataset
            .rows()
            .iter()
            .enumerate()
            .map(|(i, row)| self.encode_row(&model, i, row))
            .collect()
    }

    fn encode_row(&self, model: &LanguageModel, i: usize, row: &Row) -> Result<Example> {
        let prompt = model.encode_prompt(row.prompt()?)?;
        let mut completion = model.tokenizer()?.encode(&row.completion()?)?;
        completion.extend(model.eos_token_ids.first());
        model.network.check_ids(&completion)?;
        let length = prompt.len() + completion.len();
        if completion.is_empty() || length > self.settings.max_length {
            return Err(Error::value(
                format!("row {i}"),
                format!("{length} tokens"),
                &format!("up to max_length = {}", self.settings.max_length),
            ));
        }
        Ok((prompt, completion))
    }

    /// The micro-batches of the next step. An epoch's rows come in their own order, the last
    /// step filled up from the start of it.
    fn batches(&self, examples: &[Example], dataset: &Dataset, per_epoch: u64) -> Vec<Batch> {
        let size = self.settings.batch_size;
        let per_step = size * self.settings.gradient_accumulation_steps;
        let seed = derive(self.settings.seed, 0);
        let order = dataset.order(seed, self.step / per_epoch);
        let first = (self.step % per_epoch) as usize * per_step;
        let chosen: Vec<&Example> = (first..first + per_step)
            .map(|i| &examples[order[i % order.len()]])
            .collect();
        chosen
            .chunks(size)
            .map(|chunk| batch_of(chunk.iter().copied()))
            .collect()
    }

    fn take_step(&mut self, batches: &[Batch], total: u64) -> Result<()> {
        self.run()?;
        let start = Instant::now();
        let tokens: i32 = batches.iter().flat_map(|batch| &batch.lengths).sum();
        let (mut loss, mut aux_loss) = (0.0, 0.0);
        let coefficient = self.settings.router_aux_loss_coef;
        let seed = derive(derive(self.settings.seed, 1), self.step);
        for (i, batch) in batches.iter().enumerate() {
            if let Err(error) = interrupt::check() {
                self.stepper.discard();
                return Err(error);
            }
            let model = self.model.borrow();
            let network = model.network.with_dropout(derive(seed, i as u64))?;
            let balanced = coefficient > 0.0 && network.config.num_experts > 0;
            // Divided by the tokens of the whole step, so that accumulation changes nothing.
            let scale = Array::from_f32(-1.0 / tokens as f32);
            let (values, grads) = loss_and_grads(&network, |network| {
                let mut routed = Vec::new();
                let router = balanced.then_some(&mut routed);
                let logits = completion_logits(network, batch, 1.0, router)?;
                let logprobs = selective_log_softmax(&logits, batch.targets())?;
                let loss = logprobs.sum(false)?.multiply(&scale)?;
                if !balanced {
                    return Ok(vec![loss]);
                }
                let even = router_loss(network, batch, &routed)?;
                let even = even.multiply(Array::from_f32(1.0 / batches.len() as f32))?;
                let both = loss.add(even.multiply(Array::from_f32(coefficient))?)?;
                Ok(vec![both, even])
            })?;
            self.stepper.accumulate(grads)?;
            loss += f64::from(item(&values[0])?);
            if let Some(even) = values.get(1) {
                aux_loss += f64::from(item(even)?);
            }
        }
        let mut model = change(&self.model)?;
        let outcome = self
            .stepper
            .apply(&mut model.network, loss.is_finite(), self.step, total)?;
        drop(model);
        self.step += 1;
        let seconds = start.elapsed().as_secs_f64();
        let mut metrics = Metrics::default();
        metrics.set("step", self.step as f64);
        metrics.set("loss", loss);
        if coefficient > 0.0 {
            metrics.set("aux_loss", aux_loss);
        }
        metrics.set("grad_norm", outcome.grad_norm);
        metrics.set("learning_rate", outcome.learning_rate);
        metrics.set("skipped", f64::from(u8::from(outcome.skipped)));
        metrics.set("step_time", seconds);
        metrics.set("tokens_per_second", f64::from(tokens) / seconds);
        metrics.set("peak_memory_gb", mlx::memory::memory()?.peak as f64 / 1e9);
        self.run()?.append_metrics(&metrics)?;
        self.history.push(metrics);
        Ok(())
    }

    fn run(&mut self) -> Result<&mut RunDir> {
        if self.run.is_none() {
            let run = RunDir::create(self.settings.run_dir.as_deref(), "sft", self.step)?;
            let s = &self.settings;
            run.write_config(&json!({
                "trainer": "sft",
                "batch_size": s.batch_size,
                "gradient_accumulation_steps": s.gradient_accumulation_steps,
                "learning_rate": s.optim.learning_rate,
                "optimizer": s.optim.optimizer,
                "weight_decay": s.optim.weight_decay,
                "max_grad_norm": s.optim.max_grad_norm,
                "warmup_steps": s.optim.warmup_steps,
                "max_steps": s.max_steps,
                "num_epochs": s.num_epochs,
                "seed": s.seed,
                "model": self.model.borrow().network.config.to_json(),
            }))?;
            self.run = Some(run);
        }
        self.run
            .as_mut()
            .ok_or_else(|| Error::Unsupported("a run without a folder".into()))
    }
}

fn batch_of<'a>(examples: impl Iterator<Item = &'a Example>) -> Batch {
    let pairs: Vec<(&[i32], &[i32])> = examples
        .map(|(prompt, completion)| (prompt.as_slice(), completion.as_slice()))
        .collect();
    Batch::new(&pairs)
}
