//! `text::` and the `ToolCall` type.

use super::convert::from_json;
use crate::text::{self, ToolCall};
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, Map};

/// Registers the type and the module.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<ToolCall>("ToolCall");
    engine.register_global_module(exported_module!(members).into());
    engine.register_static_module("text", exported_module!(functions).into());
    let show = |c: &mut ToolCall| match &c.error {
        None => format!("{}({})", c.name, c.arguments),
        Some(error) => format!("{} call of {:?}: {error}", c.status.name(), c.name),
    };
    engine.register_fn("to_string", show);
    engine.register_fn("to_debug", show);
}

fn thoughts(thinking: Option<String>) -> Dynamic {
    thinking.map_or(Dynamic::UNIT, Dynamic::from)
}

fn calls(calls: Vec<ToolCall>) -> List {
    calls.into_iter().map(Dynamic::from).collect()
}

#[export_module]
mod functions {
    /// What a model wrote, taken apart: `#{ text, thinking, tool_calls }`. Nothing that looks like
    /// a call is dropped: what is wrong with one stands in its status.
    ///
    /// ```rhai
    /// let raw = "<think>2 and 3</think>It is 5.";
    /// assert_eq(text::parse_completion(raw), #{ text: "It is 5.", thinking: "2 and 3", tool_calls: [] });
    /// ```
    pub fn parse_completion(raw: &str) -> Map {
        let parsed = text::parse_completion(raw);
        Map::from_iter([
            ("text".into(), parsed.text.into()),
            ("thinking".into(), thoughts(parsed.thinking)),
            ("tool_calls".into(), calls(parsed.tool_calls).into()),
        ])
    }

    /// The tool calls in what a model wrote, outside of thinking: a list of `ToolCall`.
    ///
    /// ```rhai
    /// let raw = `<tool_call>{"name": "add", "arguments": {"a": 2}}</tool_call>`;
    /// assert_eq(text::tool_calls(raw)[0].arguments, #{ a: 2 });
    /// ```
    pub fn tool_calls(raw: &str) -> List {
        calls(text::parse_completion(raw).tool_calls)
    }

    /// The thinking in what a model wrote, or `()`. Before a dangling `</think>` everything is.
    ///
    /// ```rhai
    /// assert_eq(text::thinking("2 and 3</think>5"), "2 and 3");
    /// assert_eq(text::thinking("5"), ());
    /// ```
    pub fn thinking(raw: &str) -> Dynamic {
        thoughts(text::parse_completion(raw).thinking)
    }

    /// The content of the last complete pair of tags, without white space at either end, or `()`.
    ///
    /// ```rhai
    /// assert_eq(text::xml_tag("<answer>4</answer> or <answer> 5 </answer>", "answer"), "5");
    /// assert_eq(text::xml_tag("<answer>4", "answer"), ());
    /// ```
    pub fn xml_tag(raw: &str, tag: &str) -> Dynamic {
        text::xml_tag(raw, tag).map_or(Dynamic::UNIT, Dynamic::from)
    }
}

#[export_module]
mod members {
    /// Its place among the calls of its completion: `"call_0"`, `"call_1"`.
    ///
    /// ```rhai
    /// assert_eq(text::tool_calls("<tool_call></tool_call>")[0].id, "call_0");
    /// ```
    #[rhai_fn(global, get = "id", pure)]
    pub fn call_id(c: &mut ToolCall) -> String {
        c.id.clone()
    }

    /// The name of the tool; empty if there is no usable one.
    ///
    /// ```rhai
    /// let raw = `<tool_call>{"name": "add", "arguments": {"a": 2}}</tool_call>`;
    /// assert_eq(text::tool_calls(raw)[0].name, "add");
    /// ```
    #[rhai_fn(global, get = "name", pure)]
    pub fn call_name(c: &mut ToolCall) -> String {
        c.name.clone()
    }

    /// The arguments, as a map; empty if they could not be read.
    ///
    /// ```rhai
    /// let raw = `<tool_call>{"name": "add", "arguments": {"a": 2}}</tool_call>`;
    /// assert_eq(text::tool_calls(raw)[0].arguments.a, 2);
    /// ```
    #[rhai_fn(global, get = "arguments", pure)]
    pub fn arguments(c: &mut ToolCall) -> Dynamic {
        from_json(&c.arguments)
    }

    /// `"ok"`, `"invalid_json"`, `"missing_name"`, `"not_object"`, `"unterminated"` or `"empty"`.
    ///
    /// ```rhai
    /// assert_eq(text::tool_calls("<tool_call>[1, 2</tool_call>")[0].status, "invalid_json");
    /// ```
    #[rhai_fn(global, get = "status", pure)]
    pub fn status(c: &mut ToolCall) -> String {
        c.status.name().into()
    }

    /// What is wrong with it, or `()`.
    ///
    /// ```rhai
    /// let c = text::tool_calls(`<tool_call>{"arguments": {}}</tool_call>`)[0];
    /// assert(c.error.contains("name"));
    /// ```
    #[rhai_fn(global, get = "error", pure)]
    pub fn error(c: &mut ToolCall) -> Dynamic {
        c.error.clone().map_or(Dynamic::UNIT, Dynamic::from)
    }

    /// The text of the call, with its tags.
    ///
    /// ```rhai
    /// let raw = "<tool_call>5</tool_call>";
    /// assert_eq(text::tool_calls("So: " + raw)[0].raw, raw);
    /// ```
    #[rhai_fn(global, get = "raw", pure)]
    pub fn raw(c: &mut ToolCall) -> String {
        c.raw.clone()
    }
}
