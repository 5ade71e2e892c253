//! What this trainer adds to a checkpoint: the reference, and the scripts that rewarded.

use super::trainer::GrpoTrainer;
use crate::checkpoint::Weights;
use crate::error::Result;
use crate::nn::Params;
use crate::train::{State, lora_config};
use serde_json::{Value, json};
use std::path::Path;

impl GrpoTrainer {
    /// Writes the model (loadable by itself), the optimiser and the position of the run.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let state = State {
            step: self.step,
            num_tokens: self.num_tokens,
            position: self.position,
            history: self.history.clone(),
            config: self.config(),
            extra: json!({
                "reward_scripts": Value::Object(self.reward_scripts.clone()),
                "changes": self.changes(),
                "source": self.source_state,
                "hooks_due": self.hooks_due,
            }),
        };
        // What is not trained is the model's own.
        let reference = self.reference.as_ref().map(|model| model.trained());
        let reference = reference.unwrap_or_default();
        state.save(dir, &self.model.borrow(), &self.stepper, &reference)
    }

    /// Goes on from a checkpoint, or from the newest one of a run's folder: weights, optimiser,
    /// step, and so the data and the random numbers that follow.
    ///
    /// # Errors
    /// Those of [`State::load`]. Nothing is changed then.
    pub fn resume(&mut self, dir: &Path) -> Result<()> {
        let restored = State::load(dir, &self.config(), &self.model.borrow(), &self.stepper)?;
        let mut arrays = Weights::new(restored.arrays.clone(), &restored.dir);
        let reference = match &self.reference {
            Some(model) => {
                let places = model.trained().into_iter();
                let found = places.map(|(name, place)| arrays.take_shaped(&name, place.shape()));
                Some(model.with_trained(&found.collect::<Result<Vec<_>>>()?))
            }
            None => None,
        };
        let state = restored.install(&self.model, &mut self.stepper)?;
        self.reference = reference;
        // The run's folder is opened again at the step that it goes on from.
        (self.run, self.saved) = (None, None);
        (self.step, self.num_tokens) = (state.step, state.num_tokens);
        (self.history, self.position) = (state.history, state.position);
        self.resumed = true;
        self.source_state = state.extra["source"].clone();
        self.hooks_due = state.extra["hooks_due"] == true;
        let changes = state.extra["changes"].as_object().cloned();
        self.restore_changes(&changes.unwrap_or_default())?;
        let scripts = state.extra["reward_scripts"].as_object().cloned();
        self.reward_scripts = scripts.unwrap_or_default();
        Ok(())
    }

    /// The settings that a resumed trainer must have in common with the one that saved. Micro-batches
    /// are not among them: the update is the same.
    pub(super) fn config(&self) -> Value {
        let s = &self.settings;
        let mut config = json!({
            "trainer": "grpo",
            "seed": s.seed,
            "prompts_per_step": s.prompts_per_step,
            "num_generations": s.num_generations,
            "max_completion_length": s.max_completion_length,
            "stop": s.stop,
            "stop_token_ids": s.stop_token_ids,
            "router_aux_loss_coef": s.router_aux_loss_coef,
            "num_iterations": s.num_iterations,
            "mask_truncated_completions": s.mask_truncated_completions,
            "dynamic_sampling": s.dynamic_sampling,
            "overlong_buffer": s.overlong_buffer,
            "ref_sync_steps": s.ref_sync_steps,
            "ref_model_mixup_alpha": s.ref_model_mixup_alpha,
            "lora": lora_config(s.lora.as_ref()),
        });
        let groups = [
            json!(s.sampler),
            json!(s.penalties),
            json!(s.loss),
            json!(s.advantage),
        ];
        let flat = groups.into_iter().filter_map(|group| match group {
            Value::Object(fields) => Some(fields),
            _ => None,
        });
        for (name, value) in flat.flatten() {
            config[name] = value;
        }
        for (name, value) in s.optim.config(s.max_steps, s.num_epochs) {
            config[name] = value;
        }
        // What a script changed since is in the checkpoint by itself.
        for changed in &self.changed {
            config[&changed.name] = changed.original.clone();
        }
        config
    }
}
