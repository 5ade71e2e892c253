//! Templates that mean harm. Without the limits, most of these would end the process.

use super::*;
use std::time::{Duration, Instant};

/// Asserts that a template fails, and soon.
fn is_stopped(source: &str) -> String {
    let start = Instant::now();
    let error = error(source);
    let elapsed = start.elapsed();
    // The build of the tests on a busy machine; a release build takes a tenth.
    assert!(elapsed < Duration::from_secs(30), "{elapsed:?}: {error}");
    error
}

#[test]
fn endless_loops_run_out_of_fuel() {
    let loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
    assert!(is_stopped(loops).contains("ran out of fuel"));
    let doubling = "{% set ns = namespace(x='ab') %}{% for i in range(99) %}\
                    {% set ns.x = ns.x + ns.x %}{% endfor %}";
    assert!(is_stopped(doubling).contains("ran out of fuel"));
    let json = "{% set ns = namespace(x=['ab']) %}{% for i in range(40) %}\
                {% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}";
    assert!(is_stopped(json).contains("ran out of fuel"));
}

#[test]
fn endless_recursion_is_stopped() {
    let macros = "{% macro f(x) %}{{ f([x]) }}{% endmacro %}{{ f(1) }}";
    assert!(is_stopped(macros).contains("recursion limit"));
    let loops = "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}";
    assert!(is_stopped(loops).contains("recursion limit"));
}

#[test]
fn a_namespace_cannot_come_to_contain_itself() {
    for value in [
        "ns",
        "[ns]",
        "{'a': [ns]}",
        "(1, ns)",
        "[[ns]|reverse]",
        "[ns][::1]",
        "dict(a=ns)",
    ] {
        let source = format!("{{% set ns = namespace() %}}{{% set ns.x = {value} %}}{{{{ ns }}}}");
        let error = is_stopped(&source);
        assert!(
            error.contains("cannot be stored in a namespace"),
            "{value}: {error}"
        );
    }
    let by_loop =
        "{% set ns = namespace() %}{% for x in [1, ns] %}{% set ns.l = loop %}{% endfor %}";
    assert!(is_stopped(by_loop).contains("cannot be stored"));
}

#[test]
fn loops_make_no_deep_values() {
    let source = "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}\
                  {% set ns.x = [ns.x] %}{% endfor %}";
    assert!(is_stopped(source).contains("nested so deeply"));
    let source = source.replace("[ns.x]", "{'a': ns.x}");
    assert!(is_stopped(&source).contains("nested so deeply"));
}

#[test]
fn values_made_deep_by_their_source_fit_into_the_stack() {
    let step = format!("{{% set x = {}x{} %}}", "[".repeat(60), "]".repeat(60));
    let deep = |name: &str| {
        format!(
            "{{% set {name} = 1 %}}{}",
            step.replace('x', name).repeat(400)
        )
    };
    let source = format!("{}{}", deep("x"), deep("y"));
    for end in [
        "",
        "{{ x == y }}",
        "{{ x < y }}",
        "{{ x|string|length }}",
        "{{ {x: 1}|length }}",
    ] {
        rendered(&(source.clone() + end)).unwrap();
    }
    assert!(is_stopped(&(source + "{{ x|tojson }}")).contains("nested too deeply"));
}

#[test]
fn long_chains_of_operators_fit_into_the_stack() {
    for (open, link, close) in [
        ("{{ ", "-", "1 }}"),
        ("{{ ", "not ", "1 }}"),
        ("{{ 1", "+1", " }}"),
        ("{{ 1", "**1", " }}"),
        ("{{ 1", "|e", " }}"),
        ("{{ 1", " and 1", " }}"),
        ("{{ a", ".a", " }}"),
        ("{{ a", "()", " }}"),
        ("{{ 1", " if 1 else 1", " }}"),
        ("{% if 0 %}", "{%elif 0%}", "{% endif %}"),
    ] {
        let times = (MAX_SOURCE - open.len() - close.len()) / link.len();
        // Some of them are errors; none is the end.
        let _ = rendered(&format!("{open}{}{close}", link.repeat(times)));
    }
}

#[test]
fn deep_brackets_and_long_sources_are_refused() {
    let brackets = format!("{{{{ {}1{} }}}}", "(".repeat(9999), ")".repeat(9999));
    assert!(is_stopped(&brackets).contains("recursion"));
    assert!(is_stopped(&"{% if 1 %}".repeat(9999)).contains("recursion"));
    assert!(is_stopped(&"x".repeat(MAX_SOURCE + 1)).contains("expected at most 128 KiB"));
}

#[test]
fn huge_numbers_make_no_huge_texts() {
    for source in [
        "{{ 'a' * 99999999999 }}",
        "{{ '%99999999999d' | format(1) }}",
        "{{ 'a' | indent(99999999999) }}",
        "{{ 'a' | replace('', 'b' * 100000) | replace('b', 'c' * 100000) | length }}",
        "{{ [1] | batch(99999999999, 1) | list }}",
        "{{ range(99999999999) | list }}",
    ] {
        is_stopped(source);
    }
    assert_eq!(
        rendered("{{ [1] | tojson(indent=99999999999) | length }}").unwrap(),
        "69"
    );
}

#[test]
fn an_honest_conversation_has_fuel_enough() {
    let turn = json!([{"role": "user", "content": "word ".repeat(20_000)}, {"role": "assistant", "content": "ok"}]);
    let turns: Vec<Json> = (0..200)
        .flat_map(|_| turn.as_array().unwrap().clone())
        .collect();
    let vectors: Json =
        serde_json::from_str(include_str!("../../../../tests/vectors/templates.json")).unwrap();
    let template = template(vectors["templates"]["llama"].as_str().unwrap()).unwrap();
    let text = template
        .render(&turns.into(), &TemplateOptions::default())
        .unwrap();
    assert!(text.len() > 20_000_000);
}
