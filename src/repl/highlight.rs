//! Colours of what is being typed, and the bracket that belongs to the one at the cursor.
//!
//! Of the sixteen colours of a terminal only those are used that can be read on a light and on a
//! dark background; what stands back is faint, whatever the colour of the text is.

use crate::session::{Span, SpanKind};

const RESET: &str = "\x1b[0m";
/// Comments and hints.
const FAINT: &str = "\x1b[2m";
const MATCHED: &str = "\x1b[1;4m";

/// The prompt, plain and coloured.
pub const PROMPT: (&str, &str) = ("> ", "\x1b[1;32m>\x1b[0m ");

fn colour(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Keyword => "\x1b[35m",
        SpanKind::String => "\x1b[32m",
        SpanKind::Number | SpanKind::Module => "\x1b[36m",
        // Bold alone: many terminals have a blue that is not seen on black.
        SpanKind::Function => "\x1b[1m",
        SpanKind::Comment => FAINT,
        SpanKind::Unknown => "\x1b[31m",
        SpanKind::Name | SpanKind::Bracket | SpanKind::Operator => "",
    }
}

/// The text in colours, of the same width; `matched` are the places of two brackets.
pub fn paint(text: &str, spans: &[Span], matched: Option<[usize; 2]>) -> String {
    let mut painted = String::with_capacity(text.len() * 2);
    let mut done = 0;
    for span in spans {
        let is_matched = matched.is_some_and(|pair| pair.contains(&(span.end - 1)));
        let style = match is_matched && span.kind == SpanKind::Bracket {
            true => MATCHED,
            false => colour(span.kind),
        };
        if style.is_empty() || span.start < done {
            continue;
        }
        painted.push_str(&text[done..span.start]);
        // Line by line: a terminal's own colours are not to run over its margin.
        for (i, line) in text[span.start..span.end].split('\n').enumerate() {
            let newline = if i > 0 { "\n" } else { "" };
            painted.extend([newline, style, line, RESET]);
        }
        done = span.end;
    }
    painted.push_str(&text[done..]);
    painted
}

/// A command: its name in the colour of a keyword.
pub fn paint_command(text: &str) -> String {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let style = colour(SpanKind::Keyword);
    format!("{style}{}{RESET}{}", &text[..end], &text[end..])
}

/// A hint behind the cursor.
pub fn paint_hint(hint: &str) -> String {
    format!("{FAINT}{hint}{RESET}")
}

/// The bracket at the cursor, or before it, and the one that belongs to it.
pub fn matching(text: &str, spans: &[Span], cursor: usize) -> Option<[usize; 2]> {
    let brackets = spans.iter().filter(|span| span.kind == SpanKind::Bracket);
    let places: Vec<usize> = brackets.map(|span| span.end - 1).collect();
    let at = |place: usize| places.iter().position(|p| *p == place);
    let here = at(cursor).or_else(|| at(cursor.checked_sub(1)?))?;
    let bytes = text.as_bytes();
    let is_opening = |i: usize| matches!(bytes[places[i]], b'(' | b'[' | b'{');
    let others: Box<dyn Iterator<Item = usize>> = match is_opening(here) {
        true => Box::new(here..places.len()),
        false => Box::new((0..=here).rev()),
    };
    let mut depth = 0usize;
    for i in others {
        if is_opening(i) == is_opening(here) {
            depth += 1;
        } else if depth == 1 {
            let pair = [bytes[places[here.min(i)]], bytes[places[here.max(i)]]];
            let belongs = matches!(&pair, b"()" | b"[]" | b"{}");
            return belongs.then(|| [places[here], places[i]]);
        } else {
            depth -= 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::spans;

    fn plain(text: &str) -> String {
        let mut plain = String::new();
        let mut rest = text;
        while let Some(start) = rest.find('\x1b') {
            plain.push_str(&rest[..start]);
            let end = rest[start..].find('m').unwrap();
            rest = &rest[start + end + 1..];
        }
        plain + rest
    }

    #[test]
    fn colours_change_no_character() {
        let engine = rhai::Engine::new();
        let texts = [
            "let x = mx::sum([1.5, \"é\"]); // so\nspawn",
            "`a ${x + 1}\n b` + \"open\nf(2)",
            "a /* b",
            "",
        ];
        for text in texts {
            let spans = spans(&engine, text);
            for cursor in 0..=text.len() {
                let painted = paint(text, &spans, matching(text, &spans, cursor));
                assert_eq!(plain(&painted), text);
            }
        }
        assert_eq!(
            paint("let", &spans(&engine, "let"), None),
            "\x1b[35mlet\x1b[0m"
        );
        assert_eq!(plain(&paint_command(":help x")), ":help x");
    }

    #[test]
    fn brackets_find_each_other() {
        let text = "f(a[\")\"], #{ b: () })";
        let spans = spans(&rhai::Engine::new(), text);
        let table = [
            (1, Some([1, 20])),
            (2, Some([1, 20])),
            (21, Some([20, 1])),
            (3, Some([3, 7])),
            (11, Some([11, 19])),
            (0, None),
            (5, None),
        ];
        for (cursor, expected) in table {
            assert_eq!(matching(text, &spans, cursor), expected, "{cursor}");
        }
    }
}
