//! Rewards that a script gives: a closure, a function's name, the path of a script, a list.

mod file;

use super::convert;
use super::error::{Answer, At, callback};
use super::rewards::NativeReward;
use super::settings::{Settings, float};
use crate::error::{Error, Result};
use crate::rl::{Reward, RewardOutput, Score, ScriptVersion};
use crate::train::Metrics;
use file::File;
use rhai::{Array as List, Dynamic, FnPtr, Map, NativeCallContext};
use serde_json::Value;
use std::path::Path;

/// Rewards of everything that a script may write where one is expected. With `go_on`, a script whose
/// file has become useless goes on in the version that served last.
pub fn rewards<'a>(
    ctx: &'a NativeCallContext<'a>,
    value: &Dynamic,
    go_on: bool,
) -> Answer<Vec<Box<dyn Reward + 'a>>> {
    if let Some(list) = value.read_lock::<List>() {
        let each: Answer<Vec<_>> = list
            .iter()
            .enumerate()
            .map(|(i, item)| one(ctx, item, &format!("reward_{i}"), go_on))
            .collect();
        let rewards = distinct(each?);
        if rewards.is_empty() {
            return Err(Error::value(
                "reward",
                "an empty list",
                "at least one reward",
            ))
            .at(ctx);
        }
        return Ok(rewards);
    }
    Ok(vec![one(ctx, value, "reward", go_on)?])
}

/// Rewards of a list under names of their own, so that each is logged by itself.
fn distinct<'a>(rewards: Vec<Box<dyn Reward + 'a>>) -> Vec<Box<dyn Reward + 'a>> {
    let mut names: Vec<String> = Vec::new();
    let named = rewards.into_iter().map(|inner| {
        let (base, mut name, mut count) = (inner.name().to_string(), inner.name().to_string(), 1);
        while names.contains(&name) {
            count += 1;
            name = format!("{base}_{count}");
        }
        names.push(name.clone());
        let weight = inner.weight();
        match name == base {
            true => inner,
            false => Box::new(Weighted {
                inner,
                name,
                weight,
            }) as Box<dyn Reward + 'a>,
        }
    });
    named.collect()
}

fn one<'a>(
    ctx: &'a NativeCallContext<'a>,
    value: &Dynamic,
    name: &str,
    go_on: bool,
) -> Answer<Box<dyn Reward + 'a>> {
    if let Some(map) = value.read_lock::<Map>() {
        let (reward, name, weight) = Settings::read(ctx, "reward", map.clone(), |s| {
            let mut weight = 1.0;
            s.float("weight", &mut weight)?;
            if !weight.is_finite() {
                return Err(Error::setting("weight", weight, "a finite number"));
            }
            let name = s.string("name")?.unwrap_or(name.to_string());
            let expected = "a closure, a function's name or a path";
            let reward = s
                .take("reward")
                .ok_or_else(|| Error::setting("reward", "nothing", expected))?;
            Ok((reward, name, weight))
        })?;
        let inner = one(ctx, &reward, &name, go_on)?;
        return Ok(Box::new(Weighted {
            inner,
            name,
            weight,
        }));
    }
    if let Some(native) = value.read_lock::<NativeReward>() {
        return Ok(Box::new(native.clone()));
    }
    if let Some(f) = value.read_lock::<FnPtr>() {
        let name = if f.is_anonymous() { name } else { f.fn_name() };
        return Ok(Box::new(Closure {
            ctx,
            f: f.clone(),
            name: name.to_string(),
        }));
    }
    if value.is_string() {
        let text = value.to_string();
        if text.ends_with(".rhai") {
            return Ok(Box::new(File::open(ctx, Path::new(&text), go_on)?));
        }
        let f = FnPtr::new(text.as_str())?;
        return Ok(Box::new(Closure { ctx, f, name: text }));
    }
    let expected = "a closure, a function's name, the path of a .rhai file, one of `rl::rewards::`, or a list of \
                    those";
    Err(Error::value("reward", convert::kind(value), expected)).at(ctx)
}

/// A reward under another name and with a weight.
struct Weighted<'a> {
    inner: Box<dyn Reward + 'a>,
    name: String,
    weight: f64,
}

impl Reward for Weighted<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn refresh(&mut self) -> Option<String> {
        self.inner.refresh()
    }

    fn script(&self) -> Option<ScriptVersion> {
        self.inner.script()
    }

    fn roll_back(&mut self) -> Option<String> {
        self.inner.roll_back()
    }

    fn hooks(&mut self, step: u64, metrics: &Metrics) -> Result<serde_json::Map<String, Value>> {
        self.inner.hooks(step, metrics)
    }

    fn score(&mut self, outputs: &[RewardOutput]) -> Result<Vec<Score>> {
        self.inner.score(outputs)
    }
}

/// A closure or a named function of the session.
struct Closure<'a> {
    ctx: &'a NativeCallContext<'a>,
    f: FnPtr,
    name: String,
}

impl Reward for Closure<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, outputs: &[RewardOutput]) -> Result<Vec<Score>> {
        let answer = self
            .f
            .call_raw(self.ctx, None, [list_of(outputs)])
            .map_err(callback)?;
        scores(&self.name, &answer)
    }
}

fn list_of(outputs: &[RewardOutput]) -> Dynamic {
    let list: List = outputs.iter().cloned().map(Dynamic::from).collect();
    list.into()
}

/// The scores in a reward's answer: numbers, `()`, or maps of named parts.
fn scores(name: &str, answer: &Dynamic) -> Result<Vec<Score>> {
    let wrong = |what: String| Error::Reward {
        name: name.to_string(),
        reason: format!(
            "{what}; return a list with a number, `()` or a map of parts for each output"
        ),
    };
    let Some(list) = answer.read_lock::<List>() else {
        return Err(wrong(format!("it returned {}", convert::kind(answer))));
    };
    list.iter()
        .enumerate()
        .map(|(i, item)| {
            if item.is_unit() {
                return Ok(Score::Unscorable);
            }
            if let Some(number) = float(item) {
                return Ok(Score::Value(number));
            }
            if let Ok(bit) = item.as_bool() {
                return Ok(Score::Value(f64::from(u8::from(bit))));
            }
            let parts = item.read_lock::<Map>().ok_or_else(|| {
                let found = super::convert::brief(item);
                wrong(format!("output {i} got {found} ({})", convert::kind(item)))
            })?;
            let part = |(part, value): (&rhai::Identifier, &Dynamic)| match float(value) {
                Some(number) => Ok((part.to_string(), number)),
                None => {
                    let found = super::convert::brief(value);
                    let kind = convert::kind(value);
                    Err(wrong(format!("`{part}` of output {i} is {found} ({kind})")))
                }
            };
            parts
                .iter()
                .map(part)
                .collect::<Result<_>>()
                .map(Score::Parts)
        })
        .collect()
}
