//! What a run leaves behind: metrics, completions, the curve, checkpoints.

use super::reward::{Reward, RewardOutput, Scores};
use super::sample::{Scored, known, teaching_groups};
use super::trainer::GrpoTrainer;
use crate::error::Result;
use crate::generate::Finish;
use crate::mlx;
use crate::train::{Metrics, RunDir, mean_and_std};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// The curve is drawn again at most this often.
const DRAW_EVERY: Duration = Duration::from_secs(2);

impl GrpoTrainer {
    /// The metrics that need no model, under TRL's names.
    pub(super) fn describe(&mut self, scored: &Scored, metrics: &mut Metrics) {
        let (mean, deviation) = mean_and_std(&known(&scored.rewards));
        metrics.set("reward", mean);
        metrics.set("reward_std", deviation);
        for (name, values) in &scored.scores.parts {
            let known: Vec<f64> = Scores::known(values).collect();
            let (mean, deviation) = mean_and_std(&known);
            metrics.set(format!("rewards/{name}/mean"), mean);
            metrics.set(format!("rewards/{name}/std"), deviation);
        }
        let groups = scored.rollout.prompt_ids.len();
        let flat = groups - teaching_groups(scored).len();
        metrics.set("frac_reward_zero_std", flat as f64 / groups as f64);
        let outputs = &scored.rollout.outputs;
        let length = |o: &RewardOutput| o.completion.token_ids.len() as f64;
        let ended = |o: &&RewardOutput| o.completion.finish != Finish::Length;
        let lengths: Vec<f64> = outputs.iter().map(length).collect();
        let terminated: Vec<f64> = outputs.iter().filter(ended).map(length).collect();
        for (kind, lengths) in [("", &lengths), ("terminated_", &terminated)] {
            let name = |of: &str| format!("completions/{of}_{kind}length");
            // As in TRL, 0 where no completion ended.
            let some = |value: f64| if lengths.is_empty() { 0.0 } else { value };
            let least = lengths.iter().copied().fold(f64::INFINITY, f64::min);
            metrics.set(name("mean"), some(mean_and_std(lengths).0));
            metrics.set(name("min"), some(least));
            metrics.set(name("max"), lengths.iter().copied().fold(0.0, f64::max));
        }
        let cut = lengths.len() - terminated.len();
        metrics.set(
            "completions/clipped_ratio",
            cut as f64 / lengths.len() as f64,
        );
    }

    /// Times, speeds and memory of a step that is over.
    pub(super) fn measure(
        &mut self,
        scored: &Scored,
        start: Instant,
        sampling: Duration,
        metrics: &mut Metrics,
    ) -> Result<()> {
        let seconds = start.elapsed().as_secs_f64();
        let (sampling, sampled) = (sampling.as_secs_f64(), scored.rollout.num_tokens() as f64);
        let outputs = scored.rollout.outputs.iter();
        let prompt_tokens: usize = outputs
            .map(|output| scored.rollout.prompt_ids[output.group].len())
            .sum();
        self.num_tokens += (prompt_tokens + scored.rollout.num_tokens()) as u64;
        let training = seconds - sampling;
        metrics.set("num_tokens", self.num_tokens as f64);
        metrics.set("step_time", seconds);
        metrics.set("time/sample", sampling);
        metrics.set(
            "time/reward",
            std::mem::take(&mut self.scoring).as_secs_f64(),
        );
        metrics.set("time/train", training);
        metrics.set("tokens_per_second", sampled / seconds);
        metrics.set("tokens_per_second/sample", sampled / sampling);
        metrics.set("tokens_per_second/train", sampled / training);
        metrics.set("peak_memory_gb", mlx::memory::memory()?.peak as f64 / 1e9);
        Ok(())
    }

    /// The run's folder, made when it is first needed.
    pub(super) fn run(&mut self) -> Result<&mut RunDir> {
        match self.run {
            Some(ref mut run) => Ok(run),
            None => {
                let mut run = RunDir::create(self.settings.run_dir.as_deref(), "grpo", self.step)?;
                if self.settings.tensorboard {
                    run = run.with_events()?;
                }
                run.write_config(&self.describe_settings())?;
                Ok(self.run.insert(run))
            }
        }
    }

    fn describe_settings(&self) -> Value {
        let s = &self.settings;
        let mut all = self.config();
        all["gradient_accumulation_steps"] = s.gradient_accumulation_steps.into();
        all["max_steps"] = s.max_steps.into();
        all["num_epochs"] = s.num_epochs.into();
        all["model"] = self.model.borrow().network.config.to_json();
        all
    }

    pub(super) fn write(
        &mut self,
        scored: &Scored,
        metrics: &Metrics,
        rewards: &[Box<dyn Reward + '_>],
    ) -> Result<()> {
        let (step, log) = (self.step, self.settings.log_completions);
        let run = self.run()?;
        run.append_metrics(metrics)?;
        let mut versions = Map::new();
        for reward in rewards {
            if let Some(script) = reward.script() {
                run.keep_script(&script.hash, &script.text)?;
                for (name, text) in &script.imports {
                    run.keep_script(&format!("{}-{name}", script.hash), text)?;
                }
                let version = json!({ "version": script.number, "hash": script.hash });
                versions.insert(reward.name().to_string(), version);
            }
        }
        self.reward_scripts = versions.clone();
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
                    "reward_scripts": versions,
                })
            })
            .collect();
        self.run()?.append_completions(&lines)
    }

    pub(super) fn draw(&mut self, now: bool) -> Result<()> {
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

    pub(super) fn checkpoint(&mut self) -> Result<()> {
        self.draw(true)?;
        let (step, keep) = (self.step, self.settings.save_total_limit);
        let path = self.run()?.checkpoint(step);
        if self.saved == Some(step) && path.exists() {
            return Ok(());
        }
        self.save(&path)?;
        self.saved = Some(step);
        tracing::info!(folder = %path.display(), "checkpoint");
        self.run()?.prune_checkpoints(keep)
    }
}
