//! The same text as by transformers, byte for byte; `tests/vectors/templates.py` made the
//! vectors. The template of Qwen3 is not ours to keep: `tests/numerics/conversations.rs` fetches it.

use super::*;

const CONVERSATIONS: &str = include_str!("../../../../tests/vectors/templates.json");
const SNIPPETS: &str = include_str!("../../../../tests/vectors/snippets.json");

fn parsed(vectors: &str) -> Json {
    serde_json::from_str(vectors).unwrap()
}

fn options(variables: &Map<String, Json>) -> TemplateOptions {
    let mut extra = variables.clone();
    extra.remove("messages");
    TemplateOptions {
        tools: extra.remove("tools"),
        add_generation_prompt: extra.remove("add_generation_prompt") == Some(json!(true)),
        extra,
    }
}

fn check(template: &ChatTemplate, case: &Json) {
    let conversation = case["conversation"].as_object().unwrap();
    let text = template.render(&conversation["messages"], &options(conversation));
    match case["rendered"].as_str() {
        Some(expected) => assert_eq!(text.unwrap(), expected, "{}", case["name"]),
        None => assert!(text.is_err(), "{}: {}", case["name"], case["error"]),
    }
}

#[test]
fn styles_of_templates() {
    let vectors = parsed(CONVERSATIONS);
    let mut special_tokens = vectors["special_tokens"].as_object().unwrap().clone();
    special_tokens.insert("bos_token".into(), "<bos>".into());
    let cases = vectors["others"].as_array().unwrap();
    assert_eq!(cases.len(), 150);
    for case in cases {
        let source = &vectors["templates"][case["template"].as_str().unwrap()];
        let source = source.as_str().unwrap();
        check(
            &ChatTemplate::new(source, special_tokens.clone()).unwrap(),
            case,
        );
    }
}

/// Here Python raises an error and Minijinja answers.
const LENIENT: [&str; 8] = [
    "{{ missing in 'abc' }}",
    "{{ missing > 1 }}",
    "{{ missing|int }}",
    "{{ missing[:2] }}",
    "{% for x in n %}x{% endfor %}",
    "{{ range(3)|tojson }}",
    "{{ l|map('string')|tojson }}",
    "{% set ns = namespace(_a=1) %}",
];

/// Here Minijinja says that it lacks something.
const LACKING: [&str; 13] = [
    "{{ s.swapcase() }}",
    "{{ '7'.zfill(3) }}{{ '-7'.zfill(4) }}",
    "{{ 'a,b'.rsplit(sep=',') }}",
    "{{ 'ab'.ljust(4) }}|{{ 'ab'.rjust(4, '.') }}|{{ 'ab'.center(5) }}|",
    "{{ '%s-%d' % ('a', 3) }} {{ '%s' % 'a' }}",
    "{{ 'a'.encode() }}",
    "{{ 'a b c'|wordcount }}",
    "{{ 'hello world'|truncate(8) }}",
    "{% macro m() %}{{ varargs }}{% endmacro %}{{ m(1, 2) }}",
    "{{ '{:>5}|{:.2f}|{!r}'.format('a', 3.14159, 'x') }}",
    "{{ '%05.1f|%x|%%|%r' | format(3.14159, 255, 'x') }}",
    "{#",
    "{% raw %}",
];

#[test]
fn single_features() {
    let (mut lenient, mut lacking) = (Vec::new(), Vec::new());
    let cases = parsed(SNIPPETS);
    for case in cases.as_array().unwrap() {
        let source = case["source"].as_str().unwrap();
        let options = options(case["variables"].as_object().unwrap());
        let messages = json!([{"role": "user", "content": "Hi"}]);
        let text = template(source).and_then(|t| t.render(&messages, &options));
        match (text, case["rendered"].as_str()) {
            (Ok(text), Some(expected)) => assert_eq!(text, expected, "{source}"),
            (Ok(_), None) => lenient.push(source),
            (Err(_), Some(_)) => lacking.push(source),
            (Err(_), None) => {}
        }
    }
    assert_eq!(lenient, LENIENT);
    assert_eq!(lacking, LACKING);
}

#[test]
fn reasoning_stands_under_all_its_names() {
    let template = template("{{ messages[0] | tojson }}").unwrap();
    let render = |message| {
        let messages = json!([message]);
        template
            .render(&messages, &TemplateOptions::default())
            .unwrap()
    };
    assert_eq!(
        render(json!({"role": "a", "reasoning": "r", "name": null})),
        r#"{"thinking": "r", "role": "a", "reasoning": "r", "reasoning_content": "r"}"#
    );
    assert_eq!(
        render(json!({"reasoning_content": "r", "role": "a", "thinking": "t"})),
        r#"{"thinking": "t", "reasoning_content": "r", "role": "a"}"#
    );
}
