//! The GRPO trainer: sample, score, compare within groups, take a step.

use super::live::Changed;
use super::report::Report;
use super::reward::{Reward, hashes};
use super::rollout::Rollout;
use super::sample::{Refill, sampling_form, teaching_groups};
use super::settings::GrpoSettings;
use super::update::{BuiltIn, PolicyLoss};
use super::warnings::Warned;
use crate::data::{Dataset, Row, Source};
use crate::error::{Error, Result};
use crate::mlx::random::derive;
use crate::mlx::{self, interrupt};
use crate::models::Qwen3;
use crate::text::{SharedModel, change};
use crate::train::{
    DataId, Metrics, Observer, Position, Progress, RunDir, Stepper, curve, every, finished, stopped,
};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What a call of `train` has before it.
struct Task {
    data: DataId,
    total: u64,
    start: Instant,
}

/// What a step is told beside its rows.
struct Plan<'a> {
    /// Rows in the place of those that teach nothing.
    refill: &'a Refill<'a>,
    /// The steps of the run; 0 where nobody knows.
    total: u64,
    /// What its metrics begin with.
    about: &'a [(&'static str, f64)],
    /// Whether an evaluation may be due after it.
    evaluates: bool,
}

/// A step that was taken.
struct Taken {
    /// The mean reward of each row, NaN where it has none.
    success: Vec<f64>,
    /// Whether the run's folder could be written to.
    written: Result<()>,
}

/// A model in training, its settings, and what has happened so far.
#[derive(Debug)]
pub struct GrpoTrainer {
    pub model: SharedModel,
    pub settings: GrpoSettings,
    /// One entry for each step.
    pub history: Vec<Metrics>,
    pub(super) stepper: Stepper,
    /// The model as it was at the start, where `beta` needs one. With adapters none is kept: the
    /// model without them is the same.
    pub(super) reference: Option<Qwen3>,
    pub(super) step: u64,
    /// Tokens of prompts and completions so far.
    pub(super) num_tokens: u64,
    pub(super) run: Option<RunDir>,
    pub(super) last_drawn: Option<Instant>,
    /// Sentences about what looks wrong, not told yet.
    pub notes: Vec<String>,
    pub(super) warned: Warned,
    /// Where it stands in the dataset of the last run.
    pub(super) position: Position,
    /// Version and hash of the scripts that rewarded the last step, by reward.
    pub(super) reward_scripts: Map<String, Value>,
    /// It was resumed, and has not been given a dataset since.
    pub(super) resumed: bool,
    /// The step of the last checkpoint.
    pub(super) saved: Option<u64>,
    /// Where the rows of the run stand, as they say it themselves.
    pub(super) source_state: Value,
    /// Settings that a script has changed since the start.
    pub(super) changed: Vec<Changed>,
    /// A script wants the run to end.
    pub(super) stop: bool,
    /// Scripts were not asked what to change after the last step.
    pub(super) hooks_due: bool,
    /// What was last said of hooks that fail, by reward.
    pub(super) faults: HashMap<String, String>,
    /// How long the rewards of the step at hand have taken.
    pub(super) scoring: Duration,
}

impl GrpoTrainer {
    /// # Errors
    /// A setting out of its range, or a model without a tokenizer.
    pub fn new(model: SharedModel, settings: GrpoSettings) -> Result<Self> {
        settings.check()?;
        model.borrow().tokenizer()?;
        if let Some(ids) = &settings.stop_token_ids {
            model.borrow().network.check_ids(ids)?;
        }
        change(&model)?.network.prepare(settings.lora.as_ref())?;
        let is_fixed = settings.ref_sync_steps == 0;
        let needs_copy =
            settings.loss.beta > 0.0 && !(is_fixed && model.borrow().network.has_adapters());
        let reference = needs_copy.then(|| model.borrow().network.clone());
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
            notes: Vec::new(),
            warned: Warned::default(),
            position: Position::default(),
            reward_scripts: Map::new(),
            resumed: false,
            saved: None,
            source_state: Value::Null,
            changed: Vec::new(),
            stop: false,
            hooks_due: false,
            faults: HashMap::new(),
            scoring: Duration::ZERO,
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

    /// How many steps so many rows ask for.
    ///
    /// # Errors
    /// Fewer rows than a step needs.
    pub fn total_steps(&self, rows: usize) -> Result<u64> {
        let per_epoch = rows / self.settings.prompts_per_step;
        if per_epoch == 0 {
            let wanted = self.settings.prompts_per_step;
            return Err(Error::value(
                "dataset",
                format!("{rows} rows"),
                &format!(
                    "at least prompts_per_step = {wanted}: more rows, or a smaller `prompts_per_step`"
                ),
            ));
        }
        Ok(match self.settings.max_steps {
            0 => self.settings.num_epochs * per_epoch as u64,
            steps => steps,
        })
    }

    /// Trains until the dataset or `max_steps` is used up, or somebody asks to stop.
    ///
    /// Stopped or not, the run's folder then holds a checkpoint of the last whole step.
    ///
    /// # Errors
    /// A dataset of another length than the one of the checkpoint that was resumed.
    pub fn train(
        &mut self,
        dataset: &Dataset,
        rewards: &mut [Box<dyn Reward + '_>],
        observer: &mut dyn Observer,
    ) -> Result<Report> {
        self.train_with(&mut dataset.clone(), rewards, &mut BuiltIn, observer)
    }

    /// The same on any source of rows, with a loss of one's own in the place of `loss_type`.
    pub fn train_with(
        &mut self,
        source: &mut dyn Source,
        rewards: &mut [Box<dyn Reward + '_>],
        loss: &mut dyn PolicyLoss,
        observer: &mut dyn Observer,
    ) -> Result<Report> {
        let total = self.total_steps(source.len())?;
        self.settings.advantage.check_count(rewards.len())?;
        let data = DataId::of(source);
        if self.resumed {
            self.position.check(data)?;
            if !self.source_state.is_null() {
                source.restore(&self.source_state)?;
            }
            self.note_scripts(rewards, observer);
            self.resumed = false;
        }
        self.stop = false;
        let task = Task {
            data,
            total,
            start: Instant::now(),
        };
        let (start, first) = (task.start, self.step);
        if first >= total {
            observer.note(&finished(total, self.run()?.path()));
        }
        let outcome = self.train_steps(source, rewards, loss, observer, &task);
        observer.end();
        // Whatever happened, what was learnt is kept.
        if self.step > first {
            self.checkpoint()?;
        }
        if interrupt::is_set() {
            let run_dir = self.run()?.path().to_path_buf();
            observer.note(&stopped(self.step, total, &run_dir));
        }
        if !matches!(outcome, Ok(()) | Err(Error::Interrupted)) {
            outcome?;
        }
        let step = self.step;
        let run = self.run()?;
        let (run_dir, checkpoint) = (run.path().to_path_buf(), run.checkpoint(step));
        let of_call = self.history.get(first as usize..).unwrap_or_default();
        let rewards = curve(of_call, "reward");
        Ok(Report {
            steps: self.step - first,
            interrupted: interrupt::is_set(),
            stopped: self.stop,
            first_reward: rewards.first().copied().unwrap_or(f64::NAN),
            last_reward: curve(&self.history, "reward")
                .last()
                .copied()
                .unwrap_or(f64::NAN),
            rewards,
            seconds: start.elapsed().as_secs_f64(),
            run_dir,
            checkpoint,
        })
    }

    /// Says which scripts that reward are not those that did before the checkpoint.
    fn note_scripts(&self, rewards: &[Box<dyn Reward + '_>], observer: &mut dyn Observer) {
        for reward in rewards {
            let hashes = || self.reward_scripts.values().map(|version| &version["hash"]);
            let known = |hash: &String| hashes().any(|known| known == hash);
            if reward.script().is_some_and(|script| !known(&script.hash)) {
                let name = reward.name();
                observer.note(&format!(
                    "reward `{name}` is not the script of the checkpoint"
                ));
            }
        }
    }

    fn train_steps(
        &mut self,
        source: &mut dyn Source,
        rewards: &mut [Box<dyn Reward + '_>],
        loss: &mut dyn PolicyLoss,
        observer: &mut dyn Observer,
        task: &Task,
    ) -> Result<()> {
        let (seed, count) = (self.settings.seed, self.settings.prompts_per_step);
        let per_epoch = (task.data.length / count) as u64;
        while self.step < task.total && !self.stop {
            interrupt::check()?;
            if self.hooks_due {
                self.follow_hooks(rewards);
                self.tell(observer);
                continue;
            }
            for note in rewards.iter_mut().filter_map(|reward| reward.refresh()) {
                observer.note(&note);
            }
            let step = self.step;
            let rows = source.rows(seed, step, count);
            let others = |round, count| source.others(seed, step, round, count);
            let mut about = vec![("epoch", (step + 1) as f64 / per_epoch as f64)];
            about.extend(source.metrics());
            let plan = Plan {
                refill: &others,
                total: task.total,
                about: &about,
                evaluates: true,
            };
            let taken = self.take_step(&rows, rewards, loss, &plan);
            let taken = match taken {
                Ok(taken) => taken,
                Err(error) => {
                    self.tell(observer);
                    return Err(error);
                }
            };
            let moved = source.observe(&taken.success);
            self.source_state = source.state();
            self.notes.extend(moved);
            self.tell(observer);
            self.position = Position::after(self.step, per_epoch, task.data);
            taken.written?;
            if let Some(metrics) = self.history.last() {
                observer.step(&Progress {
                    task: "grpo",
                    step: self.step,
                    total_steps: task.total,
                    elapsed: task.start.elapsed(),
                    metrics,
                });
            }
            if every(self.settings.save_steps, self.step) {
                self.checkpoint()?;
            }
        }
        Ok(())
    }

    /// Passes on what is to be said.
    fn tell(&mut self, observer: &mut dyn Observer) {
        for note in std::mem::take(&mut self.notes) {
            observer.note(&note);
        }
    }

    /// One step on given rows; the numbers of the step. A rate that decays does so towards `max_steps`;
    /// without them it stays where the warm-up has brought it.
    pub fn step(&mut self, rows: &[Row], rewards: &mut [Box<dyn Reward + '_>]) -> Result<Metrics> {
        self.step_with(rows, rewards, &mut BuiltIn)
    }

    /// The same with a loss of one's own in the place of `loss_type`.
    pub fn step_with(
        &mut self,
        rows: &[Row],
        rewards: &mut [Box<dyn Reward + '_>],
        loss: &mut dyn PolicyLoss,
    ) -> Result<Metrics> {
        if rows.is_empty() {
            return Err(Error::value("rows", "none", "at least one row"));
        }
        self.settings.advantage.check_count(rewards.len())?;
        let said = rewards.iter_mut().filter_map(|reward| reward.refresh());
        self.notes.extend(said);
        let again = |_, count| rows.iter().cycle().take(count).cloned().collect();
        let plan = Plan {
            refill: &again,
            total: self.settings.max_steps,
            about: &[],
            evaluates: false,
        };
        self.take_step(rows, rewards, loss, &plan)?.written?;
        Ok(self.history.last().cloned().unwrap_or_default())
    }

    /// Samples as a step would, without learning.
    pub fn rollout(&self, rows: &[Row]) -> Result<Rollout> {
        self.rollout_of(rows, 0)
    }

    pub(super) fn rollout_of(&self, rows: &[Row], round: u64) -> Result<Rollout> {
        let model = self.model.borrow();
        let model = sampling_form(&model)?;
        let seed = derive(derive(self.settings.seed, 1), self.step);
        let seed = if round == 0 {
            seed
        } else {
            derive(seed, round)
        };
        let settings = self.settings.generate(&model.eos_token_ids, seed);
        let (stop, template) = (&self.settings.stop, &self.settings.template);
        Rollout::sample(&model, rows, &settings, stop, template)
    }

    fn take_step(
        &mut self,
        rows: &[Row],
        rewards: &mut [Box<dyn Reward + '_>],
        loss: &mut dyn PolicyLoss,
        plan: &Plan,
    ) -> Result<Taken> {
        let said = self.run()?.note.take();
        self.notes.extend(said);
        self.scoring = Duration::ZERO;
        mlx::memory::reset_peak()?;
        // 1. Sample and score.
        let start = Instant::now();
        let (rollout, scores) = self.sample(rows, 0, rewards)?;
        let mut scored = self.compare(rollout, scores, rewards)?;
        let mut metrics = Metrics::default();
        metrics.set("step", (self.step + 1) as f64);
        for (name, value) in plan.about {
            metrics.set(*name, *value);
        }
        let before = hashes(rewards);
        let mut success = scored.means();
        // What is sampled in the place of dull prompts would make the policy look better or worse.
        self.describe(&scored, &mut metrics);
        if self.settings.dynamic_sampling > 0 {
            let rounds;
            (scored, rounds) = self.refilled(scored, rewards, plan.refill)?;
            metrics.set("dynamic_sampling/rounds", rounds as f64);
            let teaching = teaching_groups(&scored).len();
            let share = teaching as f64 / scored.rollout.prompt_ids.len() as f64;
            metrics.set("dynamic_sampling/kept", share);
            if hashes(rewards) != before {
                // Another version has scored the step: what the first one said of it is void.
                self.describe(&scored, &mut metrics);
                success = vec![f64::NAN; success.len()];
            }
        }
        describe_versions(rewards, &mut metrics);
        let sampling = start.elapsed();
        // 2. Learn. A step that is not taken leaves nothing, and is taken again as a whole.
        if let Err(error) = self.learn(&scored, plan.total, loss, &mut metrics) {
            self.stepper.discard();
            return Err(error);
        }
        // 3. Write down.
        self.step += 1;
        self.measure(&scored, start, sampling, &mut metrics)?;
        if plan.evaluates {
            self.look_aside(rewards, &mut metrics);
        }
        let written = self.write(&scored, &metrics, rewards);
        self.history.push(metrics);
        self.warn();
        self.show_completions(&scored);
        self.follow_hooks(rewards);
        let written = written.and_then(|()| self.draw(false));
        Ok(Taken { success, written })
    }
}

fn describe_versions(rewards: &[Box<dyn Reward + '_>], metrics: &mut Metrics) {
    for reward in rewards {
        if let Some(script) = reward.script() {
            let name = format!("version/{}", reward.name());
            metrics.set(name, f64::from(script.number));
        }
    }
}
