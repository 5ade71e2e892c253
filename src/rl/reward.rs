//! What a completion is worth: a trait, and the checks on what it answers.

use crate::data::Row;
use crate::error::{Error, Result};
use crate::generate::{Finish, Generated};
use crate::text::{ToolCall, parse_completion};
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

/// What a reward is given to judge.
#[derive(Clone, Debug)]
pub struct RewardOutput {
    pub prompt: Rc<str>,
    pub completion: Completion,
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

    /// The hash and the text of the script that it comes from, if it comes from a file.
    fn source(&self) -> Option<(String, String)> {
        None
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
    /// Asks every reward, and checks its answers.
    ///
    /// # Errors
    /// Another number of scores than outputs, a score that is not finite: named with the reward
    /// and the output's index.
    pub fn ask(rewards: &mut [Box<dyn Reward + '_>], outputs: &[RewardOutput]) -> Result<Self> {
        let mut scores = Self {
            values: vec![Vec::with_capacity(rewards.len()); outputs.len()],
            parts: Vec::new(),
        };
        for reward in rewards {
            let name = reward.name().to_string();
            let answers = reward.score(outputs)?;
            if answers.len() != outputs.len() {
                return Err(Error::Reward {
                    name,
                    reason: format!(
                        "{} scores for {} outputs; return one for each, in order",
                        answers.len(),
                        outputs.len()
                    ),
                });
            }
            for (index, answer) in answers.into_iter().enumerate() {
                let value = scores.take(&name, index, answer)?;
                scores.values[index].push(value);
            }
        }
        Ok(scores)
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

    fn take(&mut self, name: &str, index: usize, answer: Score) -> Result<Option<f64>> {
        let finite = |part: &str, value: f64| -> Result<f64> {
            if value.is_finite() {
                return Ok(value);
            }
            Err(Error::Reward {
                name: name.to_string(),
                reason: format!("{part} of output {index} is {value}; return a finite number"),
            })
        };
        match answer {
            Score::Unscorable => Ok(None),
            Score::Value(value) => {
                let value = finite("the score", value)?;
                self.part(name)[index] = Some(value);
                Ok(Some(value))
            }
            Score::Parts(parts) => {
                let mut sum = 0.0;
                for (part, value) in parts {
                    sum += finite(&format!("`{part}`"), value)?;
                    let place = &mut self.part(&part)[index];
                    *place = Some(place.unwrap_or(0.0) + value);
                }
                Ok(Some(sum))
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
