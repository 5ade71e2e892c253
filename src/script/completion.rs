//! The `Completion` and `RewardOutput` types.

use super::convert::from_json;
use crate::rl;
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, FLOAT, INT};
use serde_json::Value;
use std::rc::Rc;

/// What a model wrote; a handle, since every property of it that a script reads begins with a copy.
pub type Completion = Rc<rl::Completion>;

/// What a reward judges.
pub type RewardOutput = rl::RewardOutput;

/// Registers the types.
pub fn register(engine: &mut Engine, global: &mut Module) {
    engine.register_type_with_name::<Completion>("Completion");
    engine.register_type_with_name::<RewardOutput>("RewardOutput");
    global.combine(exported_module!(members));
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
    /// The decoded text without thinking and tool calls, and without white space at either end.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let c = model.generate("1+2=", #{ max_tokens: 4, temperature: 0, stop_token_ids: [] });
    /// assert_eq(c.text, c.raw_text);
    /// ```
    #[rhai_fn(global, get = "text", pure)]
    pub fn text(c: &mut Completion) -> String {
        c.text.clone()
    }

    /// The text as decoded, without special tokens.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let c = model.generate("1+2=", #{ max_tokens: 4, temperature: 0, stop_token_ids: [] });
    /// assert_eq(c.raw_text, model.tokenizer.decode(c.token_ids));
    /// ```
    #[rhai_fn(global, get = "raw_text", pure)]
    pub fn raw_text(c: &mut Completion) -> String {
        c.raw_text.clone()
    }

    /// What stood between `<think>` and `</think>`, without white space at either end; several
    /// thoughts are joined by a blank line. `()` if there was none.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let c = model.generate("1+2=", #{ max_tokens: 4, temperature: 0, stop_token_ids: [] });
    /// assert_eq(c.thinking, ());
    /// ```
    #[rhai_fn(global, get = "thinking", pure)]
    pub fn thinking(c: &mut Completion) -> Dynamic {
        c.thinking.clone().map_or(Dynamic::UNIT, Dynamic::from)
    }

    /// The calls of tools outside of thinking, as a list of `ToolCall`.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let c = model.generate("1+2=", #{ max_tokens: 4, temperature: 0, stop_token_ids: [] });
    /// assert_eq(c.tool_calls, []);
    /// ```
    #[rhai_fn(global, get = "tool_calls", pure)]
    pub fn tool_calls(c: &mut Completion) -> List {
        c.tool_calls.iter().cloned().map(Dynamic::from).collect()
    }

    /// The sampled ids, without the prompt's; the stop token, if one came, is the last.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let c = model.generate("1+2=", #{ max_tokens: 4, temperature: 0, stop_token_ids: [] });
    /// assert_eq(c.token_ids.len(), 4);
    /// ```
    #[rhai_fn(global, get = "token_ids", pure)]
    pub fn token_ids(c: &mut Completion) -> List {
        c.token_ids.iter().map(|id| INT::from(*id).into()).collect()
    }

    /// The number of sampled tokens, the stop token included.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let c = model.generate("1+2=", #{ max_tokens: 4, temperature: 0, stop_token_ids: [] });
    /// assert_eq(c.num_tokens, 4);
    /// ```
    #[rhai_fn(global, get = "num_tokens", pure)]
    pub fn num_tokens(c: &mut Completion) -> INT {
        c.token_ids.len() as INT
    }

    /// Why it ended: `"stop"` (a stop token), `"length"` (`max_tokens`) or `"interrupted"`.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let c = model.generate("1+2=", #{ max_tokens: 4, temperature: 0, stop_token_ids: [] });
    /// assert_eq(c.finish_reason, "length");
    /// ```
    #[rhai_fn(global, get = "finish_reason", pure)]
    pub fn finish_reason(c: &mut Completion) -> String {
        c.finish.name().into()
    }

    /// A list with the log-probability of each sampled token, in nats, at the sampling temperature
    /// (1 where that is 0), without filters.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let c = model.generate("1+2=", #{ max_tokens: 4, temperature: 0, stop_token_ids: [] });
    /// assert_close(c.logprobs, model.logprobs(model.tokenizer.encode("1+2="), c.token_ids), 1e-4);
    /// ```
    #[rhai_fn(global, get = "logprobs", pure)]
    pub fn logprobs(c: &mut Completion) -> List {
        c.logprobs.iter().map(|p| FLOAT::from(*p).into()).collect()
    }

    /// The prompt's text, as in the row.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = rl::grpo(model, #{ num_generations: 2, max_completion_length: 2 });
    /// let o = trainer.rollout([#{ prompt: "1+2=", answer: "3" }])[0];
    /// assert_eq(o.prompt, "1+2=");
    /// ```
    #[rhai_fn(global, get = "prompt", pure)]
    pub fn prompt(o: &mut RewardOutput) -> String {
        o.prompt.to_string()
    }

    /// What was written, a `Completion`.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = rl::grpo(model, #{ num_generations: 2, max_completion_length: 2 });
    /// let o = trainer.rollout([#{ prompt: "1+2=", answer: "3" }])[0];
    /// assert(o.completion.num_tokens <= 2);
    /// ```
    #[rhai_fn(global, get = "completion", pure)]
    pub fn completion(o: &mut RewardOutput) -> Completion {
        o.completion.clone()
    }

    /// The row's `answer`, or `()` where it has none.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = rl::grpo(model, #{ num_generations: 2, max_completion_length: 2 });
    /// let outputs = trainer.rollout([#{ prompt: "1+2=", answer: "3" }, #{ prompt: "1+3=" }]);
    /// assert_eq(outputs[0].expected_answer, "3");
    /// assert_eq(outputs[2].expected_answer, ());
    /// ```
    #[rhai_fn(global, get = "expected_answer", pure)]
    pub fn expected_answer(o: &mut RewardOutput) -> Dynamic {
        o.example.answer().map_or(Dynamic::UNIT, from_json)
    }

    /// The whole row, as a map.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = rl::grpo(model, #{ num_generations: 2, max_completion_length: 2 });
    /// let o = trainer.rollout([#{ prompt: "1+2=", level: 7 }])[0];
    /// assert_eq(o.example.level, 7);
    /// ```
    #[rhai_fn(global, get = "example", pure)]
    pub fn example(o: &mut RewardOutput) -> Dynamic {
        from_json(&Value::Object((*o.example.fields).clone()))
    }

    /// Which prompt of the step it completes, from 0.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = rl::grpo(model, #{ num_generations: 2, max_completion_length: 2 });
    /// let outputs = trainer.rollout([#{ prompt: "1+2=" }, #{ prompt: "1+3=" }]);
    /// assert_eq(outputs.map(|o| o.group), [0, 0, 1, 1]);
    /// ```
    #[rhai_fn(global, get = "group", pure)]
    pub fn group(o: &mut RewardOutput) -> INT {
        o.group as INT
    }

    /// Which completion of the step it is, from 0; those of a prompt are adjacent.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = rl::grpo(model, #{ num_generations: 2, max_completion_length: 2 });
    /// let outputs = trainer.rollout([#{ prompt: "1+2=" }, #{ prompt: "1+3=" }]);
    /// assert_eq(outputs.map(|o| o.index), [0, 1, 2, 3]);
    /// ```
    #[rhai_fn(global, get = "index", pure)]
    pub fn index(o: &mut RewardOutput) -> INT {
        o.index as INT
    }
}
