//! What a supervised run leaves behind, and how it goes on from it.

use super::trainer::SftTrainer;
use crate::error::Result;
use crate::train::{RunDir, State};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

impl SftTrainer {
    /// Writes the model (loadable by itself), the optimiser and the position of the run.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let state = State {
            step: self.step,
            num_tokens: self.num_tokens,
            position: self.position,
            history: self.history.clone(),
            config: self.settings.config(),
            extra: json!({}),
        };
        state.save(dir, &self.model.borrow(), &self.stepper, &[])
    }

    /// Goes on from a checkpoint, or from the newest one of a run's folder: weights, optimiser, step,
    /// and so the data and the random numbers that follow.
    ///
    /// # Errors
    /// Those of [`State::load`]. Nothing is changed then.
    pub fn resume(&mut self, dir: &Path) -> Result<()> {
        let config = self.settings.config();
        let restored = State::load(dir, &config, &self.model.borrow(), &self.stepper)?;
        let state = restored.install(&self.model, &mut self.stepper)?;
        // The run's folder is opened again at the step that it goes on from.
        (self.run, self.saved) = (None, None);
        (self.step, self.num_tokens) = (state.step, state.num_tokens);
        (self.history, self.position) = (state.history, state.position);
        self.resumed = true;
        Ok(())
    }

    /// The run's folder, made when it is first needed.
    pub(super) fn run(&mut self) -> Result<&mut RunDir> {
        match self.run {
            Some(ref mut run) => Ok(run),
            None => {
                let run = RunDir::create(self.settings.run_dir.as_deref(), "sft", self.step)?;
                run.write_config(&self.describe_settings())?;
                Ok(self.run.insert(run))
            }
        }
    }

    fn describe_settings(&self) -> Value {
        let s = &self.settings;
        let mut all = s.config();
        all["max_steps"] = s.max_steps.into();
        all["num_epochs"] = s.num_epochs.into();
        all["gradient_checkpointing"] = s.gradient_checkpointing.into();
        all["logprob_chunk_size"] = s.logprob_chunk_size.into();
        all["model"] = self.model.borrow().network.config.to_json();
        all
    }

    /// Writes a checkpoint of this step into the run's folder, unless it is there, and removes those
    /// that are too many once it is whole.
    pub(super) fn checkpoint(&mut self) -> Result<PathBuf> {
        let history = std::mem::take(&mut self.history);
        let drawn = self
            .run()
            .and_then(|run| run.draw("loss.svg", "loss", &history));
        self.history = history;
        drawn?;
        let (step, keep) = (self.step, self.settings.save_total_limit);
        let path = self.run()?.checkpoint(step);
        if self.saved != Some(step) || !path.exists() {
            self.save(&path)?;
            self.saved = Some(step);
            tracing::info!(folder = %path.display(), "checkpoint");
            self.run()?.prune_checkpoints(keep)?;
        }
        Ok(path)
    }
}
