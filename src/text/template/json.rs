//! `tojson` as transformers defines it: `json.dumps` without escapes for HTML and for non-ASCII.

use super::python;
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use std::fmt::Write;

/// `json.dumps(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
pub(super) fn tojson(
    state: &State,
    value: Value,
    positional: Rest<Value>,
    named: Kwargs,
) -> Result<String, Error> {
    let mut arguments = Vec::new();
    for (index, name) in ["ensure_ascii", "indent", "separators", "sort_keys"]
        .iter()
        .enumerate()
    {
        let argument = match positional.get(index) {
            Some(argument) => Some(argument.clone()),
            None => named.get::<Option<Value>>(name)?,
        };
        arguments.push(argument.unwrap_or_default());
    }
    named.assert_all_used()?;
    let indent = indent(&arguments[1])?;
    let (comma, colon) = separators(&arguments[2], indent.is_some())?;
    let mut writer = Writer {
        state,
        json: String::new(),
        ascii: arguments[0].is_true(),
        indent,
        comma,
        colon,
        sorted: arguments[3].is_true(),
    };
    writer.value(&value, 0)?;
    Ok(writer.json)
}

/// A number of spaces, or the text itself.
fn indent(argument: &Value) -> Result<Option<String>, Error> {
    if argument.is_none() || argument.is_undefined() {
        return Ok(None);
    }
    if let Some(text) = argument.as_str() {
        return Ok(Some(text.to_string()));
    }
    let spaces = argument
        .as_i64()
        .ok_or_else(|| refused("`indent` is a number or a text"))?;
    // Each line of the output has the indentation of its depth: a huge one is only an attack.
    Ok(Some(" ".repeat(spaces.clamp(0, 64) as usize)))
}

fn separators(argument: &Value, indented: bool) -> Result<(String, String), Error> {
    if argument.is_none() || argument.is_undefined() {
        let comma = if indented { "," } else { ", " };
        return Ok((comma.into(), ": ".into()));
    }
    let pair: Vec<Value> = argument.try_iter()?.collect();
    match pair
        .iter()
        .map(Value::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [Some(comma), Some(colon)] => Ok((comma.to_string(), colon.to_string())),
        _ => Err(refused("`separators` are two texts")),
    }
}

fn refused(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}

/// As deep as Python goes.
const MAX_DEPTH: usize = 990;

struct Writer<'a> {
    state: &'a State<'a, 'a>,
    json: String,
    ascii: bool,
    indent: Option<String>,
    comma: String,
    colon: String,
    sorted: bool,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        // One value that occurs many times is written many times.
        self.state.consume_fuel(1)?;
        if depth > MAX_DEPTH {
            return Err(refused("tojson: the value is nested too deeply"));
        }
        match value.kind() {
            ValueKind::None => self.json.push_str("null"),
            ValueKind::Bool if value.is_true() => self.json.push_str("true"),
            ValueKind::Bool => self.json.push_str("false"),
            ValueKind::Number => self.json.push_str(&number(value)?),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth)?,
            ValueKind::Map => self.map(value, depth)?,
            other => return Err(refused(format!("tojson: {other} is not JSON"))),
        }
        Ok(())
    }

    fn list(&mut self, list: &Value, depth: usize) -> Result<(), Error> {
        self.json.push('[');
        let mut is_empty = true;
        for element in list.try_iter()?.checked() {
            self.item(&mut is_empty, depth + 1);
            self.value(&element?, depth + 1)?;
        }
        self.close(']', is_empty, depth);
        Ok(())
    }

    fn map(&mut self, map: &Value, depth: usize) -> Result<(), Error> {
        let mut keys: Vec<Value> = map.try_iter()?.checked().collect::<Result<_, _>>()?;
        let names: Vec<String> = keys.iter().map(key).collect::<Result<_, _>>()?;
        let mut order: Vec<usize> = (0..keys.len()).collect();
        if self.sorted {
            order.sort_by(|a, b| keys[*a].cmp(&keys[*b]));
        }
        self.json.push('{');
        let mut is_empty = true;
        for index in order {
            self.item(&mut is_empty, depth + 1);
            self.string(&names[index]);
            self.json.push_str(&self.colon);
            let key = std::mem::take(&mut keys[index]);
            self.value(&map.get_item(&key)?, depth + 1)?;
        }
        self.close('}', is_empty, depth);
        Ok(())
    }

    fn item(&mut self, is_first: &mut bool, depth: usize) {
        if !std::mem::replace(is_first, false) {
            self.json.push_str(&self.comma);
        }
        self.line(depth);
    }

    fn close(&mut self, bracket: char, is_empty: bool, depth: usize) {
        if !is_empty {
            self.line(depth);
        }
        self.json.push(bracket);
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.json.push('\n');
            for _ in 0..depth {
                self.json.push_str(indent);
            }
        }
    }

    fn string(&mut self, text: &str) {
        self.json.push('"');
        for character in text.chars() {
            match character {
                '"' => self.json.push_str("\\\""),
                '\\' => self.json.push_str("\\\\"),
                '\n' => self.json.push_str("\\n"),
                '\r' => self.json.push_str("\\r"),
                '\t' => self.json.push_str("\\t"),
                '\u{8}' => self.json.push_str("\\b"),
                '\u{c}' => self.json.push_str("\\f"),
                '\0'..='\u{1f}' => self.escape(character),
                '\u{7f}'.. if self.ascii => self.escape(character),
                _ => self.json.push(character),
            }
        }
        self.json.push('"');
    }

    fn escape(&mut self, character: char) {
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _ = write!(self.json, "\\u{unit:04x}");
        }
    }
}

fn key(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::String => Ok(key.as_str().unwrap_or_default().to_string()),
        ValueKind::Number => number(key),
        ValueKind::None => Ok("null".into()),
        ValueKind::Bool => Ok(if key.is_true() { "true" } else { "false" }.into()),
        other => Err(refused(format!("tojson: {other} cannot be a key"))),
    }
}

fn number(value: &Value) -> Result<String, Error> {
    if value.is_integer() {
        return Ok(value.to_string());
    }
    let float = f64::try_from(value.clone())?;
    Ok(if float.is_nan() {
        "NaN".into()
    } else if float.is_infinite() {
        format!("{}Infinity", if float < 0.0 { "-" } else { "" })
    } else {
        python::float(float)
    })
}
