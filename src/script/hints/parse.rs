//! Hints for what cannot be read: mostly what other languages write so.

use super::{Spot, elsewhere};
use rhai::ParseErrorType;

/// What would be right.
pub fn hint(kind: &ParseErrorType, spot: Spot) -> Option<String> {
    let text = kind.to_string();
    let quoted = text.split('\'').nth(1).unwrap_or_default();
    let known = elsewhere::word(quoted)
        .or_else(|| of_word_before(spot))
        .or_else(|| of_signs(&text, spot))
        .or_else(|| of_words(&text, spot))
        .or_else(|| of_missing(&text, spot));
    known.map(String::from)
}

/// By the word that stands before the place: the parser stumbles behind it.
fn of_word_before(spot: Spot) -> Option<&'static str> {
    let head = spot.before.trim_end();
    let start = head.rfind(|c: char| !is_word(c)).map_or(0, |at| at + 1);
    let word = &head[start..];
    let is_adjacent = head.len() == spot.before.len();
    if is_adjacent && word == "f" && spot.rest.starts_with('"') {
        return Some("values stand in a text between back-ticks: `${a} of ${b}`");
    }
    match word {
        "not" => Some("the contrary is `!x`"),
        word if !is_adjacent => elsewhere::word(word),
        _ => None,
    }
}

/// By the signs that Rhai has for something else or not at all.
fn of_signs(text: &str, spot: Spot) -> Option<&'static str> {
    let hint = if text.contains("'@'") {
        "the product of matrices is `a.matmul(b)`"
    } else if text.contains("'++'") {
        "`x += 1` adds one"
    } else if text.contains("'--'") {
        "`x -= 1` takes one away"
    } else if text.contains("'?'") {
        "a choice is `if x { 1 } else { 2 }`, which has a value"
    } else if text.contains("'#'") {
        "a comment begins with `//`"
    } else if text.contains("is a reserved keyword") {
        "Rhai keeps this word to itself; choose another name, or as a key write it in quotes: \
         #{ \"default\": 1 }"
    } else if text.starts_with("Invalid character") {
        "text stands in double quotes: \"text\""
    } else if text.contains("in this index expression") && spot.rest.starts_with(':') {
        "a part of a list, a text or a tensor is `a[1..3]`, its end `a[1..]`"
    } else if text.contains("in this index expression") && spot.rest.starts_with(',') {
        "an index along several axes is a list: `t[[0, 1]]`"
    } else if text.contains("for a matching (") && spot.rest.starts_with(',') {
        "a list is written `[1, 2]`"
    } else {
        return None;
    };
    Some(hint)
}

/// By the word at the place.
fn of_words(text: &str, spot: Spot) -> Option<&'static str> {
    let end = spot
        .rest
        .find(|c: char| !is_word(c))
        .unwrap_or(spot.rest.len());
    match &spot.rest[..end] {
        "and" => Some("both is `a && b`"),
        "or" => Some("one of two is `a || b`"),
        "not" => Some("the contrary is `!x`"),
        "is" => Some("`a == b` compares"),
        "except" | "finally" => elsewhere::word("except"),
        "of" if text.contains("iteration variable") => Some("a loop is `for x in list { .. }`"),
        "for" if text.contains("array literal") => {
            Some("a list of what becomes of each item is `list.map(|x| ..)`")
        }
        "if" if text.contains("terminate this statement") => {
            Some("a choice is `if x { 1 } else { 2 }`, which has a value")
        }
        _ => None,
    }
}

/// By what the parser waits for.
fn of_missing(text: &str, spot: Spot) -> Option<&'static str> {
    let rest = spot.rest;
    if text.contains("terminate this statement")
        && rest.trim().is_empty()
        && !spot.before.trim().is_empty()
    {
        return Some("a statement ends in `;`, and what was opened, as by `{`, is closed");
    }
    if rest.starts_with("=>") && !text.contains("switch") {
        return Some("a closure is `|x| x + 1`");
    }
    if text.contains("name of a variable") && rest.starts_with(['[', '(']) {
        return Some("each variable has a `let` of its own: `let x = list[0]; let y = list[1];`");
    }
    if text.contains("arguments to function call") && before_equals(spot) {
        return Some(
            "arguments have no names; settings stand in a map behind them: `f(x, #{ key: value })`",
        );
    }
    if text.contains("terminate this statement") && rest.starts_with(':') {
        return Some(
            "a map is written `#{ key: value }`, and a variable without its type: `let x = 3`",
        );
    }
    if text.contains("an iterable value") {
        return Some("a loop goes over a list, a range or a map: `for i in 0..3 { .. }`");
    }
    if text.contains("to start a statement block") {
        return Some(
            "what belongs together stands in braces: `if x { 3 } else { 4 }`, `for x in list { .. }`",
        );
    }
    None
}

/// Whether the place is at or just behind `name=`.
fn before_equals(spot: Spot) -> bool {
    let single =
        |text: &str| text.starts_with('=') && !text.starts_with("==") && !text.starts_with("=>");
    single(spot.rest) || spot.before.trim_end().ends_with('=')
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
