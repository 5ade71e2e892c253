//! Any text has a reading, in linear time.

use super::*;
use proptest::strategy::Strategy;
use std::time::{Duration, Instant};

const LONG: &str = concat!(
    "Ich überlege 🤔\n</think>\n\nGut — <think>noch \"einmal\"</think> also:\n",
    "<tool_call>\n{\"name\": \"größe\", \"arguments\": {\"x\": \"</tool_call>\\\" 漢字\"}}\n</tool_call>\n",
    "<tool_call>[{\"name\": \"f\"}, {\"name\": \"g\", \"arguments\": \"{\\\"é\\\": 1}\"}]</tool_call> und\n",
    "<tool_call><name>h</name><arguments>{\"y\": [1, {\"z\": null}]}</arguments></tool_call>\n",
    "<tool_call>```json\n{\"name\": \"i\"}\n```</tool_call> <tool_call>kaputt</tool_call>\n",
    "Ende 👩‍👩‍👧 <think>und noch",
);

fn pieces(raw: &str) -> String {
    let segments = scan::segments(raw);
    segments.iter().map(|s| &raw[s.span.clone()]).collect()
}

#[test]
fn the_long_completion_is_understood() {
    let parsed = parse_completion(LONG);
    let names: Vec<&str> = parsed.tool_calls.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["größe", "f", "g", "h", "i", ""]);
    let thinking = "Ich überlege 🤔\n\nnoch \"einmal\"\n\nund noch";
    assert_eq!(parsed.thinking.as_deref(), Some(thinking));
    assert!(parsed.text.starts_with("Gut —") && parsed.text.ends_with('\u{1F467}'));
}

/// At every cut: no panic, nothing lost, and calls that were complete before stay as they are.
#[test]
fn every_truncation_has_a_reading() {
    let whole = parse_completion(LONG);
    for (end, _) in LONG.char_indices() {
        let raw = &LONG[..end];
        assert_eq!(pieces(raw), raw);
        let parsed = parse_completion(raw);
        assert_eq!(parsed, parse_completion(raw));
        // Before the dangling tag has come, nothing shows that the template opened it.
        if end > "Ich überlege 🤔\n</think>".len() {
            let usable = |c: &&ToolCall| c.status == CallStatus::Ok;
            let whole = whole.tool_calls.iter().filter(usable);
            let calls = parsed.tool_calls.iter().filter(usable);
            assert!(calls.zip(whole).all(|(a, b)| a == b), "{raw}");
        }
    }
}

#[test]
fn every_tail_has_a_reading() {
    for (start, _) in LONG.char_indices() {
        let raw = &LONG[start..];
        assert_eq!(pieces(raw), raw);
        parse_completion(raw);
    }
}

/// All texts of up to six of the pieces that matter.
#[test]
fn every_short_mixture_has_a_reading() {
    let parts = [
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        "\"",
        "\\",
        "{}",
        "x",
    ];
    for number in 0..8usize.pow(6) {
        let raw: String = (0..6)
            .map(|place| parts[number / 8usize.pow(place) % 8])
            .collect();
        assert_eq!(pieces(&raw), raw);
        let parsed = parse_completion(&raw);
        let opened = raw.matches("<tool_call>").count();
        assert!(parsed.tool_calls.len() <= opened, "{raw}");
        assert!(
            !parsed.text.contains("think>") && !parsed.text.contains("<tool_call>"),
            "{raw}"
        );
    }
}

#[test]
fn a_megabyte_of_garbage_takes_no_time() {
    let units = [
        "<tool_call>",
        "</tool_call>",
        "<think>",
        "</think>",
        "{",
        "[",
        "\"",
        "\\",
        "<",
        "<tool_call>{",
        "<tool_call>\"",
        "<tool_call>\\\"",
        "<tool_call>\"\\",
        "<tool_call>[\",",
        "<tool_call>\"</tool_call>",
        "<tool_call>\\\"</tool_call>",
        "<tool_call>[\"\\</tool_call>",
        "<tool_call>{\"a\": \"</tool_call>",
        "<tool_call>\"\"</tool_call>\"",
        "<tool_call></think>",
        "<think></think>",
        "<think></think></think>",
        "<tool_call>\"\\\"</tool_call>\"\"<tool_call>",
        "<tool_call>[1,",
        "<name>",
        "<tool_call><name>",
        "</tool_call><tool_call>\"",
    ];
    for unit in units {
        for prefix in ["", "<tool_call>", "<tool_call>[", "<tool_call>\""] {
            let raw = format!("{prefix}{}", unit.repeat((1 << 20) / unit.len()));
            let start = Instant::now();
            parse_completion(&raw);
            xml_tag(&raw, "name");
            // The debug build on a busy machine: a quadratic scan would take minutes.
            assert!(
                start.elapsed() < Duration::from_secs(2),
                "{prefix}{unit}: {:?}",
                start.elapsed()
            );
        }
    }
}

#[test]
fn an_array_of_many_calls_takes_no_time() {
    let raw = format!("<tool_call>[{}1]</tool_call>", "{},".repeat(200_000));
    let start = Instant::now();
    assert_eq!(parse_completion(&raw).tool_calls.len(), 200_001);
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn deep_nesting_is_invalid_rather_than_fatal() {
    for open in ["[", "{\"a\":", "[[{\"name\":"] {
        assert_eq!(status(&open.repeat(100_000)), "invalid_json");
        let string = serde_json::to_string(&open.repeat(100_000)).unwrap();
        assert_eq!(
            status(&format!("{{\"name\": \"f\", \"arguments\": {string}}}")),
            "invalid_json"
        );
    }
}

proptest::proptest! {
    /// What the fuzz target of tests/fuzz looks for, on a bounded number of texts.
    #[test]
    fn random_mixtures_have_a_reading(
        parts in proptest::collection::vec(
            proptest::prop_oneof![
                proptest::sample::select(vec![
                    "<think>", "</think>", "<tool_call>", "</tool_call>", "<name>", "</name>",
                    "<arguments>", "</arguments>", "{\"name\": \"f\"", "\"arguments\": {", "}", "]", "[", ",",
                    "\"", "\\", "```json\n", "null", "é", "<answer>", "</answer>", "1,234.5", "-",
                ]).prop_map(String::from),
                "\\PC{0,6}",
            ],
            0..40,
        ),
    ) {
        let raw: String = parts.concat();
        proptest::prop_assert_eq!(pieces(&raw), raw.clone());
        let parsed = parse_completion(&raw);
        for call in &parsed.tool_calls {
            proptest::prop_assert!(call.status == CallStatus::Ok || call.error.is_some());
        }
        let _ = (crate::text::extract_number(&raw), xml_tag(&raw, "answer"));
    }
}
