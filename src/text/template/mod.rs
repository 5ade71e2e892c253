//! Chat templates: from messages to the text that a model was trained on.
//!
//! They render as by `apply_chat_template(tokenize=False)` of transformers 5, byte for byte where
//! both answer. Where Python would raise an error for a `None` or an undefined value, Minijinja is
//! at times lenient; the tests list where.
//!
//! A template may come from a stranger: loops, recursion, memory and stack have limits. One way to
//! lose time is left: writing out a value of exponential size and comparing it with another.

mod json;
mod python;
mod source;
mod storable;

#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use minijinja::{Environment, Value, syntax::SyntaxConfig};
use serde_json::{Map, Value as Json};

/// A chat template with the special tokens that it may name.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    special_tokens: Map<String, Json>,
    has_marks: bool,
}

/// What a template is told beside the messages.
#[derive(Clone, Debug, Default)]
pub struct TemplateOptions {
    /// A list of tool descriptions.
    pub tools: Option<Json>,
    /// Whether the text ends where the assistant would begin.
    pub add_generation_prompt: bool,
    /// Variables of the template, for example `enable_thinking`. They override special tokens.
    pub extra: Map<String, Json>,
}

/// The longest templates in use have about 30 KB.
const MAX_SOURCE: usize = 128 << 10;
/// Enough for ten million instructions, or for 640 MB of text.
const FUEL: u64 = 10_000_000;
/// Minijinja limits how deep blocks and macros nest, but compiles chains of operators, compares
/// and drops values by recursion. The longest source and the deepest value fit into this stack.
const STACK: usize = 256 << 20;

const NAME: &str = "chat template";

impl ChatTemplate {
    /// Compiles a template. `special_tokens` are `bos_token`, `eos_token` and so on, as strings.
    ///
    /// # Errors
    /// A syntax error, by its line.
    pub fn new(source: &str, special_tokens: Map<String, Json>) -> Result<Self> {
        if source.len() > MAX_SOURCE {
            let found = format!("{} bytes", source.len());
            return Err(Error::value(NAME, found, "at most 128 KiB"));
        }
        let source = source::prepare(source);
        let has_marks = source::has_marks(&source);
        let environment = on_large_stack(move || {
            let mut environment = environment()?;
            environment.add_template_owned(NAME, source)?;
            Ok(environment)
        })?;
        Ok(Self {
            environment,
            special_tokens,
            has_marks,
        })
    }

    /// The text of a conversation: a list of maps with a `role` and whatever the template reads.
    ///
    /// # Errors
    /// Messages or tools of the wrong form, what the template itself refuses (in its own words),
    /// and whatever fails in it, by its line.
    pub fn render(&self, messages: &Json, options: &TemplateOptions) -> Result<String> {
        self.render_marked(messages, options, ["", ""])
    }

    /// Whether the template says by `{% generation %}` what the assistant said.
    pub fn has_marks(&self) -> bool {
        self.has_marks
    }

    /// The text of a conversation with these marks where a `{% generation %}` opens and closes.
    ///
    /// # Errors
    /// As for [`render`](Self::render).
    pub fn render_marked(
        &self,
        messages: &Json,
        options: &TemplateOptions,
        marks: [&str; 2],
    ) -> Result<String> {
        let messages = normalized(messages)?;
        let tools = options.tools.as_ref().filter(|tools| !tools.is_null());
        if let Some(tools) = tools {
            check_maps("tools", tools)?;
        }
        let mut variables = self.special_tokens.clone();
        variables.insert("documents".into(), Json::Null);
        variables.extend(options.extra.clone());
        for (name, mark) in source::MARKS.iter().zip(marks) {
            variables.insert((*name).into(), mark.into());
        }
        variables.insert("messages".into(), messages);
        variables.insert("tools".into(), tools.cloned().unwrap_or(Json::Null));
        let prompt = options.add_generation_prompt;
        variables.insert("add_generation_prompt".into(), prompt.into());
        on_large_stack(|| {
            let template = self.environment.get_template(NAME)?;
            template.render(value(&Json::Object(variables)))
        })
    }
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    environment.set_syntax(syntax.trim_blocks(true).lstrip_blocks(true).build()?);
    // An error says which variable is undefined only in debug mode; it costs nothing without one.
    environment.set_debug(true);
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(python::method);
    environment.set_formatter(python::print);
    environment.add_filter("tojson", json::tojson);
    environment.add_test("iterable", python::is_iterable);
    environment.add_test("sequence", python::is_sequence);
    environment.add_test("callable", python::is_callable);
    environment.add_function("raise_exception", python::raise_exception);
    environment.add_function("strftime_now", python::strftime_now);
    environment.add_function(source::STORABLE, storable::storable);
    // Jinja has no `debug`, and the output of both grows with the square of the depth.
    environment.remove_global("debug");
    environment.remove_filter("pprint");
    Ok(environment)
}

/// Runs work of Minijinja where even hostile templates have stack enough.
fn on_large_stack<T: Send>(work: impl FnOnce() -> Result<T, minijinja::Error> + Send) -> Result<T> {
    let failed = |reason| Error::Tokenizer(format!("{NAME}{reason}"));
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            // The error may hold values, which have to be dropped there too.
            .spawn_scoped(scope, || work().map_err(|e| reason(&e)))
            .map_err(|e| failed(format!(": no thread to work in: {e}")))?;
        let panicked = |_| Err(": the template engine panicked".to_string());
        thread.join().unwrap_or_else(panicked).map_err(failed)
    })
}

fn reason(e: &minijinja::Error) -> String {
    let place = e.line().map(|line| format!(", line {line}"));
    let place = place.unwrap_or_default();
    match e.detail() {
        Some(detail) => format!("{place}: {detail}"),
        None => format!("{place}: {}", e.kind()),
    }
}

/// The messages as transformers hands them over: without the keys that are null, which many
/// templates would print, and with the reasoning under the names that templates read.
fn normalized(messages: &Json) -> Result<Json> {
    let list = check_maps("messages", messages)?;
    if list.is_empty() {
        return Err(Error::value("messages", "none", "at least one message"));
    }
    let messages = list.iter().filter_map(Json::as_object).map(|message| {
        let mut message = message.clone();
        message.retain(|_, value| !value.is_null());
        let names = ["reasoning_content", "thinking", "reasoning"];
        let Some(reasoning) = names.iter().find_map(|name| message.get(*name)).cloned() else {
            return Json::Object(message);
        };
        // The order shows in a message that a template prints whole.
        let mut named = Map::from_iter([("thinking".into(), reasoning.clone())]);
        named.extend(message);
        named.insert("reasoning_content".into(), reasoning);
        Json::Object(named)
    });
    Ok(messages.collect())
}

fn check_maps<'a>(what: &str, value: &'a Json) -> Result<&'a Vec<Json>> {
    let Json::Array(list) = value else {
        return Err(Error::value(what, shortened(value), "a list of maps"));
    };
    match list.iter().position(|element| !element.is_object()) {
        Some(index) => {
            let what = format!("{what}[{index}]");
            Err(Error::value(what, shortened(&list[index]), "a map"))
        }
        None => Ok(list),
    }
}

fn shortened(value: &Json) -> String {
    value.to_string().chars().take(80).collect()
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(boolean) => Value::from(*boolean),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Value::from(integer),
            (None, Some(integer)) => Value::from(integer),
            (None, None) => Value::from(number.as_f64()),
        },
        Json::String(string) => Value::from(string.as_str()),
        Json::Array(list) => list.iter().map(value).collect(),
        Json::Object(map) => Value::from_pairs(map.iter().map(|(k, v)| (k.as_str(), value(v)))),
    }
}
