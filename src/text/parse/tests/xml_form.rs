//! Calls written as elements, and elements as such.

use super::*;

#[test]
fn name_and_arguments() {
    let raw = "<tool_call>\n<name> f </name>\n<arguments>{\"x\": 1}</arguments>\n</tool_call>done";
    expect(raw, "done", None);
    assert_eq!(calls(raw), [("f".into(), json!({"x": 1}), "ok")]);
    let reversed = "<arguments>{\"x\": \"<name>g</name>\"}</arguments><name>f</name>";
    assert_eq!(arguments(reversed), json!({"x": "<name>g</name>"}));
}

#[test]
fn absent_or_blank_arguments_are_an_empty_object() {
    assert_eq!(arguments("<name>f</name>"), json!({}));
    assert_eq!(
        arguments("<name>f</name><arguments> </arguments>"),
        json!({})
    );
}

#[test]
fn invalid_arguments_keep_the_name() {
    let raw = "<tool_call><name>f</name><arguments>x=1</arguments></tool_call>";
    assert_eq!(calls(raw), [("f".into(), json!({}), "invalid_json")]);
    assert!(call(raw).error.unwrap().contains("expected value"));
    assert_eq!(
        status("<name>f</name><arguments>{\"a\": 1}"),
        "invalid_json"
    );
}

#[test]
fn no_usable_name() {
    assert_eq!(
        status("<name></name><arguments>{}</arguments>"),
        "missing_name"
    );
    assert_eq!(
        status("<arguments>{\"name\": \"f\"}</arguments>"),
        "missing_name"
    );
    assert_eq!(status("<name>f"), "missing_name");
}

#[test]
fn both_forms_may_stand_in_one_completion() {
    let raw = "<tool_call>{\"name\": \"f\"}</tool_call><tool_call><name>g</name></tool_call>\
               <tool_call>```json\n{\"name\": \"h\"}\n```</tool_call>";
    let names: Vec<String> = calls(raw).into_iter().map(|c| c.0).collect();
    assert_eq!(names, ["f", "g", "h"]);
}

#[test]
fn the_last_complete_pair_counts() {
    let answer = |raw| xml_tag(raw, "answer");
    assert_eq!(answer("<answer> 4\n</answer>").as_deref(), Some("4"));
    assert_eq!(
        answer("<answer>1</answer> no, <answer>2</answer>").as_deref(),
        Some("2")
    );
    assert_eq!(answer("<answer>1</answer><answer>2").as_deref(), Some("1"));
    assert_eq!(
        answer("<answer>1</answer> so </answer>").as_deref(),
        Some("1")
    );
    assert_eq!(
        answer("<answer>1<answer>2</answer></answer>").as_deref(),
        Some("2")
    );
    assert_eq!(answer("<answer></answer>").as_deref(), Some(""));
    assert_eq!(answer("</answer><answer>"), None);
    assert_eq!(answer("<answers>1</answers>"), None);
}
