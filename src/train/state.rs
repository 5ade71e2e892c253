//! Checkpoints of a run: everything needed to go on as if it had not stopped.
//!
//! A checkpoint is a model's folder, which other programs load, with the optimiser and the position
//! beside it. It appears as a whole: whoever finds one can go on from it.

use super::run_dir::RunDir;
use super::{Metrics, Stepper};
use crate::checkpoint::{self, ModelDir, restore_folder};
use crate::data::Source;
use crate::error::{Error, Result};
use crate::mlx::{self, Array};
use crate::models::Qwen3;
use crate::nn::Params;
use crate::optim::Optimizer;
use crate::text::{LanguageModel, SharedModel, change};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The file without which a folder is no checkpoint.
pub(super) const STATE: &str = "trainer_state.json";
const OPTIMIZER: &str = "optimizer.safetensors";
const EXTRA: &str = "reference.safetensors";

/// Where a run stands in its data.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Position {
    pub epoch: u64,
    /// Steps taken in the epoch.
    pub index: u64,
    /// What the run took its rows from, where it has seen that.
    pub data: Option<DataId>,
}

/// What is known of the rows of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataId {
    pub length: usize,
    /// Differs where the rows do, as far as it looks at them.
    pub fingerprint: u64,
}

impl DataId {
    /// That of some rows.
    pub fn of(source: &dyn Source) -> Self {
        Self {
            length: source.len(),
            fingerprint: source.fingerprint(),
        }
    }
}

/// What a trainer keeps beside its model and its optimiser.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub step: u64,
    pub num_tokens: u64,
    pub position: Position,
    pub history: Vec<Metrics>,
    /// The settings on which the numbers depend, by name: a resumed trainer must have the same.
    pub config: Value,
    /// What one kind of trainer keeps besides.
    pub extra: Value,
}

/// A checkpoint that was read and checked; nothing is changed before it is installed.
pub struct Restored {
    pub state: State,
    /// Arrays that the trainer keeps besides, by name.
    pub arrays: HashMap<String, Array>,
    /// Where they came from.
    pub dir: PathBuf,
    network: Qwen3,
    optimizer: Optimizer,
    non_finite: u32,
}

impl State {
    /// Writes a checkpoint to a folder: the model (loadable by itself), the optimiser, the position,
    /// and `arrays` if there are any.
    ///
    /// # Errors
    /// The operating system's; an earlier checkpoint in the folder is still there then.
    pub fn save(
        &self,
        dir: &Path,
        model: &LanguageModel,
        stepper: &Stepper,
        arrays: &[(String, Array)],
    ) -> Result<()> {
        checkpoint::replace_folder(dir, is_ours, |aside| {
            model.save(aside)?;
            let dir = ModelDir::create(aside)?;
            // The weights beside them have them merged, so that other programs load the folder; to
            // go on, they are needed by themselves.
            if model.network.has_adapters() {
                model.network.save_adapter(&dir)?;
            }
            dir.write_weights(OPTIMIZER, &stepper.state(&model.network))?;
            if !arrays.is_empty() {
                dir.write_weights(EXTRA, arrays)?;
            }
            dir.write_json(STATE, &self.to_json(stepper))
        })
    }

    fn to_json(&self, stepper: &Stepper) -> Value {
        json!({
            "step": self.step,
            "optimizer_steps": stepper.optimizer.steps(),
            "non_finite_steps": stepper.non_finite(),
            "num_tokens": self.num_tokens,
            "seed": self.config["seed"],
            "data": {
                "epoch": self.position.epoch,
                "index": self.position.index,
                "dataset_length": self.position.data.map(|data| data.length),
                "fingerprint": self.position.data.map(|data| data.fingerprint),
            },
            "config": self.config,
            "extra": self.extra,
            "metrics": self.history.iter().map(metrics_to_json).collect::<Vec<Value>>(),
        })
    }

    /// Reads a checkpoint, or the newest one of a run's folder, for a trainer whose settings are
    /// `config`.
    ///
    /// # Errors
    /// A folder that is no checkpoint and has none, one of another model, settings that differ.
    pub fn load(
        dir: &Path,
        config: &Value,
        model: &LanguageModel,
        stepper: &Stepper,
    ) -> Result<Restored> {
        let dir = checkpoint_in(dir)?;
        let path = dir.join(STATE);
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let json: Value = serde_json::from_str(&text)
            .map_err(|e| Error::file(&path, format!("not JSON: {e}")))?;
        let number = |key: &str| {
            let missing = || Error::file(&path, format!("`{key}` is missing"));
            json[key].as_u64().ok_or_else(missing)
        };
        let (step, optimizer_steps) = (number("step")?, number("optimizer_steps")?);
        let num_tokens = number("num_tokens")?;
        check_config(config, &json["config"])?;
        let network = model.network.resumed(&dir)?;
        let mut optimizer = stepper.settings.optimizer()?;
        let arrays = checkpoint::read(&dir.join(OPTIMIZER))?;
        let take = |name: &str| arrays.get(name).cloned();
        optimizer.restore(&network.trained(), take, optimizer_steps)?;
        let extra = dir.join(EXTRA);
        let kept = match extra.exists() {
            true => checkpoint::read(&extra)?,
            false => HashMap::new(),
        };
        // A file is read when its arrays are first used. This one may be replaced by then, and what
        // is wrong with it has to show before anything is changed.
        mlx::eval(arrays.values().chain(kept.values()))?;
        let data = &json["data"];
        let history = json["metrics"].as_array().into_iter().flatten();
        Ok(Restored {
            state: Self {
                step,
                num_tokens,
                position: Position {
                    epoch: data["epoch"].as_u64().unwrap_or(0),
                    index: data["index"].as_u64().unwrap_or(0),
                    data: data["dataset_length"].as_u64().and_then(|length| {
                        Some(DataId {
                            length: length as usize,
                            fingerprint: data["fingerprint"].as_u64()?,
                        })
                    }),
                },
                history: history.map(metrics_from_json).collect(),
                config: json["config"].clone(),
                extra: json["extra"].clone(),
            },
            arrays: kept,
            dir,
            network,
            optimizer,
            non_finite: json["non_finite_steps"].as_u64().unwrap_or(0) as u32,
        })
    }
}

impl Restored {
    /// Puts weights and optimiser in their places.
    ///
    /// # Errors
    /// The model is at work.
    pub fn install(self, model: &SharedModel, stepper: &mut Stepper) -> Result<State> {
        change(model)?.network = self.network;
        stepper.restore(self.optimizer, self.non_finite);
        Ok(self.state)
    }
}

impl Position {
    /// The position after a step of a run with so many steps an epoch.
    pub fn after(step: u64, per_epoch: u64, data: DataId) -> Self {
        let per_epoch = per_epoch.max(1);
        Self {
            epoch: step / per_epoch,
            index: step % per_epoch,
            data: Some(data),
        }
    }

    /// An error if a run that began with another dataset is to go on with this one.
    pub fn check(&self, data: DataId) -> Result<()> {
        let Some(known) = self.data.filter(|known| *known != data) else {
            return Ok(());
        };
        let others = match known.length == data.length {
            true => "other rows, or in another order",
            false => "rows",
        };
        Err(Error::value(
            "dataset",
            format!("{} {others}", data.length),
            &format!(
                "the {} rows of the checkpoint that was resumed: its position, epoch {} step {}, is \
                 a place in them",
                known.length, self.epoch, self.index
            ),
        ))
    }
}

/// The folder itself, if it is a checkpoint, or the newest checkpoint of a run's folder.
///
/// # Errors
/// It is neither.
pub fn checkpoint_in(dir: &Path) -> Result<PathBuf> {
    restore_folder(dir)?;
    if dir.join(STATE).is_file() {
        return Ok(dir.to_path_buf());
    }
    if RunDir::is_in(dir) {
        let newest = RunDir::latest_in(dir)?;
        return newest.ok_or_else(|| {
            let reason =
                "this run has no complete checkpoint yet; train on it again from the start";
            Error::file(dir, reason)
        });
    }
    let reason = format!(
        "not a checkpoint of a trainer: it has no {STATE}, and no folder `checkpoints` as a run has"
    );
    Err(Error::file(dir, reason))
}

/// An error for the first setting that is not the checkpoint's.
fn check_config(config: &Value, saved: &Value) -> Result<()> {
    // By way of text, as the other one came.
    let config: Value = serde_json::from_str(&config.to_string()).unwrap_or_default();
    let settings = config.as_object().into_iter().flatten();
    for (name, own) in settings {
        match saved.get(name) {
            Some(other) if other != own => {
                let expected = format!("the checkpoint's, {other}");
                return Err(Error::setting(name, own, &expected));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a file in a checkpoint's folder is of its making.
fn is_ours(name: &str) -> bool {
    let endings = [".safetensors", ".safetensors.index.json"];
    let names = [
        STATE,
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "adapter_config.json",
    ];
    names.contains(&name) || endings.iter().any(|ending| name.ends_with(ending))
}

/// JSON has no numbers that are not finite; they are texts.
fn metrics_to_json(metrics: &Metrics) -> Value {
    let fields = metrics.values.iter().map(|(name, value)| {
        let value = match value.is_finite() {
            true => json!(value),
            false => json!(value.to_string()),
        };
        (name.clone(), value)
    });
    fields.collect::<Map<_, _>>().into()
}

fn metrics_from_json(value: &Value) -> Metrics {
    let number = |value: &Value| {
        let text = || value.as_str().and_then(|text| text.parse().ok());
        value.as_f64().or_else(text).unwrap_or(f64::NAN)
    };
    let fields = value.as_object().into_iter().flatten();
    Metrics {
        values: fields.map(|(name, v)| (name.clone(), number(v))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_not_finite_come_back() {
        let mut metrics = Metrics::default();
        let values = [0.1, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-300];
        for (i, value) in values.into_iter().enumerate() {
            metrics.set(i.to_string(), value);
        }
        let text = metrics_to_json(&metrics).to_string();
        let back = metrics_from_json(&serde_json::from_str(&text).unwrap());
        let bits = |m: &Metrics| m.values.iter().map(|v| v.1.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&metrics), bits(&back));
    }

    #[test]
    fn a_setting_that_differs_is_named_with_both_values() {
        let saved = json!({ "seed": 1, "rate": f64::from(0.1f32), "old": true });
        let check = |own: Value| check_config(&own, &saved);
        check(json!({ "seed": 1, "rate": 0.1f32, "new": 2 })).unwrap();
        let error = check(json!({ "seed": 2 })).unwrap_err().to_string();
        assert_eq!(
            error,
            "setting `seed`: found 2; expected the checkpoint's, 1"
        );
    }

    #[test]
    fn another_dataset_is_refused_with_both_lengths() {
        let data = |length, fingerprint| DataId {
            length,
            fingerprint,
        };
        let position = Position::after(5, 4, data(16, 1));
        assert_eq!((position.epoch, position.index), (1, 1));
        position.check(data(16, 1)).unwrap();
        let error = position.check(data(16, 2)).unwrap_err().to_string();
        assert!(error.contains("16 other rows"), "{error}");
        let error = position.check(data(17, 1)).unwrap_err().to_string();
        assert!(
            error.contains("17 rows") && error.contains("16 rows"),
            "{error}"
        );
    }
}
