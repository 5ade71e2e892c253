//! Checkpoints of a run: everything needed to go on as if it had not stopped.

use super::trainer::GrpoTrainer;
use crate::checkpoint::{self, ModelDir, Weights};
use crate::error::{Error, Result};
use crate::nn::Params;
use crate::text::change;
use crate::train::Metrics;
use serde_json::{Value, json};
use std::path::Path;

const STATE: &str = "trainer_state.json";
const OPTIMIZER: &str = "optimizer.safetensors";
const REFERENCE: &str = "reference.safetensors";

impl GrpoTrainer {
    /// Writes the model (loadable by itself), the optimiser and the position of the run.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let model = self.model.borrow();
        model.save(dir)?;
        let dir = ModelDir::create(dir)?;
        // The weights beside them have them merged, so that other programs load the folder; to go
        // on, they are needed by themselves.
        if model.network.has_adapters() {
            model.network.save_adapter(&dir)?;
        }
        dir.write_weights(OPTIMIZER, &self.stepper.state(&model.network))?;
        if let Some(reference) = &self.reference {
            dir.write_weights(REFERENCE, &reference.named())?;
        }
        let history: Vec<Value> = self.history.iter().map(to_json).collect();
        // Written last: a folder without it is not a whole checkpoint.
        dir.write_json(
            STATE,
            &json!({
                "step": self.step,
                "optimizer_steps": self.stepper.optimizer.steps(),
                "num_tokens": self.num_tokens,
                "seed": self.settings.seed,
                "metrics": history,
            }),
        )
    }

    /// Goes on from a checkpoint: weights, optimiser, step, and so the data and the random
    /// numbers that follow.
    ///
    /// # Errors
    /// A folder that is not a whole checkpoint, or one of another model. Nothing is changed then.
    pub fn resume(&mut self, dir: &Path) -> Result<()> {
        let path = dir.join(STATE);
        let text = std::fs::read_to_string(&path).map_err(|_| {
            Error::file(
                dir,
                format!("not a checkpoint of a trainer: it has no {STATE}"),
            )
        })?;
        let state: Value = serde_json::from_str(&text)
            .map_err(|e| Error::file(&path, format!("not JSON: {e}")))?;
        let number = |key: &str| {
            state[key]
                .as_u64()
                .ok_or_else(|| Error::file(&path, format!("`{key}` is missing")))
        };
        let (step, optimizer_steps) = (number("step")?, number("optimizer_steps")?);
        let num_tokens = number("num_tokens")?;
        if number("seed")? != self.settings.seed {
            return Err(Error::setting(
                "seed",
                self.settings.seed,
                &format!("the checkpoint's, {}", state["seed"]),
            ));
        }
        let network = self.model.borrow().network.resumed(dir)?;
        let mut optimizer = self.stepper.settings.optimizer()?;
        let arrays = checkpoint::read(&dir.join(OPTIMIZER))?;
        let take = |name: &str| arrays.get(name).cloned();
        optimizer.restore(&network.trained(), take, optimizer_steps)?;
        if let Some(reference) = &mut self.reference {
            let path = dir.join(REFERENCE);
            let weights = Weights::new(checkpoint::read(&path)?, &path);
            *reference = reference.with_weights(weights)?;
        }
        change(&self.model)?.network = network;
        self.stepper.optimizer = optimizer;
        // The run's folder is opened again at the step that it goes on from.
        self.run = None;
        (self.step, self.num_tokens) = (step, num_tokens);
        let history = state["metrics"].as_array().cloned().unwrap_or_default();
        self.history = history.iter().map(from_json).collect();
        Ok(())
    }
}

fn to_json(metrics: &Metrics) -> Value {
    let fields = metrics.values.iter();
    fields
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect()
}

/// A value that JSON cannot hold, NaN above all, was written as null.
fn from_json(value: &Value) -> Metrics {
    let fields = value.as_object().into_iter().flatten();
    Metrics {
        values: fields
            .map(|(name, value)| (name.clone(), value.as_f64().unwrap_or(f64::NAN)))
            .collect(),
    }
}
