//! What a model wrote between `<tool_call>` and `</tool_call>`.

use super::xml::element;
use serde_json::{Map, Value};

/// A call of a tool, as a model wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// `call_0`, `call_1` and so on within a completion.
    pub id: String,
    /// Empty if there is no usable one.
    pub name: String,
    /// Those that could be read; otherwise an empty object.
    pub arguments: Value,
    pub status: CallStatus,
    /// What is wrong; `None` if nothing is.
    pub error: Option<String>,
    /// The text with its tags; of a call in an array, its element.
    pub raw: String,
}

/// Whether a call can be used, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallStatus {
    Ok,
    /// The call, or the string that holds its arguments, is not JSON.
    InvalidJson,
    /// The name is missing, empty, or not a string.
    MissingName,
    /// It is JSON, but neither an object nor an array of objects.
    NotObject,
    /// There is no end tag; what could be read is in the call all the same.
    Unterminated,
    /// There is nothing between the tags.
    Empty,
}

impl CallStatus {
    /// The name that scripts see.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::InvalidJson => "invalid_json",
            Self::MissingName => "missing_name",
            Self::NotObject => "not_object",
            Self::Unterminated => "unterminated",
            Self::Empty => "empty",
        }
    }
}

/// The calls in a span, of which `content` is what its tags enclose. There is always one at least.
pub(super) fn read(span: &str, content: &str, closed: bool) -> Vec<ToolCall> {
    let mut calls = read_content(span, content, closed);
    if !closed {
        for call in &mut calls {
            call.fail(CallStatus::Unterminated, "there is no </tool_call>");
        }
    }
    calls
}

/// Whether the content of a span is that of calls.
pub(super) fn makes_sense(content: &str, closed: bool) -> bool {
    read_content(content, content, closed)
        .iter()
        .all(|call| matches!(call.status, CallStatus::Ok | CallStatus::MissingName))
}

fn read_content(span: &str, content: &str, closed: bool) -> Vec<ToolCall> {
    let content = unfence(content);
    if content.is_empty() {
        vec![ToolCall::nothing(span)]
    } else if content.starts_with("<name>") || content.starts_with("<arguments>") {
        vec![from_xml(span, content)]
    } else {
        from_json(span, content, closed)
    }
}

/// The content of a Markdown fence, or the text itself.
fn unfence(content: &str) -> &str {
    let content = content.trim();
    let Some(fenced) = content.strip_prefix("```") else {
        return content;
    };
    let fenced = fenced.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    fenced.strip_suffix("```").unwrap_or(fenced).trim()
}

/// Without an end tag nobody knows what belongs to the call, so that only its first value counts.
fn parse(content: &str, closed: bool) -> serde_json::Result<Value> {
    if closed {
        return serde_json::from_str(content);
    }
    let mut values = serde_json::Deserializer::from_str(content).into_iter();
    // An empty text has no first value; parsing it as a whole says so.
    values
        .next()
        .unwrap_or_else(|| serde_json::from_str(content))
}

fn from_json(span: &str, content: &str, closed: bool) -> Vec<ToolCall> {
    match parse(content, closed) {
        Ok(Value::Array(elements)) if elements.is_empty() => vec![ToolCall::nothing(span)],
        Ok(Value::Array(elements)) => elements
            .into_iter()
            .zip(element_texts(content))
            .map(|(element, text)| ToolCall::new(text, element))
            .collect(),
        Ok(value) => vec![ToolCall::new(span, value)],
        Err(e) => vec![ToolCall::unreadable(span, e)],
    }
}

/// The texts of the elements of a valid array.
fn element_texts(array: &str) -> impl Iterator<Item = &str> {
    let mut rest = array;
    std::iter::from_fn(move || {
        // Before an element stands the bracket or a comma.
        rest = rest.get(1..)?.trim_start();
        let mut values =
            serde_json::Deserializer::from_str(rest).into_iter::<serde::de::IgnoredAny>();
        values.next()?.ok()?;
        let (text, after) = rest.split_at(values.byte_offset());
        rest = after.trim_start();
        Some(text)
    })
}

fn from_xml(span: &str, content: &str) -> ToolCall {
    let arguments = element(content, "arguments");
    // A name in the arguments is not the name of the call.
    let (before, after) = match &arguments {
        Some(arguments) => (arguments.before, arguments.after),
        None => (content, ""),
    };
    let name = element(before, "name").or_else(|| element(after, "name"));
    let mut object = Map::new();
    if let Some(name) = name.filter(|name| name.is_closed) {
        object.insert("name".into(), name.content.trim().into());
    }
    let given = arguments.as_ref().map_or("", |a| a.content.trim());
    if !given.is_empty() {
        object.insert("arguments".into(), given.into());
    }
    let mut call = ToolCall::new(span, Value::Object(object));
    if call.status == CallStatus::Ok && arguments.is_some_and(|a| !a.is_closed) {
        call.fail(CallStatus::InvalidJson, "there is no </arguments>");
    }
    call
}

impl ToolCall {
    fn new(raw: &str, value: Value) -> Self {
        let mut call = Self {
            id: String::new(),
            name: String::new(),
            arguments: Value::Object(Map::new()),
            status: CallStatus::Ok,
            error: None,
            raw: raw.to_string(),
        };
        match value {
            Value::Object(object) => call.fill(object),
            other => call.fail(
                CallStatus::NotObject,
                format!("a call is an object, and this is {}", kind(&other)),
            ),
        }
        call
    }

    fn nothing(raw: &str) -> Self {
        let mut call = Self::new(raw, Value::Object(Map::new()));
        call.fail(CallStatus::Empty, "there is no call between the tags");
        call
    }

    fn unreadable(raw: &str, reason: serde_json::Error) -> Self {
        let mut call = Self::new(raw, Value::Object(Map::new()));
        call.fail(CallStatus::InvalidJson, reason.to_string());
        call
    }

    fn fail(&mut self, status: CallStatus, error: impl Into<String>) {
        self.status = status;
        self.error = Some(error.into());
    }

    fn fill(&mut self, mut object: Map<String, Value>) {
        let arguments = object.remove("arguments").filter(|v| !v.is_null());
        match arguments.or_else(|| object.remove("parameters")) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => match serde_json::from_str(&text) {
                Ok(arguments) => self.arguments = arguments,
                Err(e) => self.fail(CallStatus::InvalidJson, format!("`arguments`: {e}")),
            },
            Some(arguments) => self.arguments = arguments,
        }
        // A call without a name is of no use, whatever its arguments are.
        match object.remove("name") {
            Some(Value::String(name)) if !name.trim().is_empty() => self.name = name,
            Some(Value::String(_)) => self.fail(CallStatus::MissingName, "`name` is empty"),
            Some(other) => self.fail(
                CallStatus::MissingName,
                format!("`name` is {}, not a string", kind(&other)),
            ),
            None => self.fail(CallStatus::MissingName, "there is no `name`"),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
