//! A reward that is the function of a script, read again when the script changes.

use super::super::convert::{self, to_json};
use super::super::error::Answer;
use super::super::live::{Contract, LiveScript, Look};
use super::super::train::metrics_map;
use super::{list_of, scores};
use crate::error::{Error, Result};
use crate::rl::reward::check;
use crate::rl::{Reward, RewardOutput, Score, ScriptVersion};
use crate::train::Metrics;
use rhai::{Dynamic, INT, NativeCallContext};
use serde_json::{Map, Value};
use std::path::Path;

const CONTRACT: Contract = ("reward", 1, "fn reward(outputs)");

/// A script with `fn reward(outputs)`, and `fn hooks(step, metrics)` if it likes.
pub struct File<'a> {
    script: LiveScript<'a>,
    path: String,
    name: String,
}

impl<'a> File<'a> {
    /// The reward of a script; with `go_on`, that of the version that the session knows, until the
    /// next look at the file.
    ///
    /// # Errors
    /// Those of the file and of the script, and one without the function.
    pub fn open(ctx: &'a NativeCallContext<'a>, path: &Path, go_on: bool) -> Answer<Self> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self {
            script: LiveScript::open(ctx, path, CONTRACT, go_on)?,
            path: path.display().to_string(),
            name: name.into_owned(),
        })
    }
}

fn ask(script: &LiveScript, name: &str, outputs: &[RewardOutput]) -> Result<Vec<Score>> {
    let answer = script.call("reward", vec![list_of(outputs)])?;
    scores(name, &answer)
}

/// The mean of what can be scored.
fn mean(scores: &[Score]) -> f64 {
    let known = scores.iter().filter_map(|score| match score {
        Score::Unscorable => None,
        Score::Value(value) => Some(*value),
        Score::Parts(parts) => Some(parts.iter().map(|(_, value)| value).sum()),
    });
    let known: Vec<f64> = known.collect();
    known.iter().sum::<f64>() / known.len() as f64
}

impl Reward for File<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn refresh(&mut self) -> Option<String> {
        let (name, last) = (&self.name, self.script.last());
        let mut tried = String::new();
        let was = self.script.version().number;
        let look = self.script.look(CONTRACT, &mut |script| {
            if !last.is_empty() {
                let answers = check(name, ask(script, name, &last)?, last.len())?;
                let mean = mean(&answers);
                tried = format!("; the mean of the last batch would have been {mean:.4}");
            }
            Ok(())
        });
        let path = &self.path;
        match look {
            Look::Same => None,
            Look::New => {
                let ScriptVersion { number, hash, .. } = self.script.version();
                Some(format!(
                    "{path} has changed: version {number} ({}) scores from here on{tried}",
                    &hash[..8]
                ))
            }
            Look::Refused(reason) => Some(format!(
                "{path} has changed but cannot be used, version {was} goes on scoring: {reason}"
            )),
        }
    }

    fn script(&self) -> Option<ScriptVersion> {
        Some(self.script.version())
    }

    fn roll_back(&mut self) -> Option<String> {
        let bad = self.script.version().number;
        self.script.roll_back().then(|| {
            let good = self.script.version().number;
            format!(
                "{}: version {bad} fails, version {good} scores again",
                self.path
            )
        })
    }

    fn hooks(&mut self, step: u64, metrics: &Metrics) -> Result<Map<String, Value>> {
        if !self.script.has("hooks", 2) {
            return Ok(Map::new());
        }
        let args = vec![Dynamic::from(step as INT), metrics_map(metrics)];
        let answer = self.script.call("hooks", args)?;
        match to_json(&answer)? {
            Value::Null => Ok(Map::new()),
            Value::Object(changes) => Ok(changes),
            _ => Err(Error::value(
                "what `hooks` returned",
                convert::kind(&answer),
                "a map of what is to change, or nothing",
            )),
        }
    }

    fn score(&mut self, outputs: &[RewardOutput]) -> Result<Vec<Score>> {
        let answers = ask(&self.script, &self.name, outputs)?;
        self.script.keep_last(outputs);
        Ok(answers)
    }
}
