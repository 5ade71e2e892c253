//! The `Completion` and `RewardOutput` types.

use super::convert::from_json;
use crate::rl;
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, FLOAT, INT};
use serde_json::Value;

/// What a model wrote.
pub type Completion = rl::Completion;

/// What a reward judges.
pub type RewardOutput = rl::RewardOutput;

/// Registers the types.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Completion>("Completion");
    engine.register_type_with_name::<RewardOutput>("RewardOutput");
    engine.register_global_module(exported_module!(members).into());
    let show = |c: &mut Completion| {
        let n = c.token_ids.len();
        format!("{:?} ({n} tokens, {})", c.text, c.finish.name())
    };
    engine.register_fn("to_debug", show);
    engine.register_fn("to_string", |c: &mut Completion| c.text.clone());
    let show = |o: &mut RewardOutput| format!("{:?} -> {:?}", o.prompt, o.completion.text);
    engine.register_fn("to_debug", show);
    engine.register_fn("to_string", show);
}

#[export_module]
mod members {
    /// The text, trimmed.
    #[rhai_fn(global, get = "text", pure)]
    pub fn text(c: &mut Completion) -> String {
        c.text.clone()
    }

    /// The text as decoded.
    #[rhai_fn(global, get = "raw_text", pure)]
    pub fn raw_text(c: &mut Completion) -> String {
        c.raw_text.clone()
    }

    /// The sampled ids; the stop token, if one came, is the last.
    #[rhai_fn(global, get = "token_ids", pure)]
    pub fn token_ids(c: &mut Completion) -> List {
        c.token_ids.iter().map(|id| INT::from(*id).into()).collect()
    }

    /// The number of sampled tokens.
    #[rhai_fn(global, get = "num_tokens", pure)]
    pub fn num_tokens(c: &mut Completion) -> INT {
        c.token_ids.len() as INT
    }

    /// Why it ended: `"stop"`, `"length"` or `"interrupted"`.
    #[rhai_fn(global, get = "finish_reason", pure)]
    pub fn finish_reason(c: &mut Completion) -> String {
        c.finish.name().into()
    }

    /// Log-probability of each token at the sampling temperature, without filters.
    #[rhai_fn(global, get = "logprobs", pure)]
    pub fn logprobs(c: &mut Completion) -> List {
        c.logprobs.iter().map(|p| FLOAT::from(*p).into()).collect()
    }

    /// The prompt's text.
    #[rhai_fn(global, get = "prompt", pure)]
    pub fn prompt(o: &mut RewardOutput) -> String {
        o.prompt.to_string()
    }

    /// What was written.
    #[rhai_fn(global, get = "completion", pure)]
    pub fn completion(o: &mut RewardOutput) -> Completion {
        o.completion.clone()
    }

    /// The row's `answer`, or `()`.
    #[rhai_fn(global, get = "expected_answer", pure)]
    pub fn expected_answer(o: &mut RewardOutput) -> Dynamic {
        o.example.answer().map_or(Dynamic::UNIT, from_json)
    }

    /// The whole row.
    #[rhai_fn(global, get = "example", pure)]
    pub fn example(o: &mut RewardOutput) -> Dynamic {
        from_json(&Value::Object(o.example.fields.clone()))
    }

    /// Which prompt of the step.
    #[rhai_fn(global, get = "group", pure)]
    pub fn group(o: &mut RewardOutput) -> INT {
        o.group as INT
    }

    /// Which completion of the step.
    #[rhai_fn(global, get = "index", pure)]
    pub fn index(o: &mut RewardOutput) -> INT {
        o.index as INT
    }
}
