//! Native rewards: TRL's where it has them, and values by hand.

use crate::support::{fixture, ids};
use mlx_repl::data::Row;
use mlx_repl::generate::{Finish, Generated};
use mlx_repl::rl::rewards::{
    CallForm, CosineLength, Length, Schema, ToolUse, contains_answer, cosine_length, exact_match,
    json_schema, length, numeric_match, repetition, soft_overlong, think_format, tool_use,
    xml_count, xml_format,
};
use mlx_repl::rl::{Completion, RewardOutput, Score};
use mlx_repl::tensor::to_i32;
use serde_json::{Value, json};
use std::rc::Rc;

/// An output of a prompt whose row has an answer.
fn output(prompt: &str, raw: &str, tokens: Vec<i32>, answer: &Value) -> RewardOutput {
    let Value::Object(fields) = json!({ "prompt": prompt, "answer": answer }) else {
        unreachable!();
    };
    let generated = Generated {
        logprobs: vec![0.0; tokens.len()],
        token_ids: tokens,
        finish: Finish::Stop,
    };
    RewardOutput {
        prompt: prompt.into(),
        completion: Rc::new(Completion::new(generated, raw.to_string())),
        example: Rc::new(Row::new(fields)),
        group: 0,
        index: 0,
    }
}

fn said(raw: &str) -> RewardOutput {
    output("p", raw, vec![1, 2, 3], &json!("42"))
}

#[track_caller]
fn is(score: Score, expected: f64) {
    match score {
        Score::Value(value) => assert!((value - expected).abs() < 1e-9, "{value}, not {expected}"),
        other => panic!("{other:?}, not {expected}"),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap().iter();
    list.map(|n| n.as_f64().unwrap()).collect()
}

#[test]
fn think_format_is_that_of_trl() {
    let case = &fixture("rewards.json")["think_format"];
    let texts = case["texts"].as_array().unwrap();
    for (text, score) in texts.iter().zip(numbers(&case["scores"])) {
        is(think_format(&said(text.as_str().unwrap())), score);
    }
    // The template has opened it.
    is(
        think_format(&output("q<think>\n", "a</think>b", vec![], &json!(null))),
        1.0,
    );
    is(
        think_format(&output(
            "q<think>\n",
            "<think>a</think>b",
            vec![],
            &json!(null),
        )),
        0.0,
    );
}

#[test]
fn repetition_and_length_are_those_of_trl() {
    let all = fixture("rewards.json");
    for case in all["repetition"].as_array().unwrap() {
        let (n, most) = (
            case["ngram_size"].as_u64().unwrap(),
            case["max_penalty"].as_f64().unwrap(),
        );
        for (tokens, score) in case["ids"]
            .as_array()
            .unwrap()
            .iter()
            .zip(numbers(&case["scores"]))
        {
            let tokens = match tokens.as_array().unwrap().is_empty() {
                true => Vec::new(),
                false => to_i32(&ids(tokens)).unwrap(),
            };
            is(
                repetition(&output("p", "", tokens, &json!(null)), n as usize, most),
                score,
            );
        }
    }
    for case in all["soft_overlong"].as_array().unwrap() {
        let number = |key: &str| case[key].as_u64().unwrap() as usize;
        for (length, score) in numbers(&case["lengths"])
            .iter()
            .zip(numbers(&case["scores"]))
        {
            let got = soft_overlong(*length as usize, number("max"), number("cache"));
            assert!((got - score).abs() < 1e-9, "{length}: {got}, not {score}");
        }
    }
    // The bounds of the paper, as TRL documents them: half of the longest length.
    let bounds = CosineLength {
        max_len: 100.0,
        min_value_wrong: -1.0,
        max_value_wrong: -0.5,
        min_value_correct: 0.5,
        max_value_correct: 1.0,
    };
    let of = |tokens: usize, right: f64| {
        let output = output("p", "", vec![1; tokens], &json!(null));
        cosine_length(&output, &bounds, Score::Value(right))
    };
    for (tokens, right, expected) in [
        (50, 1.0, 0.75),
        (50, 0.0, -0.75),
        (0, 1.0, 1.0),
        (0, 0.0, -1.0),
        (100, 1.0, 0.5),
        (300, 0.0, -0.5),
    ] {
        is(of(tokens, right), expected);
    }
    assert_eq!(
        cosine_length(&said(""), &bounds, Score::Unscorable),
        Score::Unscorable
    );
}

#[test]
fn answers_are_compared_as_text_and_as_numbers() {
    is(exact_match(&said(" 42\n"), None, false), 1.0);
    is(exact_match(&said("42."), None, false), 0.0);
    is(
        exact_match(&said("so <answer> 42 </answer>"), Some("answer"), false),
        1.0,
    );
    is(exact_match(&said("42"), Some("answer"), false), 0.0);
    let yes = output("p", "YES", vec![], &json!("yes"));
    is(exact_match(&yes, None, false), 0.0);
    is(exact_match(&yes, None, true), 1.0);
    is(contains_answer(&said("it is 42, I think"), None), 1.0);
    is(contains_answer(&said("it is 4"), None), 0.0);
    is(numeric_match(&said("it is 42.0"), None, 1e-6), 1.0);
    is(numeric_match(&said("it is 42.1"), None, 1e-6), 0.0);
    is(numeric_match(&said("it is 42.1"), None, 0.01), 1.0);
    is(numeric_match(&said("none"), None, 1e-6), 0.0);
    let solved = output("p", "18", vec![], &json!("9 * 2 = 18\n#### 18"));
    is(numeric_match(&solved, None, 1e-6), 1.0);
    // A number as the answer is one, too; nothing cannot be scored.
    is(
        exact_match(&output("p", "7", vec![], &json!(7)), None, false),
        1.0,
    );
    let without = output("p", "7", vec![], &json!(null));
    for score in [
        exact_match(&without, None, false),
        contains_answer(&without, None),
        numeric_match(&without, None, 1e-6),
    ] {
        assert_eq!(score, Score::Unscorable);
    }
}

#[test]
fn forms_are_told_apart() {
    let tags = ["reasoning".to_string(), "answer".to_string()];
    let good = "<reasoning>\na\n</reasoning>\n<answer>\nb\n</answer>\n";
    for (text, soft, strict) in [
        (good, 1.0, 1.0),
        (
            "so <reasoning>a</reasoning> and <answer>b</answer>.",
            1.0,
            0.0,
        ),
        ("<answer>b</answer><reasoning>a</reasoning>", 0.0, 0.0),
        ("<reasoning>a</reasoning><answer>b", 0.0, 0.0),
        (
            "<reasoning>a</reasoning><answer>b</answer><answer>c</answer>",
            0.0,
            0.0,
        ),
        ("<reasoning>a<answer>b</answer></reasoning>", 0.0, 0.0),
        ("", 0.0, 0.0),
    ] {
        is(xml_format(&said(text), &tags, false), soft);
        is(xml_format(&said(text), &tags, true), strict);
    }
    is(xml_count(&said(good), &tags, 0.25, 0.001), 0.5);
    is(
        xml_count(&said(&format!("{good}0123456789")), &tags, 0.25, 0.001),
        0.49,
    );
    is(
        xml_count(&said("<answer>b</answer>"), &tags, 0.25, 0.001),
        0.25,
    );
    is(xml_count(&said("nothing"), &tags, 0.25, 0.001), 0.0);
}

#[test]
fn json_is_held_against_its_schema() {
    let schema = Schema::new(&json!({
        "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } },
    }));
    let schema = schema.unwrap();
    for (text, expected) in [
        ("{\"name\": \"a\"}", 1.0),
        ("Here:\n```json\n{\"name\": \"a\"}\n```\nDone.", 1.0),
        ("{\"name\": 1}", 0.2),
        ("[]", 0.2),
        ("{\"name\": ", 0.0),
        ("", 0.0),
    ] {
        is(json_schema(&said(text), &schema, None, 0.2), expected);
    }
    is(
        json_schema(
            &said("<out>{\"name\": \"b\"}</out>"),
            &schema,
            Some("out"),
            0.2,
        ),
        1.0,
    );
    let error = Schema::new(&json!({ "type": "nothing" }))
        .unwrap_err()
        .to_string();
    assert!(error.contains("schema"), "{error}");
}

#[test]
fn calls_are_worth_what_is_right_of_them() {
    let arguments = json!({ "type": "object", "required": ["q"] });
    let wanted = |form| ToolUse {
        tools: vec![
            ("search".into(), Some(Schema::new(&arguments).unwrap())),
            ("stop".into(), None),
        ],
        form,
        required: true,
    };
    let call = |name: &str, arguments: &str| {
        format!("<tool_call>{{\"name\": \"{name}\", \"arguments\": {arguments}}}</tool_call>")
    };
    let xml = "<tool_call><name>search</name><arguments>{\"q\": 1}</arguments></tool_call>";
    for (text, expected) in [
        (call("search", "{\"q\": 1}"), 1.0),
        (call("search", "{}"), 0.75),
        (call("find", "{\"q\": 1}"), 0.5),
        ("<tool_call>{\"name\": </tool_call>".to_string(), 0.25),
        ([call("stop", "{}"), call("find", "{}")].concat(), 0.75),
        (xml.to_string(), 1.0),
        ("no call".to_string(), 0.0),
        (format!("<think>{}</think>", call("stop", "{}")), 0.0),
    ] {
        is(tool_use(&said(&text), &wanted(CallForm::Any)), expected);
    }
    is(tool_use(&said(xml), &wanted(CallForm::Json)), 0.25);
    is(
        tool_use(&said(&call("stop", "{}")), &wanted(CallForm::Xml)),
        0.25,
    );
    let free = ToolUse::default();
    is(tool_use(&said("no call"), &free), 0.5);
    is(tool_use(&said(&call("any", "{}")), &free), 1.0);
}

#[test]
fn lengths_fall_off_outside_their_bounds() {
    let bounds = Length {
        min: 4,
        max: 6,
        margin: 4,
        characters: false,
    };
    bounds.check().unwrap();
    for (tokens, expected) in [(4, 1.0), (6, 1.0), (3, 0.75), (8, 0.5), (0, 0.0), (20, 0.0)] {
        is(
            length(&output("p", "", vec![1; tokens], &json!(null)), &bounds),
            expected,
        );
    }
    let text = Length {
        characters: true,
        margin: 0,
        ..bounds
    };
    is(length(&said("größe"), &text), 1.0);
    is(length(&said("groß und klein"), &text), 0.0);
    assert!(Length { min: 7, ..bounds }.check().is_err());
}
