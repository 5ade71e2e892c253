//! Errors say where and why; options reach the template.

use super::*;

#[test]
fn a_syntax_error_names_its_line() {
    let source = "a\n{% if x %}\nb\n{% endfor %}\n";
    let error = template(source).unwrap_err().to_string();
    assert!(
        error.starts_with("tokenizer: chat template, line 4: "),
        "{error}"
    );
    let error = template("{% generation %}\nx").unwrap_err().to_string();
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn what_fails_in_a_template_names_its_line() {
    let error = error("a\n\n{{ missing.x }}");
    assert!(error.contains("line 3: `missing` is undefined"), "{error}");
}

#[test]
fn a_template_refuses_in_its_own_words() {
    let source =
        "{% for m in messages %}\n{{ raise_exception('Nothing for ' + m.role + '!') }}{% endfor %}";
    let error = error(source);
    assert!(error.ends_with("line 2: Nothing for user!"), "{error}");
    let in_macro = "{% macro m() %}{{ raise_exception('no') }}{% endmacro %}{{ m() }}";
    assert!(self::error(in_macro).ends_with("line 1: no"));
}

#[test]
fn messages_are_a_list_of_maps() {
    let template = template("x").unwrap();
    let render = |messages| template.render(&messages, &TemplateOptions::default());
    assert_eq!(render(json!([{}])).unwrap(), "x");
    for (messages, reason) in [
        (
            json!([]),
            "messages: found none; expected at least one message",
        ),
        (
            json!("Hi"),
            "messages: found \"Hi\"; expected a list of maps",
        ),
        (json!([{}, 3]), "messages[1]: found 3; expected a map"),
    ] {
        assert_eq!(render(messages).unwrap_err().to_string(), reason);
    }
}

#[test]
fn tools_are_a_list_of_maps() {
    let template = template("{{ tools is none }}{{ tools | length if tools }}").unwrap();
    let render = |tools| {
        let options = TemplateOptions {
            tools: Some(tools),
            ..Default::default()
        };
        template.render(&json!([{}]), &options)
    };
    assert_eq!(render(json!(null)).unwrap(), "True");
    assert_eq!(render(json!([{"name": "f"}])).unwrap(), "False1");
    let error = render(json!(["f"])).unwrap_err().to_string();
    assert_eq!(error, "tools[0]: found \"f\"; expected a map");
}

#[test]
fn variables_override_special_tokens_and_nothing_else() {
    let special_tokens = json!({"bos_token": "<s>", "eos_token": "</s>"});
    let special_tokens = special_tokens.as_object().unwrap().clone();
    let source = "{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ messages|length }}{{ add_generation_prompt }}";
    let template = ChatTemplate::new(source, special_tokens).unwrap();
    let extra = json!({"eos_token": "!", "messages": [], "add_generation_prompt": true});
    let options = TemplateOptions {
        extra: extra.as_object().unwrap().clone(),
        ..Default::default()
    };
    assert_eq!(
        template.render(&json!([{}]), &options).unwrap(),
        "<s>!1False"
    );
}

#[test]
fn a_template_serves_many_conversations() {
    let template = template("{{ messages[0].content }}").unwrap();
    let copy = template.clone();
    for (index, template) in [&template, &copy, &template].into_iter().enumerate() {
        let messages = json!([{ "content": index }]);
        let text = template
            .render(&messages, &TemplateOptions::default())
            .unwrap();
        assert_eq!(text, index.to_string());
    }
}

#[test]
fn the_time_is_that_of_the_clock() {
    let year = rendered("{{ strftime_now('%Y') }}").unwrap();
    assert_eq!(year, jiff::ZonedDateTime::now().year().to_string());
    assert!(error("{{ strftime_now('%!') }}").contains("strftime_now"));
}

#[test]
fn tojson_says_what_it_cannot_write() {
    assert!(error("{{ nothing | tojson }}").contains("undefined is not JSON"));
    assert!(error("{{ [range] | tojson }}").contains("is not JSON"));
    assert!(error("{{ {(1, 2): 3} | tojson }}").contains("cannot be a key"));
    assert!(error("{{ 1 | tojson(indnt=2) }}").contains("indnt"));
    assert!(error("{{ 1 | tojson(separators=',') }}").contains("two texts"));
    assert!(error("{{ 1 | tojson(indent=[]) }}").contains("`indent`"));
}
