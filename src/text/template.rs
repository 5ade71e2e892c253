//! Chat templates: conversations as the text that a model was trained on.
//!
//! Templates are Jinja with the additions of transformers, and are rendered as its
//! `apply_chat_template` renders them.

use crate::error::{Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde};
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value as Jinja, context};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use serde_json::{Map, Value};
use std::io;
use std::rc::Rc;

/// What a template is kept under; without an extension nothing is escaped.
const NAME: &str = "chat_template";

/// Steps of a rendering. A conversation of a thousand messages takes less than a hundredth; what
/// takes more would not come to an end.
const FUEL: u64 = 20_000_000;

/// Nested calls of macros. A deeper template would overflow the stack.
const DEPTH: usize = 100;

/// What a template is told beside the messages.
#[derive(Clone, Debug, Default)]
pub struct TemplateOptions {
    /// Descriptions of the tools that may be called; a list.
    pub tools: Option<Value>,
    /// Whether the text ends where the model is to go on as the assistant.
    pub add_generation_prompt: bool,
    /// Variables of the template, such as `enable_thinking`.
    pub extra: Map<String, Value>,
}

/// A compiled template.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    environment: Rc<Environment<'static>>,
    /// `bos_token` and its like.
    tokens: Map<String, Value>,
}

impl ChatTemplate {
    /// Compiles a template; `tokens` are the special tokens by their names in
    /// `tokenizer_config.json`.
    ///
    /// # Errors
    /// A template that is not Jinja, with the line.
    pub fn new(source: &str, tokens: Map<String, Value>) -> Result<Self> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.map_err(|e| explain(&e))?);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEPTH);
        environment.add_filter("tojson", to_json);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment
            .add_template_owned(NAME, without_generation(source))
            .map_err(|e| explain(&e))?;
        Ok(Self {
            environment: Rc::new(environment),
            tokens,
        })
    }

    /// The text of a list of messages.
    ///
    /// # Errors
    /// What the template raises, or cannot do with these messages.
    pub fn render(&self, messages: &Value, options: &TemplateOptions) -> Result<String> {
        let template = self
            .environment
            .get_template(NAME)
            .map_err(|e| explain(&e))?;
        let given = context! {
            messages => Jinja::from(Serde(messages)),
            tools => options.tools.as_ref().map(|tools| Jinja::from(Serde(tools))),
            documents => (),
            add_generation_prompt => options.add_generation_prompt,
        };
        let extra = Jinja::from(Serde(&options.extra));
        let tokens = Jinja::from(Serde(&self.tokens));
        template
            .render(context! { ..extra, ..given, ..tokens })
            .map_err(|e| explain(&e))
    }
}

/// The error of the template in one line, with the line of the template.
fn explain(error: &minijinja::Error) -> Error {
    let reason = error
        .detail()
        .map_or_else(|| error.kind().to_string(), String::from);
    let place = error
        .line()
        .map(|line| format!(" (line {line} of the template)"))
        .unwrap_or_default();
    Error::Tokenizer(format!("chat template: {reason}{place}"))
}

/// transformers marks with `{% generation %}` what the assistant wrote; to the text it adds
/// nothing. A comment in its place keeps the white-space control.
fn without_generation(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, block) = rest.split_at(start);
        let Some(end) = block.find("%}") else {
            break;
        };
        let inner = &block[2..end];
        text.push_str(before);
        match inner.trim_matches(['-', '+', ' ', '\n', '\t', '\r']) {
            "generation" | "endgeneration" => {
                let mark = |present: bool| if present { "-" } else { "" };
                let (left, right) = (inner.starts_with('-'), inner.ends_with('-'));
                text.push_str(&format!("{{#{}{}#}}", mark(left), mark(right)));
            }
            _ => text.push_str(&block[..end + 2]),
        }
        rest = &block[end + 2..];
    }
    text + rest
}

fn raise_exception(message: String) -> Result<String, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
}

/// The time now, in the place where the program runs, as Python's `strftime` writes it.
fn strftime_now(format: String) -> Result<String, minijinja::Error> {
    jiff::fmt::strtime::format(&format, &jiff::ZonedDateTime::now())
        .map_err(|e| minijinja::Error::new(ErrorKind::InvalidOperation, e.to_string()))
}

/// As Python's `json.dumps(value, ensure_ascii=False, indent=indent)`, which is what transformers
/// puts in the place of Jinja's own filter: nothing is escaped for HTML.
fn to_json(Serde(value): Serde<Value>, options: Kwargs) -> Result<String, minijinja::Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Python's other options change nothing that templates ask for.
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let mut bytes = Vec::new();
    let written = match indent {
        Some(width) => {
            let spaces = " ".repeat(width.min(32));
            let pretty = PrettyFormatter::with_indent(spaces.as_bytes());
            value.serialize(&mut Serializer::with_formatter(&mut bytes, pretty))
        }
        None => value.serialize(&mut Serializer::with_formatter(&mut bytes, Python)),
    };
    let wrong = |e: String| minijinja::Error::new(ErrorKind::BadSerialization, e);
    written.map_err(|e| wrong(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| wrong(e.to_string()))
}

/// Python's separators: a space after commas and colons.
struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(source: &str, messages: Value) -> Result<String> {
        let tokens = Map::from_iter([("bos_token".to_string(), "<s>".into())]);
        let options = TemplateOptions {
            add_generation_prompt: true,
            tools: Some(json!([{ "name": "f", "é": "<&'\"" }])),
            extra: Map::from_iter([("enable_thinking".to_string(), false.into())]),
        };
        ChatTemplate::new(source, tokens)?.render(&messages, &options)
    }

    #[test]
    fn templates_know_what_transformers_gives_them() {
        let source = "{{ bos_token }}{% for m in messages %}\n[{{ m.role }}] {{ m['content'].strip() }}\n\
                      {% endfor %}\n{% if add_generation_prompt and not enable_thinking %}!{% endif %}";
        let messages = json!([{ "role": "user", "content": "  <a> & b " }]);
        assert_eq!(render(source, messages).unwrap(), "<s>[user] <a> & b\n!");
    }

    #[test]
    fn json_is_written_as_python_writes_it() {
        let got = render("{{ tools | tojson }}", json!([])).unwrap();
        assert_eq!(got, "[{\"name\": \"f\", \"é\": \"<&'\\\"\"}]");
        let got = render("{{ {'a': [1, 2.5, none]} | tojson(indent=2) }}", json!([])).unwrap();
        assert_eq!(got, "{\n  \"a\": [\n    1,\n    2.5,\n    null\n  ]\n}");
    }

    #[test]
    fn generation_blocks_leave_no_trace() {
        let source = "a {% generation %}b{%- endgeneration -%} c{% generation";
        assert_eq!(without_generation(source), "a {##}b{#--#} c{% generation");
        let got = render("x {%- generation %}y{% endgeneration %}z", json!([])).unwrap();
        assert_eq!(got, "xyz");
    }

    #[test]
    fn what_a_template_raises_is_its_error() {
        let error = |source: &str| render(source, json!([])).unwrap_err().to_string();
        let raised = error("a\n{{ raise_exception('roles must alternate') }}");
        assert!(raised.contains("roles must alternate"), "{raised}");
        assert!(raised.contains("line 2"), "{raised}");
        assert!(error("{% for %}").contains("line 1"));
        assert!(error("{{ messages.a.b }}").contains("undefined"));
        assert!(error("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}").contains("recursion"));
        let endless =
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        assert!(error(endless).contains("fuel"));
    }

    #[test]
    fn the_time_is_written_as_asked() {
        let got = render("{{ strftime_now('%Y-%m-%d') }}", json!([])).unwrap();
        assert_eq!(got.len(), 10);
        assert!(render("{{ strftime_now('%') }}", json!([])).is_err());
    }
}
