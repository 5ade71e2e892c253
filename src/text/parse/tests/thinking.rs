//! Where thinking begins and ends.

use super::*;

#[test]
fn plain_text_is_trimmed() {
    expect("  two\n words \n", "two\n words", None);
    expect("", "", None);
    expect(" \n", "", None);
}

#[test]
fn a_span_is_taken_out() {
    expect("<think>\nhm\n</think>\n\nYes.", "Yes.", Some("hm"));
    expect("No <think>hm</think> yes", "No  yes", Some("hm"));
}

#[test]
fn several_spans_are_joined_by_a_blank_line() {
    expect(
        "<think> a </think>1<think>\nb</think>2",
        "12",
        Some("a\n\nb"),
    );
    expect(
        "<think>a</think><think> </think><think>b</think>",
        "",
        Some("a\n\nb"),
    );
}

#[test]
fn an_empty_span_is_no_thinking() {
    expect("<think>\n\n</think>\n\nHi", "Hi", None);
    expect("<think></think>", "", None);
}

#[test]
fn before_a_dangling_end_everything_is_thinking() {
    expect("hm\n</think>\n\nYes", "Yes", Some("hm"));
    expect("</think>Yes", "Yes", None);
    expect("a</think>b</think>c", "c", Some("a\n\nb"));
}

#[test]
fn a_dangling_end_takes_in_earlier_text_but_not_later_text() {
    expect("a<think>b</think>c</think>d", "d", Some("a\n\nb\n\nc"));
    expect("a</think>b<think>c</think>d", "bd", Some("a\n\nc"));
}

#[test]
fn after_an_unclosed_start_everything_is_thinking() {
    expect("Yes <think>so\nmany", "Yes", Some("so\nmany"));
    expect("Yes<think>", "Yes", None);
    expect("a</think>b<think>c", "b", Some("a\n\nc"));
}

#[test]
fn a_start_tag_inside_is_part_of_the_thought() {
    expect("<think>a<think>b</think>c", "c", Some("a<think>b"));
}

#[test]
fn a_call_inside_is_not_a_call() {
    let inside = r#"<tool_call>{"name": "f"}</tool_call>"#;
    let raw = format!("<think>I could say {inside}</think>ok");
    expect(&raw, "ok", Some(&format!("I could say {inside}")));
    assert!(calls(&raw).is_empty());
    assert!(calls(&format!("<think>{inside}")).is_empty());
}

#[test]
fn a_call_before_a_dangling_end_is_not_a_call() {
    let inside = r#"a <tool_call>{"name": "f"}</tool_call>"#;
    let raw = format!("{inside} b</think>ok <tool_call>{{\"name\": \"g\"}}</tool_call>");
    expect(&raw, "ok", Some(&format!("{inside} b")));
    assert_eq!(calls(&raw), [("g".into(), json!({}), "ok")]);
    expect(
        &format!("{inside}<think>b</think></think>c"),
        "c",
        Some(&format!("{inside}\n\nb")),
    );
}

#[test]
fn thinking_about_the_start_tag_of_a_call_stays_thinking() {
    let raw = r#"I write <tool_call> first.</think><tool_call>{"name": "f"}</tool_call>"#;
    expect(raw, "", Some("I write <tool_call> first."));
    assert_eq!(calls(raw), [("f".into(), json!({}), "ok")]);
}

#[test]
fn tags_of_thinking_inside_of_arguments_are_arguments() {
    let raw = r#"<tool_call>{"name": "f", "arguments": {"x": "</think><think>"}}</tool_call>."#;
    expect(raw, ".", None);
    assert_eq!(call(raw).arguments, json!({"x": "</think><think>"}));
}

#[test]
fn similar_tags_are_text() {
    expect(
        "<Think>a</Think> <think >b< /think>",
        "<Think>a</Think> <think >b< /think>",
        None,
    );
    expect(
        "a < b </tool_call> <tool_call",
        "a < b </tool_call> <tool_call",
        None,
    );
}
