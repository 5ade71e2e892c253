//! The supervised trainer.

use super::batching::Epoch;
use super::encode::{Encoded, encode};
use super::gradient::{Weights, gradient, log_likelihood};
use super::settings::SftSettings;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::mlx::random::derive;
use crate::mlx::{self, interrupt};
use crate::nn::Params;
use crate::text::{SharedModel, change};
use crate::train::{
    DataId, Document, Metrics, Observer, Position, Progress, RunDir, Stepper, curve, every,
    finished, stopped,
};
use std::path::PathBuf;
use std::time::Instant;

/// A model in supervised training.
#[derive(Debug)]
pub struct SftTrainer {
    pub model: SharedModel,
    pub settings: SftSettings,
    /// One entry for each step.
    pub history: Vec<Metrics>,
    pub(super) stepper: Stepper,
    pub(super) step: u64,
    /// Tokens of documents so far.
    pub(super) num_tokens: u64,
    pub(super) position: Position,
    /// It was resumed, and has not been given a dataset since.
    pub(super) resumed: bool,
    pub(super) run: Option<RunDir>,
    /// The step of the last checkpoint.
    pub(super) saved: Option<u64>,
}

/// The end of a run.
#[derive(Clone, Debug)]
pub struct SftReport {
    pub steps: u64,
    pub interrupted: bool,
    pub first_loss: f64,
    pub last_loss: f64,
    /// That of every step of this call.
    pub losses: Vec<f64>,
    pub seconds: f64,
    pub run_dir: PathBuf,
    pub checkpoint: PathBuf,
}

/// What a run works on.
struct Task {
    documents: Vec<Document>,
    lengths: Vec<usize>,
    eval: Option<Vec<Document>>,
    data: DataId,
    per_epoch: u64,
    total: u64,
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
            num_tokens: 0,
            position: Position::default(),
            resumed: false,
            run: None,
            saved: None,
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

    /// Trains until the dataset or `max_steps` is used up, or somebody asks to stop; then the
    /// run's folder holds a checkpoint of the last whole step.
    ///
    /// # Errors
    /// A row that cannot be learnt from, by its number; a dataset of another length than the one of
    /// the checkpoint that was resumed.
    pub fn train(&mut self, dataset: &Dataset, observer: &mut dyn Observer) -> Result<SftReport> {
        let task = self.prepare(dataset, observer)?;
        let (start, first) = (Instant::now(), self.step);
        if first >= task.total {
            observer.note(&finished(task.total, self.run()?.path()));
        }
        if let Some(said) = self.run()?.note.take() {
            observer.note(&said);
        }
        let outcome = self.train_steps(&task, observer, start);
        observer.end();
        // Whatever happened, what was learnt is kept.
        let checkpoint = self.checkpoint()?;
        if interrupt::is_set() {
            let run_dir = self.run()?.path().to_path_buf();
            observer.note(&stopped(self.step, task.total, &run_dir));
        }
        if !matches!(outcome, Ok(()) | Err(Error::Interrupted)) {
            outcome?;
        }
        let run_dir = self.run()?.path().to_path_buf();
        let of_call = self.history.get(first as usize..).unwrap_or_default();
        let losses = curve(of_call, "loss");
        Ok(SftReport {
            steps: self.step - first,
            interrupted: interrupt::is_set(),
            first_loss: losses.first().copied().unwrap_or(f64::NAN),
            last_loss: curve(&self.history, "loss")
                .last()
                .copied()
                .unwrap_or(f64::NAN),
            losses,
            seconds: start.elapsed().as_secs_f64(),
            run_dir,
            checkpoint,
        })
    }

    /// Mean loss of a learnt token over a dataset, in nats.
    pub fn evaluate(&self, dataset: &Dataset) -> Result<f64> {
        let encoded = encode(&self.model.borrow(), dataset, &self.settings)?;
        self.mean_loss(&encoded.documents)
    }

    fn mean_loss(&self, documents: &[Document]) -> Result<f64> {
        let model = self.model.borrow();
        // Documents of similar length, so that little is padded.
        let mut sorted: Vec<&Document> = documents.iter().collect();
        sorted.sort_by_key(|document| document.ids.len());
        let (mut total, mut count) = (0.0, 0);
        for chunk in sorted.chunks(self.settings.batch_size) {
            interrupt::check()?;
            let rows: Vec<Vec<&Document>> = chunk.iter().map(|document| vec![*document]).collect();
            total -= log_likelihood(&model.network, &rows, &self.settings)?;
            count += chunk.iter().map(|d| d.num_learnt()).sum::<usize>();
        }
        Ok(total / count as f64)
    }

    /// Everything of a run that can be wrong, before anything is trained.
    fn prepare(&mut self, dataset: &Dataset, observer: &mut dyn Observer) -> Result<Task> {
        let data = DataId::of(dataset);
        if self.resumed {
            self.position.check(data)?;
        }
        let mut take = |what: &str, dataset: &Dataset| -> Result<Vec<Document>> {
            let Encoded { documents, dropped } =
                encode(&self.model.borrow(), dataset, &self.settings)?;
            if dropped > 0 {
                let (rows, most) = (dataset.rows().len(), self.settings.max_length);
                observer.note(&format!(
                    "{what}: {dropped} of {rows} rows are left out, with nothing to learn in their \
                     first {most} tokens"
                ));
            }
            Ok(documents)
        };
        let documents = take("dataset", dataset)?;
        let eval = match (&self.settings.eval_dataset, self.settings.eval_steps) {
            (Some(dataset), 1..) => Some(take("eval_dataset", dataset)?),
            _ => None,
        };
        self.resumed = false;
        let lengths: Vec<usize> = documents.iter().map(|d| d.ids.len()).collect();
        let per_epoch = Epoch::plan(&lengths, &self.settings, 0).num_steps();
        let total = match self.settings.max_steps {
            0 => self.settings.num_epochs * per_epoch,
            steps => steps,
        };
        Ok(Task {
            documents,
            lengths,
            eval,
            data,
            per_epoch,
            total,
        })
    }

    fn train_steps(
        &mut self,
        task: &Task,
        observer: &mut dyn Observer,
        start: Instant,
    ) -> Result<()> {
        let mut planned: Option<(u64, Epoch)> = None;
        while self.step < task.total {
            interrupt::check()?;
            let number = self.step / task.per_epoch;
            let epoch = match planned.take() {
                Some((known, epoch)) if known == number => epoch,
                _ => Epoch::plan(&task.lengths, &self.settings, number),
            };
            let taken = self.take_step(task, epoch.step(self.step % task.per_epoch));
            planned = Some((number, epoch));
            taken?;
            if let Some(metrics) = self.history.last() {
                observer.step(&Progress {
                    task: "sft",
                    step: self.step,
                    total_steps: task.total,
                    elapsed: start.elapsed(),
                    metrics,
                });
            }
            if every(self.settings.save_steps, self.step) {
                self.checkpoint()?;
            }
        }
        Ok(())
    }

    fn take_step(&mut self, task: &Task, batches: &[Vec<Vec<usize>>]) -> Result<()> {
        self.run()?;
        mlx::memory::reset_peak()?;
        let start = Instant::now();
        let chosen = || batches.iter().flatten().flatten();
        let tokens: usize = chosen().map(|i| task.lengths[*i]).sum();
        // 1. Learn. A step that is not taken leaves nothing, and is taken again as a whole.
        let sums = self.accumulate(task, batches);
        let (loss, aux_loss) = sums.inspect_err(|_| self.stepper.discard())?;
        let mut model = change(&self.model)?;
        let outcome =
            self.stepper
                .apply(&mut model.network, loss.is_finite(), self.step, task.total)?;
        drop(model);
        self.step += 1;
        self.num_tokens += tokens as u64;
        self.position = Position::after(self.step, task.per_epoch, task.data);
        let seconds = start.elapsed().as_secs_f64();
        // 2. Look at what was not learnt from. The step is taken, whatever comes of this.
        let evaluated = match &task.eval {
            Some(documents) if every(self.settings.eval_steps, self.step) => {
                Some(self.mean_loss(documents))
            }
            _ => None,
        };
        // 3. Write down.
        let mut metrics = Metrics::default();
        metrics.set("step", self.step as f64);
        metrics.set("epoch", self.step as f64 / task.per_epoch as f64);
        metrics.set("loss", loss);
        if let Some(Ok(loss)) = evaluated {
            metrics.set("eval_loss", loss);
        }
        if self.settings.router_aux_loss_coef > 0.0 {
            metrics.set("aux_loss", aux_loss);
        }
        metrics.set("grad_norm", outcome.grad_norm);
        metrics.set("learning_rate", outcome.learning_rate);
        metrics.set("skipped", f64::from(u8::from(outcome.skipped)));
        metrics.set("num_tokens", self.num_tokens as f64);
        metrics.set("step_time", seconds);
        metrics.set("tokens_per_second", tokens as f64 / seconds);
        metrics.set("peak_memory_gb", mlx::memory::memory()?.peak as f64 / 1e9);
        let written = self.run().and_then(|run| run.append_metrics(&metrics));
        self.history.push(metrics);
        written?;
        evaluated.transpose().map(drop)
    }

    /// Adds up the gradients of a step's batches; the loss, and the load-balancing loss.
    fn accumulate(&mut self, task: &Task, batches: &[Vec<Vec<usize>>]) -> Result<(f64, f64)> {
        let learnt = |i: &usize| task.documents[*i].num_learnt();
        let learnt: usize = batches.iter().flatten().flatten().map(learnt).sum();
        let weights = Weights {
            // Of the tokens of the whole step, so that accumulation changes nothing.
            token: 1.0 / learnt as f32,
            share: 1.0 / batches.len() as f32,
        };
        let seed = derive(derive(self.settings.seed, 1), self.step);
        let (mut loss, mut aux_loss) = (0.0, 0.0);
        for (i, batch) in batches.iter().enumerate() {
            interrupt::check()?;
            let rows: Vec<Vec<&Document>> = batch
                .iter()
                .map(|row| row.iter().map(|i| &task.documents[*i]).collect())
                .collect();
            let model = self.model.borrow();
            let network = model.network.with_dropout(derive(seed, i as u64))?;
            let result = gradient(&network, &rows, &weights, &self.settings)?;
            drop(network);
            self.stepper.accumulate(result.grads)?;
            loss += result.loss;
            aux_loss += result.aux_loss.unwrap_or(0.0);
        }
        Ok((loss, aux_loss))
    }
}
