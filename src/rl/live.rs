//! What a script may change of a run that goes on.

use super::reward::Reward;
use super::trainer::GrpoTrainer;
use crate::error::{Error, Result, nearest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Stops the run after the step.
const STOP: &str = "stop";
const LEARNING_RATE: &str = "learning_rate";

/// A setting that was changed while the run went on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Changed {
    pub name: String,
    /// What the trainer was made with.
    pub original: Value,
    pub now: Value,
}

impl GrpoTrainer {
    /// Asks the scripts that reward what is to be different from here on. A script that fails, or
    /// wants what cannot be, changes nothing, which is said once.
    pub(super) fn follow_hooks(&mut self, rewards: &mut [Box<dyn Reward + '_>]) {
        let Some(metrics) = self.history.last().cloned() else {
            return;
        };
        self.hooks_due = false;
        for reward in rewards {
            let asked = reward.hooks(self.step, &metrics);
            let name = reward.name().to_string();
            if matches!(asked, Err(Error::Interrupted)) {
                // They are asked again before the next step, in whichever process.
                self.hooks_due = true;
                return;
            }
            match asked.and_then(|changes| self.change(&changes)) {
                Ok(said) if said.is_empty() => {}
                Ok(said) => {
                    let list = said.join(", ");
                    let step = self.step;
                    self.notes
                        .push(format!("step {step}: hooks of `{name}`: {list}"));
                }
                Err(error) => {
                    let said = format!("hooks of `{name}` change nothing: {error}");
                    if self.faults.get(&name) != Some(&said) {
                        self.notes.push(said.clone());
                        self.faults.insert(name, said);
                    }
                }
            }
        }
    }

    /// Changes settings by name, all of them or none; what has changed, in words.
    ///
    /// # Errors
    /// A name that cannot be changed, a value out of its range.
    pub fn change(&mut self, changes: &Map<String, Value>) -> Result<Vec<String>> {
        let (mut settings, mut stop) = (self.settings.clone(), self.stop);
        let (mut said, mut changed) = (Vec::new(), self.changed.clone());
        for (name, value) in changes {
            if name == STOP {
                let expected = "true or false";
                stop = (value.as_bool()).ok_or_else(|| Error::setting(STOP, value, expected))?;
                if stop {
                    said.push("the run stops here".into());
                }
                continue;
            }
            let before = match name.as_str() {
                LEARNING_RATE => {
                    let rate = value.as_f64();
                    let wrong = || Error::setting(LEARNING_RATE, value, "a number");
                    let before = json!(settings.optim.learning_rate);
                    settings.optim.learning_rate = rate.ok_or_else(wrong)?;
                    before
                }
                _ => match replaced(&settings.sampler, name, value)? {
                    Some((before, sampler)) => {
                        settings.sampler = sampler;
                        before
                    }
                    None => match replaced(&settings.penalties, name, value)? {
                        Some((before, penalties)) => {
                            settings.penalties = penalties;
                            before
                        }
                        None => return Err(self.unknown(name)),
                    },
                },
            };
            if same(&before, value) {
                continue;
            }
            said.push(format!("{name} {before} to {value}"));
            match changed.iter_mut().find(|known| known.name == *name) {
                Some(known) => known.now = value.clone(),
                None => changed.push(Changed {
                    name: name.clone(),
                    original: before,
                    now: value.clone(),
                }),
            }
        }
        settings.check()?;
        self.stepper.settings.learning_rate = settings.optim.learning_rate;
        (self.settings, self.changed, self.stop) = (settings, changed, stop);
        Ok(said)
    }

    /// Takes back every change, and makes those of a checkpoint.
    pub(super) fn restore_changes(&mut self, now: &Map<String, Value>) -> Result<()> {
        let back = self
            .changed
            .iter()
            .map(|c| (c.name.clone(), c.original.clone()));
        let back: Map<String, Value> = back.collect();
        self.change(&back)?;
        self.changed.clear();
        self.change(now).map(drop)
    }

    /// Every change that is in force, by name.
    pub(super) fn changes(&self) -> Map<String, Value> {
        let all = self.changed.iter();
        all.map(|c| (c.name.clone(), c.now.clone())).collect()
    }

    fn unknown(&self, name: &str) -> Error {
        let mut known = vec![STOP.to_string(), LEARNING_RATE.into()];
        for group in [json!(self.settings.sampler), json!(self.settings.penalties)] {
            known.extend(
                group
                    .as_object()
                    .into_iter()
                    .flat_map(|g| g.keys().cloned()),
            );
        }
        let near = nearest(name, known.iter().map(String::as_str));
        let near = near
            .map(|near| format!("; did you mean `{near}`?"))
            .unwrap_or_default();
        let expected = format!("one of {}{near}", known.join(", "));
        Error::value("hooks", format!("`{name}`"), &expected)
    }
}

/// A group of settings with another value of a name, and the earlier value; `None` if it has none of
/// that name.
fn replaced<T: Serialize + DeserializeOwned>(
    group: &T,
    name: &str,
    value: &Value,
) -> Result<Option<(Value, T)>> {
    let Value::Object(mut fields) = json!(group) else {
        return Ok(None);
    };
    let Some(place) = fields.get_mut(name) else {
        return Ok(None);
    };
    let before = std::mem::replace(place, value.clone());
    let new = serde_json::from_value(Value::Object(fields));
    let new =
        new.map_err(|e| Error::setting(name, value, &format!("a value of its kind ({e})")))?;
    Ok(Some((before, new)))
}

/// Whether two values are the same setting: those of the groups are kept in f32.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b || a as f32 == b as f32,
        _ => a == b,
    }
}
