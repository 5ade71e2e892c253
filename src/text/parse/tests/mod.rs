//! What completions are taken for.

mod ends;
mod json_form;
mod robustness;
mod thinking;
mod xml_form;

use super::*;
use serde_json::{Value, json};

/// Names, arguments and statuses of the calls of a completion.
fn calls(raw: &str) -> Vec<(String, Value, &'static str)> {
    let calls = parse_completion(raw).tool_calls;
    let parts = |c: ToolCall| (c.name, c.arguments, c.status.name());
    calls.into_iter().map(parts).collect()
}

fn call(raw: &str) -> ToolCall {
    let mut calls = parse_completion(raw).tool_calls;
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.remove(0)
}

fn status(content: &str) -> &'static str {
    let call = call(&format!("<tool_call>{content}</tool_call>"));
    assert_eq!(call.error.is_none(), call.status == CallStatus::Ok);
    call.status.name()
}

fn arguments(content: &str) -> Value {
    let call = call(&format!("<tool_call>{content}</tool_call>"));
    assert_eq!(call.status, CallStatus::Ok, "{:?}", call.error);
    call.arguments
}

fn text_and_thinking(raw: &str) -> (String, Option<String>) {
    let parsed = parse_completion(raw);
    (parsed.text, parsed.thinking)
}

fn expect(raw: &str, text: &str, thinking: Option<&str>) {
    let expected = (text.to_string(), thinking.map(String::from));
    assert_eq!(text_and_thinking(raw), expected, "{raw}");
}
