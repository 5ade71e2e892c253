//! What templates take for granted because Jinja is written in Python.

use minijinja::value::{Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, Output, State, Value, escape_formatter};
use minijinja_contrib::pycompat;

/// Methods of strings, lists and maps.
pub(super) fn method(
    state: &mut State,
    value: &Value,
    name: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    let own = match value.as_str() {
        Some(text) => string_method(text, name, arguments),
        None if value.kind() == ValueKind::Seq && name == "index" => list_index(value, arguments),
        None => Err(ErrorKind::UnknownMethod.into()),
    };
    match own {
        Err(e) if e.kind() == ErrorKind::UnknownMethod => {
            pycompat::unknown_method_callback(state, value, name, arguments)
        }
        other => other,
    }
}

/// The methods that Minijinja's own set lacks.
fn string_method(text: &str, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    match name {
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(arguments)?;
            Ok(text.strip_prefix(prefix).unwrap_or(text).into())
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(arguments)?;
            Ok(text.strip_suffix(suffix).unwrap_or(text).into())
        }
        "partition" => {
            let (separator,): (&str,) = from_args(arguments)?;
            let parts = text.split_once(separator);
            Ok(triple(
                parts.map_or([text, "", ""], |(a, b)| [a, separator, b]),
            ))
        }
        "rpartition" => {
            let (separator,): (&str,) = from_args(arguments)?;
            let parts = text.rsplit_once(separator);
            Ok(triple(
                parts.map_or(["", "", text], |(a, b)| [a, separator, b]),
            ))
        }
        "title" => {
            let () = from_args(arguments)?;
            Ok(title(text).into())
        }
        "rsplit" => rsplit(text, arguments),
        "index" => {
            let (part,): (&str,) = from_args(arguments)?;
            let at = text.find(part).ok_or_else(|| absent("substring"))?;
            Ok(text[..at].chars().count().into())
        }
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
}

fn triple(parts: [&str; 3]) -> Value {
    Tuple::from(parts.map(Value::from)).into()
}

/// A capital after everything that is not a letter: `It'S`, unlike the filter of the same name.
fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut in_word = false;
    for character in text.chars() {
        if in_word {
            titled.extend(character.to_lowercase());
        } else {
            titled.extend(character.to_uppercase());
        }
        in_word = character.is_alphabetic();
    }
    titled
}

fn rsplit(text: &str, arguments: &[Value]) -> Result<Value, Error> {
    let (separator, limit): (Option<&str>, Option<i64>) = from_args(arguments)?;
    // A negative limit is none.
    let parts = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .map_or(usize::MAX, |limit| limit.saturating_add(1));
    let mut parts: Vec<&str> = match separator {
        Some("") => return Err(Error::new(ErrorKind::InvalidOperation, "empty separator")),
        Some(separator) => text.rsplitn(parts, separator).collect(),
        None => rsplit_whitespace(text, parts),
    };
    parts.reverse();
    Ok(parts.into_iter().collect())
}

/// At most `limit` parts, the last one first; the last part to be found keeps its inner spaces.
fn rsplit_whitespace(text: &str, limit: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_end();
    while !rest.is_empty() {
        let split = rest.rsplit_once(char::is_whitespace);
        let (before, part) = match split {
            Some(split) if parts.len() + 1 < limit => split,
            _ => ("", rest),
        };
        parts.push(part);
        rest = before.trim_end();
    }
    parts
}

fn list_index(list: &Value, arguments: &[Value]) -> Result<Value, Error> {
    let (element,): (&Value,) = from_args(arguments)?;
    let at = list.try_iter()?.position(|e| e == *element);
    at.map(Value::from).ok_or_else(|| absent("element"))
}

fn absent(what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        format!("index: {what} not found"),
    )
}

/// `is iterable`: texts and undefined values are, `None` is not.
pub(super) fn is_iterable(value: &Value) -> bool {
    !matches!(
        value.kind(),
        ValueKind::None | ValueKind::Bool | ValueKind::Number | ValueKind::Plain
    )
}

/// `is sequence`: what has a length and can be indexed.
pub(super) fn is_sequence(value: &Value) -> bool {
    matches!(
        value.kind(),
        ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Undefined
    )
}

/// `is callable`: no value that comes from JSON is.
pub(super) fn is_callable(value: &Value) -> bool {
    value.kind() == ValueKind::Plain
}

/// Refuses a conversation in the words of the template.
pub(super) fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// The local time, written as `strftime` does.
pub(super) fn strftime_now(format: &str) -> Result<String, Error> {
    jiff::fmt::strtime::format(format, &jiff::ZonedDateTime::now()).map_err(|e| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("strftime_now({format:?}): {e}"),
        )
    })
}

/// Prints a value; Minijinja does it as Python does, but for the exponents of floats.
pub(super) fn print(output: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    if value.kind() == ValueKind::Number && !value.is_integer() {
        let float = f64::try_from(value.clone())?;
        if float.is_finite() {
            return Ok(output.write_str(&self::float(float))?);
        }
    }
    escape_formatter(output, state, value)
}

/// `repr` of a finite float: with an exponent from 1e16 on and below 1e-4.
pub(super) fn float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = value.to_string();
        let point = if plain.contains('.') { "" } else { ".0" };
        format!("{plain}{point}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.abs())
    }
}
