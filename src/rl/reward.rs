//! What a completion is worth: a trait, and the checks on what it answers.

use crate::data::Row;
use crate::error::{Error, Result};
use crate::generate::{Finish, Generated};
use crate::text::{ToolCall, parse_completion};
use crate::train::Metrics;
use serde_json::{Map, Value};
use std::rc::Rc;

/// A completion as text and as what was sampled.
#[derive(Clone, Debug)]
pub struct Completion {
    /// Without thinking and tool calls, trimmed.
    pub text: String,
    /// As decoded.
    pub raw_text: String,
    pub thinking: Option<String>,
    pub tool_calls: Vec<ToolCall>,
    pub token_ids: Rc<Vec<i32>>,
    pub logprobs: Rc<Vec<f32>>,
    pub finish: Finish,
}

impl Completion {
    /// A completion and its text; without a tokenizer the text is empty.
    pub fn new(generated: Generated, raw_text: String) -> Self {
        let parsed = parse_completion(&raw_text);
        Self {
            text: parsed.text,
            raw_text,
            thinking: parsed.thinking,
            tool_calls: parsed.tool_calls,
            token_ids: Rc::new(generated.token_ids),
            logprobs: Rc::new(generated.logprobs),
            finish: generated.finish,
        }
    }
}

/// What a reward is given to judge. A copy is made for every step on its way into a script: it is
/// handles.
#[derive(Clone, Debug)]
pub struct RewardOutput {
    pub prompt: Rc<str>,
    pub completion: Rc<Completion>,
    /// The row that the prompt came from.
    pub example: Rc<Row>,
    /// Which prompt of the step.
    pub group: usize,
    /// Which completion of the step.
    pub index: usize,
}

/// What a reward answers for one output.
#[derive(Clone, Debug, PartialEq)]
pub enum Score {
    /// It cannot be scored.
    Unscorable,
    Value(f64),
    /// Named parts, which are summed and logged one by one.
    Parts(Vec<(String, f64)>),
}

/// A version of a script that is read again when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptVersion {
    /// From 1, counted by whoever reads it.
    pub number: u32,
    /// Of its text and of what it imports.
    pub hash: String,
    pub text: String,
    /// Name and text of every file that it imports.
    pub imports: Vec<(String, String)>,
}

/// What happens when a reward fails on a batch, or answers what is no score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The version of its script that scored before scores the batch, and what follows; without one
    /// it is `Abort`.
    #[default]
    RollBack,
    /// The step is not taken, and the run ends.
    Abort,
    /// The batch is worth 0 to it.
    Zero,
    /// The batch cannot be scored by it.
    Skip,
}

impl OnError {
    /// The policy of a name.
    ///
    /// # Errors
    /// An unknown name; the error lists the known ones.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "rollback" => Ok(Self::RollBack),
            "abort" => Ok(Self::Abort),
            "zero" => Ok(Self::Zero),
            "skip" => Ok(Self::Skip),
            other => {
                let expected = "rollback, abort, zero or skip";
                Err(Error::setting("on_error", other, expected))
            }
        }
    }
}

/// A function from outputs to scores.
pub trait Reward {
    /// Its name in metrics and errors.
    fn name(&self) -> &str;

    /// Its weight in the sum of several rewards.
    fn weight(&self) -> f64 {
        1.0
    }

    /// Takes up a change of its source, between steps. A sentence about it, if there was one.
    fn refresh(&mut self) -> Option<String> {
        None
    }

    /// The script that it comes from, if it comes from a file.
    fn script(&self) -> Option<ScriptVersion> {
        None
    }

    /// Goes back to the version of its script that scored before the present one. A sentence about
    /// it; `None` where there is none.
    fn roll_back(&mut self) -> Option<String> {
        None
    }

    /// What its script wants to be different from the next step on, under the names of the
    /// trainer's settings.
    fn hooks(&mut self, _step: u64, _metrics: &Metrics) -> Result<Map<String, Value>> {
        Ok(Map::new())
    }

    /// One score for each output.
    fn score(&mut self, outputs: &[RewardOutput]) -> Result<Vec<Score>>;
}

/// The scores of a step.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    /// One row for each output, one column for each reward.
    pub values: Vec<Vec<Option<f64>>>,
    /// Every part that was seen, with its value for each output that has it.
    pub parts: Vec<(String, Vec<Option<f64>>)>,
}

impl Scores {
    /// Asks every reward, and checks its answers; sentences about what went wrong go to `notes`.
    ///
    /// # Errors
    /// Where `on_error` says so, what a reward throws, another number of scores than outputs, a score
    /// that is not finite: named with the reward and the output's index.
    pub fn ask(
        rewards: &mut [Box<dyn Reward + '_>],
        outputs: &[RewardOutput],
        on_error: OnError,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        loop {
            let before = hashes(rewards);
            let scores = Self::ask_once(rewards, outputs, on_error, notes)?;
            // The same script may stand in the list twice: one version scores the batch.
            if hashes(rewards) == before {
                return Ok(scores);
            }
        }
    }

    fn ask_once(
        rewards: &mut [Box<dyn Reward + '_>],
        outputs: &[RewardOutput],
        on_error: OnError,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        let mut scores = Self {
            values: vec![Vec::with_capacity(rewards.len()); outputs.len()],
            parts: Vec::new(),
        };
        for reward in rewards {
            let name = reward.name().to_string();
            let taken: Vec<String> = scores.parts.iter().map(|(part, _)| part.clone()).collect();
            for (index, answer) in answers(&mut **reward, outputs, on_error, notes)?
                .into_iter()
                .enumerate()
            {
                let value = scores.take(&name, index, answer, &taken);
                scores.values[index].push(value);
            }
        }
        Ok(scores)
    }

    /// What one output was worth, part by part, and what it is of: for whoever looks for a fault in
    /// a reward.
    pub fn describe(&self, output: &RewardOutput, total: f64) -> String {
        let at = output.index;
        let parts = self.parts.iter().map(|(name, values)| match values[at] {
            Some(value) => format!("{name} {value}"),
            None => format!("{name} ()"),
        });
        let parts: Vec<String> = parts.collect();
        format!(
            "output {at} of prompt {}\n  prompt:     {}\n  completion: {}\n  parts:      {}\n  total:      \
             {total}",
            output.group,
            output.prompt.escape_debug(),
            output.completion.raw_text.escape_debug(),
            parts.join(", "),
        )
    }

    /// Adds something that is known of every output; one that nothing could score stays so.
    pub fn add_column(&mut self, name: &str, values: Vec<f64>) {
        for (index, value) in values.into_iter().enumerate() {
            let is_scored = self.values[index].iter().any(Option::is_some);
            let value = Some(value).filter(|_| is_scored);
            self.values[index].push(value);
            self.part(name)[index] = value;
        }
    }

    /// Keeps the groups of these numbers, `size` outputs each.
    pub fn keep_groups(&mut self, groups: &[usize], size: usize) {
        fn kept<T: Clone>(all: &[T], groups: &[usize], size: usize) -> Vec<T> {
            let of_group = |group: &usize| all[group * size..(group + 1) * size].to_vec();
            groups.iter().flat_map(of_group).collect()
        }
        self.values = kept(&self.values, groups, size);
        for (_, values) in &mut self.parts {
            *values = kept(values, groups, size);
        }
    }

    /// Adds the scores of other outputs behind these.
    pub fn append(&mut self, other: Self) {
        let (before, count) = (self.values.len(), other.values.len());
        self.values.extend(other.values);
        for (_, values) in &mut self.parts {
            values.resize(before + count, None);
        }
        for (name, values) in other.parts {
            self.part(&name)[before..].clone_from_slice(&values);
        }
    }

    /// The values of a part, without the outputs that lack it.
    pub fn known<'a>(values: &'a [Option<f64>]) -> impl Iterator<Item = f64> + 'a {
        values.iter().flatten().copied()
    }

    /// Adds a checked answer; what it is worth. Parts of the names that other rewards have taken are
    /// told from theirs.
    fn take(&mut self, name: &str, index: usize, answer: Score, taken: &[String]) -> Option<f64> {
        let own = |part: &str| match taken.iter().any(|known| known == part) {
            true => format!("{name}.{part}"),
            false => part.to_string(),
        };
        match answer {
            Score::Unscorable => None,
            Score::Value(value) => {
                self.part(&own(name))[index] = Some(value);
                Some(value)
            }
            Score::Parts(parts) => {
                let mut sum = 0.0;
                for (part, value) in parts {
                    sum += value;
                    let place = &mut self.part(&own(&part))[index];
                    *place = Some(place.unwrap_or(0.0) + value);
                }
                Some(sum)
            }
        }
    }

    fn part(&mut self, name: &str) -> &mut Vec<Option<f64>> {
        let at = match self.parts.iter().position(|(known, _)| known == name) {
            Some(at) => at,
            None => {
                let nobody = vec![None; self.values.len()];
                self.parts.push((name.to_string(), nobody));
                self.parts.len() - 1
            }
        };
        &mut self.parts[at].1
    }
}

/// Which version of its script each reward is, by hash.
pub(super) fn hashes(rewards: &[Box<dyn Reward + '_>]) -> Vec<Option<String>> {
    let scripts = rewards.iter().map(|reward| reward.script());
    scripts.map(|script| script.map(|s| s.hash)).collect()
}

/// The answers of one reward, after whatever `on_error` says about a fault.
fn answers(
    reward: &mut dyn Reward,
    outputs: &[RewardOutput],
    on_error: OnError,
    notes: &mut Vec<String>,
) -> Result<Vec<Score>> {
    loop {
        let error = match reward
            .score(outputs)
            .and_then(|a| check(reward.name(), a, outputs.len()))
        {
            Ok(answers) => return Ok(answers),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => error,
        };
        let instead = match on_error {
            OnError::Abort => return Err(error),
            OnError::RollBack => match reward.roll_back() {
                Some(said) => {
                    notes.push(format!("{said}: {error}"));
                    continue;
                }
                None => return Err(error),
            },
            OnError::Zero => Score::Value(0.0),
            OnError::Skip => Score::Unscorable,
        };
        let worth = match on_error {
            OnError::Zero => "is worth 0",
            _ => "is not scored",
        };
        notes.push(format!(
            "reward `{}`: the batch {worth}: {error}",
            reward.name()
        ));
        return Ok(vec![instead; outputs.len()]);
    }
}

/// Answers of a reward, if there is a finite one for each of `count` outputs.
///
/// # Errors
/// There is not; the error names the reward and the output.
pub fn check(name: &str, answers: Vec<Score>, count: usize) -> Result<Vec<Score>> {
    let wrong = |reason: String| Error::Reward {
        name: name.to_string(),
        reason,
    };
    if answers.len() != count {
        let found = answers.len();
        return Err(wrong(format!(
            "{found} scores for {count} outputs; return one for each, in order"
        )));
    }
    let finite = |part: &str, index: usize, value: f64| match value.is_finite() {
        true => Ok(()),
        false => Err(wrong(format!(
            "{part} of output {index} is {value}; return a finite number"
        ))),
    };
    for (index, answer) in answers.iter().enumerate() {
        match answer {
            Score::Unscorable => {}
            Score::Value(value) => finite("the score", index, *value)?,
            Score::Parts(parts) => {
                for (part, value) in parts {
                    finite(&format!("`{part}`"), index, *value)?;
                }
            }
        }
    }
    Ok(answers)
}
