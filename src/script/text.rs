//! `text::` and the `ToolCall` type.

use super::convert::{from_json, to_json};
use super::error::{Answer, At};
use crate::checkpoint::write_file as write_file_at;
use crate::error::{Error, Result};
use crate::text::{self, ToolCall};
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, FLOAT, INT, Map, NativeCallContext};
use std::path::Path;

/// Registers the type and the module.
pub fn register(engine: &mut Engine, global: &mut Module) {
    engine.register_type_with_name::<ToolCall>("ToolCall");
    global.combine(exported_module!(members));
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

    /// The first match of a regular expression, or `()`. The syntax is that of the crate `regex`;
    /// `(?s)` at its beginning lets `.` match line ends.
    ///
    /// ```rhai
    /// assert_eq(text::regex_find("a1b22", "[0-9]+"), "1");
    /// assert_eq(text::regex_find("ab", "[0-9]+"), ());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn regex_find(ctx: NativeCallContext, text: &str, pattern: &str) -> Answer<Dynamic> {
        let found = text::regex_find(text, pattern).at(&ctx)?;
        Ok(found.map_or(Dynamic::UNIT, Into::into))
    }

    /// Every match of a regular expression, as a list of strings.
    ///
    /// ```rhai
    /// assert_eq(text::regex_find_all("a1b22", "[0-9]+"), ["1", "22"]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn regex_find_all(ctx: NativeCallContext, text: &str, pattern: &str) -> Answer<List> {
        let found = text::regex_find_all(text, pattern).at(&ctx)?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    /// The first match of a regular expression and its groups, as a list of strings, `()` for a
    /// group that took no part; `()` where there is no match.
    ///
    /// ```rhai
    /// assert_eq(text::regex_captures("12:30", "(\\d+):(\\d+)"), ["12:30", "12", "30"]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn regex_captures(ctx: NativeCallContext, text: &str, pattern: &str) -> Answer<Dynamic> {
        let groups = text::regex_captures(text, pattern).at(&ctx)?;
        let value = |group: Option<&str>| group.map_or(Dynamic::UNIT, Into::into);
        let list = |groups: Vec<_>| Dynamic::from_array(groups.into_iter().map(value).collect());
        Ok(groups.map_or(Dynamic::UNIT, list))
    }

    /// The fewest characters to insert, delete or replace that make one text the other.
    ///
    /// ```rhai
    /// assert_eq(text::edit_distance("kitten", "sitting"), 3);
    /// ```
    pub fn edit_distance(a: &str, b: &str) -> INT {
        text::edit_distance(a, b) as INT
    }

    /// Twice the length of the longest common subsequence of two texts over the length of both: 1
    /// for equal texts, 0 for those without a common character.
    ///
    /// ```rhai
    /// assert_eq(text::lcs_ratio("abcd", "abxd"), 0.75);
    /// ```
    pub fn lcs_ratio(a: &str, b: &str) -> FLOAT {
        text::lcs_ratio(a, b)
    }

    /// The number that a text comes to: the first after its last `####`, or else the last in its last
    /// `\\boxed{..}`, or else the last in it; `()` where there is none. Commas between thousands are
    /// passed over. A whole number is an integer.
    ///
    /// ```rhai
    /// assert_eq(text::extract_number("It costs $1,200."), 1200);
    /// assert_eq(text::extract_number("x = 2.5 #### 7"), 7);
    /// assert_eq(text::extract_number("nothing"), ());
    /// ```
    pub fn extract_number(text: &str) -> Dynamic {
        match text::extract_number(text) {
            None => Dynamic::UNIT,
            Some(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                Dynamic::from(number as INT)
            }
            Some(number) => number.into(),
        }
    }

    /// The value that a text of JSON stands for.
    ///
    /// ```rhai
    /// assert_eq(text::parse_json(`{"a": [1, 2.5, null]}`), #{ a: [1, 2.5, ()] });
    /// ```
    #[rhai_fn(name = "parse_json", return_raw)]
    pub fn json_value(ctx: NativeCallContext, text: &str) -> Answer<Dynamic> {
        let value: Result<serde_json::Value> = serde_json::from_str(text).map_err(|error| {
            let start: String = text.chars().take(40).collect();
            Error::value("text", format!("{start:?}"), &format!("JSON ({error})"))
        });
        Ok(from_json(&value.at(&ctx)?))
    }

    /// Whether a text is JSON.
    ///
    /// ```rhai
    /// assert(text::is_json("[1, 2]") && !text::is_json("[1, 2"));
    /// ```
    pub fn is_json(text: &str) -> bool {
        serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    }

    /// A value as text of JSON, on one line.
    ///
    /// ```rhai
    /// assert_eq(text::to_json([1, "a", ()]), `[1,"a",null]`);
    /// ```
    #[rhai_fn(name = "to_json", return_raw)]
    pub fn json_text(ctx: NativeCallContext, value: Dynamic) -> Answer<String> {
        to_json(&value).map(|json| json.to_string()).at(&ctx)
    }

    /// The content of a file of text.
    ///
    /// ```rhai
    /// assert(text::read_file("datasets/addition.csv").starts_with("prompt,answer"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read_file(ctx: NativeCallContext, path: &str) -> Answer<String> {
        let path = Path::new(path);
        std::fs::read_to_string(path)
            .map_err(Error::io(path))
            .at(&ctx)
    }

    /// Writes a text to a file, which appears or changes as a whole; folders on the way are made.
    ///
    /// ```rhai
    /// text::write_file("target/examples/note.txt", "hello");
    /// assert_eq(text::read_file("target/examples/note.txt"), "hello");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn write_file(ctx: NativeCallContext, path: &str, text: &str) -> Answer<()> {
        let path = Path::new(path);
        let folder = path.parent().unwrap_or(Path::new(""));
        let made = std::fs::create_dir_all(folder).map_err(Error::io(path));
        made.and_then(|()| write_file_at(path, text.as_bytes()))
            .at(&ctx)
    }
}

#[export_module]
mod members {
    /// Whether a text has a number in it, as the number is written. A row's `answer` may be one.
    ///
    /// ```rhai
    /// assert("it is 12".contains(12) && !"it is 12".contains(3));
    /// ```
    #[rhai_fn(global, name = "contains", pure)]
    pub fn contains_integer(text: &mut ImmutableString, number: INT) -> bool {
        text.contains(&number.to_string())
    }

    /// Whether a text has a number in it, as `to_string()` writes it.
    #[rhai_fn(global, name = "contains", pure)]
    pub fn contains_float(text: &mut ImmutableString, number: FLOAT) -> bool {
        text.contains(&Dynamic::from(number).to_string())
    }

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
