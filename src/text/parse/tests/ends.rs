//! Where calls end.

use super::*;

#[test]
fn the_end_tag_inside_of_a_string_does_not_end_the_call() {
    let raw = r#"a<tool_call>{"name": "f", "arguments": {"x": "</tool_call> \" </tool_call>"}}</tool_call>b"#;
    expect(raw, "ab", None);
    assert_eq!(
        call(raw).arguments,
        json!({"x": "</tool_call> \" </tool_call>"})
    );
    let elements = r#"<name>f</name><arguments>{"x": "</tool_call></arguments>"}</arguments>"#;
    assert_eq!(
        arguments(elements),
        json!({"x": "</tool_call></arguments>"})
    );
}

#[test]
fn a_call_quoted_in_a_call_is_an_argument() {
    let raw = r#"<tool_call>{"name": "f", "arguments": {"x": "<tool_call>{}</tool_call><tool_call>"}}</tool_call>"#;
    assert_eq!(
        call(raw).arguments["x"],
        "<tool_call>{}</tool_call><tool_call>"
    );
}

#[test]
fn without_an_end_tag_what_can_be_read_is_reported() {
    let raw = "So <tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 1}}\nand";
    expect(raw, "So", None);
    assert_eq!(calls(raw), [("f".into(), json!({"x": 1}), "unterminated")]);
    assert!(call(raw).error.is_some());
    let incomplete = "<tool_call>{\"name\": \"f\", \"arg";
    assert_eq!(
        calls(incomplete),
        [(String::new(), json!({}), "unterminated")]
    );
    assert_eq!(
        calls("<tool_call>"),
        [(String::new(), json!({}), "unterminated")]
    );
    let elements = "<tool_call><name>f</name><arguments>{\"x\": 1}";
    assert_eq!(
        calls(elements),
        [("f".into(), json!({"x": 1}), "unterminated")]
    );
}

#[test]
fn the_next_call_ends_an_unterminated_one() {
    let raw = "<tool_call>{\"name\": \"f\"}\n<tool_call>{\"name\": \"g\"}</tool_call>";
    let expected = [
        ("f".into(), json!({}), "unterminated"),
        ("g".into(), json!({}), "ok"),
    ];
    assert_eq!(calls(raw), expected);
    expect(
        "<tool_call>{\"name\": \"f\"}<think>b</think>c",
        "c",
        Some("b"),
    );
}

#[test]
fn a_string_that_never_closes_does_not_swallow_the_rest() {
    let raw = "<tool_call>{\"name\": \"f}</tool_call> text";
    expect(raw, "text", None);
    assert_eq!(calls(raw), [(String::new(), json!({}), "invalid_json")]);
    let next = format!("{raw}<tool_call>{{\"name\": \"g\"}}</tool_call>");
    let expected = [
        (String::new(), json!({}), "invalid_json"),
        ("g".into(), json!({}), "ok"),
    ];
    assert_eq!(calls(&next), expected);
    expect(&next, "text", None);
}

#[test]
fn two_missing_quotes_do_not_make_one_call_of_two() {
    let raw = "<tool_call>{\"name\": \"f}</tool_call> text <tool_call>{name\": \"g\"}</tool_call>!";
    expect(raw, "text !", None);
    let statuses: Vec<&str> = calls(raw).into_iter().map(|c| c.2).collect();
    assert_eq!(statuses, ["invalid_json", "invalid_json"]);
    let quoting = "<tool_call>{\"name\": \"f}</tool_call> he said \"yes";
    expect(quoting, "he said \"yes", None);
}

#[test]
fn escaped_quotes_outside_of_strings_end_nothing() {
    let raw = r#"<tool_call>{\"name\": \"f\"}</tool_call>text"#;
    expect(raw, "text", None);
    assert_eq!(call(raw).status, CallStatus::InvalidJson);
}
