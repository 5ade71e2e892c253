//! Calls written as JSON.

use super::*;

#[test]
fn a_call_is_taken_out_of_the_text() {
    let raw =
        "Wait.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": [1, 2.5]}}\n</tool_call>\n";
    expect(raw, "Wait.", None);
    let call = call(raw);
    assert_eq!(call.id, "call_0");
    assert_eq!(call.name, "f");
    assert_eq!(call.arguments, json!({"x": [1, 2.5]}));
    assert_eq!(call.status, CallStatus::Ok);
    assert_eq!(call.error, None);
    assert_eq!(call.raw, raw["Wait.\n".len()..].trim());
}

#[test]
fn calls_are_numbered_in_the_order_of_the_text() {
    let raw = "<tool_call>{\"name\": \"f\"}</tool_call> and <tool_call>?</tool_call>\
               <tool_call>[{\"name\": \"g\"}, {\"name\": \"h\"}]</tool_call>";
    let calls = parse_completion(raw).tool_calls;
    let ids: Vec<&str> = calls.iter().map(|c| c.id.as_str()).collect();
    let names: Vec<&str> = calls.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(ids, ["call_0", "call_1", "call_2", "call_3"]);
    assert_eq!(names, ["f", "", "g", "h"]);
    assert_eq!(parse_completion(raw).tool_calls, calls);
    assert_eq!(parse_completion(raw).text, "and");
}

#[test]
fn absent_arguments_are_an_empty_object() {
    assert_eq!(arguments(r#"{"name": "f"}"#), json!({}));
    assert_eq!(arguments(r#"{"name": "f", "arguments": null}"#), json!({}));
}

#[test]
fn arguments_of_other_types_stay_as_they_are() {
    assert_eq!(arguments(r#"{"name": "f", "arguments": [1]}"#), json!([1]));
    assert_eq!(arguments(r#"{"name": "f", "arguments": 7}"#), json!(7));
}

#[test]
fn arguments_may_be_called_parameters() {
    assert_eq!(
        arguments(r#"{"name": "f", "parameters": {"a": 1}}"#),
        json!({"a": 1})
    );
    let both = r#"{"name": "f", "parameters": {"a": 1}, "arguments": {"b": 2}}"#;
    assert_eq!(arguments(both), json!({"b": 2}));
}

#[test]
fn arguments_may_be_a_string_of_json() {
    assert_eq!(
        arguments(r#"{"name": "f", "arguments": "{\"a\": 1}"}"#),
        json!({"a": 1})
    );
    assert_eq!(arguments(r#"{"name": "f", "parameters": "[]"}"#), json!([]));
}

#[test]
fn a_string_of_something_else_is_invalid() {
    let call = call(r#"<tool_call>{"name": "f", "arguments": "a: 1"}</tool_call>"#);
    assert_eq!(
        (call.name.as_str(), call.status.name()),
        ("f", "invalid_json")
    );
    assert_eq!(call.arguments, json!({}));
    let error = call.error.unwrap();
    assert!(
        error.contains("`arguments`: expected value at line 1"),
        "{error}"
    );
    assert_eq!(status(r#"{"name": "f", "arguments": ""}"#), "invalid_json");
}

#[test]
fn the_order_of_keys_is_kept() {
    let arguments = arguments(r#"{"name": "f", "arguments": {"z": 1, "a": 2, "m": 3}}"#);
    assert_eq!(arguments.to_string(), r#"{"z":1,"a":2,"m":3}"#);
}

#[test]
fn an_array_holds_calls() {
    let raw =
        r#"<tool_call>[{"name": "f", "arguments": {"x": "],"}} , 3,{"name": ""}]</tool_call>"#;
    let expected = [
        ("f".into(), json!({"x": "],"}), "ok"),
        (String::new(), json!({}), "not_object"),
        (String::new(), json!({}), "missing_name"),
    ];
    assert_eq!(calls(raw), expected);
    let raws: Vec<String> = parse_completion(raw)
        .tool_calls
        .into_iter()
        .map(|c| c.raw)
        .collect();
    assert_eq!(
        raws,
        [
            r#"{"name": "f", "arguments": {"x": "],"}}"#,
            "3",
            r#"{"name": ""}"#
        ]
    );
    assert_eq!(status("[[1]]"), "not_object");
}

#[test]
fn a_fence_inside_is_accepted() {
    let call = r#"{"name": "f", "arguments": {"x": 1}}"#;
    for fenced in [
        format!("\n```json\n{call}\n```\n"),
        format!("```{call}```"),
        format!("```JSON {call}"),
    ] {
        assert_eq!(arguments(&fenced), json!({"x": 1}), "{fenced}");
    }
    assert_eq!(status("```json\n```"), "empty");
    assert_eq!(status("```json\n{]\n```"), "invalid_json");
}

#[test]
fn no_usable_name() {
    for object in [
        "{}",
        r#"{"name": ""}"#,
        r#"{"name": " "}"#,
        r#"{"name": 3}"#,
        r#"{"name": null}"#,
    ] {
        assert_eq!(status(object), "missing_name", "{object}");
    }
    let call = call(r#"<tool_call>{"name": 3, "arguments": {"a": 1}}</tool_call>"#);
    assert_eq!(
        call.error.as_deref(),
        Some("`name` is a number, not a string")
    );
    assert_eq!(call.arguments, json!({"a": 1}));
    assert_eq!(status(r#"{"arguments": "a: 1"}"#), "missing_name");
}

#[test]
fn neither_object_nor_array() {
    for value in ["3", "\"f\"", "true", "null"] {
        assert_eq!(status(value), "not_object", "{value}");
    }
    let error = call("<tool_call>true</tool_call>").error.unwrap();
    assert_eq!(error, "a call is an object, and this is a boolean");
}

#[test]
fn nothing_inside() {
    assert_eq!(status(""), "empty");
    assert_eq!(status(" \n "), "empty");
    assert_eq!(status("[]"), "empty");
}

#[test]
fn not_json() {
    for content in [
        "f(x)",
        "{\"name\": \"f\",}",
        "{'name': 'f'}",
        "{\"name\": \"f\"} and",
        "{",
    ] {
        assert_eq!(status(content), "invalid_json", "{content}");
    }
    let error = call("<tool_call>{\"name\": }</tool_call>").error.unwrap();
    assert_eq!(error, "expected value at line 1 column 10");
    assert_eq!(status("<function=f></function>"), "invalid_json");
}
