//! Errors as people read them: what, where with the source line, by which calls, and what next.

use crate::script::{Exit, Spot, friendly};
use rhai::{EvalAltResult, Position};
use std::collections::HashMap;
use std::fmt::Write;

/// What kind of end it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The script could not be read.
    Syntax,
    /// The script went wrong.
    Runtime,
    /// Somebody asked to stop.
    Interrupted,
    /// The script called `exit` with this code.
    Exit(i32),
    /// A fault of mlx-repl itself.
    Bug,
}

/// An error with its place, ready to be shown.
#[derive(Clone, Debug)]
pub struct Failure {
    pub kind: Kind,
    /// The error alone, in one paragraph.
    pub message: String,
    /// The whole text, with the source line.
    pub rendered: String,
}

/// A place in a source.
struct Place {
    source: String,
    position: Position,
}

impl Failure {
    /// Renders an error of the script called `name`.
    pub fn of(
        name: &str,
        error: &EvalAltResult,
        sources: &HashMap<String, String>,
        hint: impl FnOnce(Spot) -> Option<String>,
    ) -> Self {
        let (mut place, calls, current) = trace(name, error);
        if let (true, EvalAltResult::ErrorDataRace(text, _)) = (place.position.is_none(), current) {
            place.position =
                place_of_race(text, sources.get(&place.source)).unwrap_or(Position::NONE);
        }
        if let (EvalAltResult::ErrorParsing(parse, _), Some(text)) =
            (current, sources.get(&place.source))
            && parse.to_string().contains("to terminate this statement")
        {
            place.position = end_of_statement(text, place.position).unwrap_or(place.position);
        }
        let kind = match current {
            EvalAltResult::ErrorParsing(..) => Kind::Syntax,
            EvalAltResult::ErrorTerminated(token, _) => match token.clone().try_cast::<Exit>() {
                Some(Exit(code)) => Kind::Exit(code),
                None => Kind::Interrupted,
            },
            _ => Kind::Runtime,
        };
        let message = match kind {
            Kind::Interrupted => "interrupted".to_string(),
            _ => message(current),
        };
        let mut rendered = format!("error: {message}");
        if kind == Kind::Interrupted {
            rendered = message.clone();
        }
        let line = source_line(&place, sources);
        write_place(&mut rendered, &place, line.as_deref());
        for (function, source, position) in calls.iter().rev() {
            if !position.is_none() {
                let _ = write!(
                    rendered,
                    "\n  called by {source}{} as {function}",
                    colon(*position)
                );
            }
        }
        let line = line.unwrap_or_default();
        let column = place.position.position().unwrap_or(1) - 1;
        let at = line
            .char_indices()
            .nth(column)
            .map_or(line.len(), |(at, _)| at);
        let (before, rest) = line.split_at(at);
        if let Some(hint) = hint(Spot { before, rest }) {
            let _ = write!(rendered, "\n  hint: {hint}");
        }
        Self {
            kind,
            message,
            rendered,
        }
    }

    /// The whole text, with colours where they are wanted.
    pub fn shown(&self, colour: bool) -> String {
        match colour {
            true => coloured(&self.rendered),
            false => self.rendered.clone(),
        }
    }

    /// A fault of mlx-repl itself, caught as it unwound.
    pub fn panic(payload: &(dyn std::any::Any + Send)) -> Self {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or(payload.downcast_ref::<&str>().copied());
        Self::bug(text.unwrap_or("no message"))
    }

    /// A fault of mlx-repl itself.
    pub fn bug(text: &str) -> Self {
        let message = format!("this is a fault of mlx-repl, not of the script: {text}");
        Self {
            kind: Kind::Bug,
            rendered: format!("error: {message}"),
            message,
        }
    }
}

/// A call on the way to an error: what was called, and where.
type Call = (String, String, Position);

/// Where an error happened, by which calls from the outside in, and the error itself.
fn trace<'a>(name: &str, error: &'a EvalAltResult) -> (Place, Vec<Call>, &'a EvalAltResult) {
    let mut place = Place {
        source: name.to_string(),
        position: Position::NONE,
    };
    // Each call's place is in the source around it.
    let mut calls: Vec<Call> = Vec::new();
    let mut current = error;
    loop {
        match current {
            EvalAltResult::ErrorInFunctionCall(function, source, inner, position) => {
                calls.push((readable(function), place.source.clone(), *position));
                if !source.is_empty() {
                    place.source.clone_from(source);
                }
                current = inner;
            }
            EvalAltResult::ErrorInModule(module, inner, _) => {
                if !module.is_empty() {
                    place.source.clone_from(module);
                }
                current = inner;
            }
            _ => break,
        }
    }
    place.position = current.position();
    if place.position.is_none()
        && let Some((_, source, position)) = calls.last()
    {
        (place.source, place.position) = (source.clone(), *position);
    }
    (place, calls, current)
}

/// Where a `;` is missed: the parser complains of what follows, which may be lines further down.
fn end_of_statement(text: &str, position: Position) -> Option<Position> {
    let lines: Vec<&str> = text.lines().collect();
    let (line, column) = (position.line()?, position.position().unwrap_or(1));
    let before = |line: &str| line.chars().take(column - 1).all(char::is_whitespace);
    if lines.get(line - 1).is_some_and(|line| !before(line)) {
        return None;
    }
    let is_code = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with("//")
    };
    let last = lines.iter().take(line - 1).rposition(is_code)?;
    let column = lines[last].trim_end().chars().count() + 1;
    Some(Position::new(
        u16::try_from(last + 1).ok()?,
        u16::try_from(column).ok()?,
    ))
}

/// The error without its position, which is shown apart.
fn message(error: &EvalAltResult) -> String {
    let is_thrown = matches!(error, EvalAltResult::ErrorRuntime(value, _) if value.is_string());
    let mut error = plain_text(error);
    if let Some(at) = error.rfind(" (line ").filter(|_| !is_thrown) {
        error.truncate(at);
    }
    // Rhai puts this before every text that a binding or `throw` gives.
    let plain = error.strip_prefix("Runtime error: ").unwrap_or(&error);
    let mut plain = spelt(plain);
    // Types that Rhai calls by their path in Rust.
    while let Some(start) = plain.find("mlx_repl::script::") {
        let path = &plain[start..];
        let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let end = path.find(|c| !is_path(c)).unwrap_or(path.len());
        let name = path[..end].rfind("::").map_or(0, |at| at + 2);
        plain.replace_range(start..start + name, "");
    }
    plain
}

/// Types of several words as one: before each word is taken for itself.
fn spelt(text: &str) -> String {
    text.replace("&mut ", "")
        .replace("&str | ImmutableString | String", "string")
        .replace("core::ops::range::RangeInclusive<i64>", "range")
        .replace("core::ops::range::Range<i64>", "range")
}

fn plain_text(error: &EvalAltResult) -> String {
    match error {
        // The name of a closure means nothing to its author.
        EvalAltResult::ErrorFunctionNotFound(signature, _) if signature.starts_with("anon$") => {
            "a closure was called with another number of arguments than it has".into()
        }
        EvalAltResult::ErrorRuntime(value, _) if value.is_string() => value.to_string(),
        EvalAltResult::ErrorParsing(kind, _) => format!("{kind}"),
        EvalAltResult::ErrorFunctionNotFound(..) | EvalAltResult::ErrorDotExpr(..) => {
            with_our_types(&spelt(&error.to_string()))
        }
        other => other.to_string(),
    }
}

/// The text of an error with its parts in colours: what it is, where it is, what to do. Few of them can be read
/// on light and dark alike: places are dim and not blue, marks magenta and not red.
pub fn coloured(rendered: &str) -> String {
    let paint = |code: &str, text: &str| format!("\u{1b}[{code}m{text}\u{1b}[0m");
    let line = |line: &str| {
        if let Some(message) = line.strip_prefix("error: ") {
            return format!("{}: {}", paint("1;31", "error"), paint("1", message));
        }
        let word = line.trim_start();
        if word.starts_with("--> ") || word.starts_with("called by ") {
            return paint("2", line);
        }
        if let Some(hint) = word.strip_prefix("hint: ") {
            return format!("  {}: {hint}", paint("1", "hint"));
        }
        let Some((gutter, text)) = line.split_once(" | ") else {
            return line.to_string();
        };
        let bar = paint("2", &format!("{gutter} |"));
        match text
            .find('^')
            .filter(|at| text[*at..].bytes().all(|c| c == b'^'))
        {
            Some(at) if gutter.trim().is_empty() => {
                format!("{bar} {}{}", &text[..at], paint("1;35", &text[at..]))
            }
            _ if gutter.trim().bytes().all(|c| c.is_ascii_digit()) => format!("{bar} {text}"),
            _ => line.to_string(),
        }
    };
    rendered.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Types under the names of the documentation.
fn with_our_types(text: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let end = rest[start..]
            .find(|c| !is_word(c))
            .map_or(rest.len(), |n| start + n);
        words.push_str(&rest[..start]);
        words.push_str(&friendly(&rest[start..end]));
        rest = &rest[end..];
    }
    words + rest
}

fn readable(function: &str) -> String {
    if function.starts_with("anon$") || function.is_empty() {
        "a closure".into()
    } else {
        format!("`{function}`")
    }
}

fn colon(position: Position) -> String {
    match (position.line(), position.position()) {
        (Some(line), Some(column)) => format!(":{line}:{column}"),
        (Some(line), None) => format!(":{line}"),
        _ => String::new(),
    }
}

/// Where the call stands in which a closure uses the value that it is called on, if only one can be
/// meant: Rhai names the function, but not the place.
fn place_of_race(text: &str, source: Option<&String>) -> Option<Position> {
    let source = source?;
    let call = format!(".{}(", text.split('\'').nth(1)?);
    let mut found = source.match_indices(&call);
    let (at, _) = found.next().filter(|_| found.next().is_none())?;
    let before = &source[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 2;
    Some(Position::new(
        line.try_into().ok()?,
        column.try_into().ok()?,
    ))
}

/// The line of a place, where its source is known: a cell, a file, or a script of the binary.
fn source_line(place: &Place, sources: &HashMap<String, String>) -> Option<String> {
    let line = place.position.line()?;
    let known = sources.get(&place.source).cloned();
    let known = known.or_else(|| std::fs::read_to_string(&place.source).ok());
    let built_in = crate::script::STDLIB
        .iter()
        .find(|(name, _)| *name == place.source)
        .map(|(_, text)| text.to_string());
    let source = known.or(built_in)?;
    source.lines().nth(line - 1).map(String::from)
}

/// The place, the source line and a mark under it.
fn write_place(text: &mut String, place: &Place, shown: Option<&str>) {
    let _ = write!(text, "\n  --> {}{}", place.source, colon(place.position));
    let (Some(line), Some(shown)) = (place.position.line(), shown) else {
        return;
    };
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    let _ = write!(text, "\n{gutter} |\n{number} | {shown}");
    if let Some(column) = place.position.position() {
        let before: String = shown
            .chars()
            .take(column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let marks = "^".repeat(word_length(shown, column - 1));
        let _ = write!(text, "\n{gutter} | {before}{marks}");
    }
}

/// How many characters the word at a place has: a name, a number or a text in quotes; else it is one.
fn word_length(line: &str, at: usize) -> usize {
    let rest: Vec<char> = line.chars().skip(at).collect();
    let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
    let count = match rest.first() {
        Some(quote @ ('"' | '`')) => {
            let inner = rest[1..].iter().position(|c| c == quote);
            inner.map_or(rest.len(), |end| end + 2)
        }
        Some(first) if is_word(first) => rest.iter().take_while(|c| is_word(c)).count(),
        _ => 1,
    };
    count.max(1)
}
