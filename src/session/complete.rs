//! Whether typed text is a whole program, by the parser itself.

use rhai::{Engine, LexError, ParseErrorType};

/// What a front end should do with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Evaluate it.
    Complete,
    /// Ask for another line.
    Incomplete,
    /// Evaluate it: the error is worth seeing.
    Invalid,
}

/// Judges a text.
pub fn completeness(engine: &Engine, source: &str) -> Completeness {
    if open_comment(source) {
        return Completeness::Incomplete;
    }
    let Err(error) = engine.compile(source) else {
        return Completeness::Complete;
    };
    let last_line = source.lines().count().max(1);
    let width = source.lines().last().map_or(0, |line| line.chars().count());
    if let ParseErrorType::BadInput(LexError::UnterminatedString) = error.err_type() {
        // The position is the opening quote; only a back-tick string may go on.
        let line = error.position().line().unwrap_or(1) - 1;
        let column = error.position().position().unwrap_or(1) - 1;
        let quote = source.lines().nth(line).and_then(|l| l.chars().nth(column));
        return if quote == Some('`') || source.trim_end_matches(' ').ends_with('\\') {
            Completeness::Incomplete
        } else {
            Completeness::Invalid
        };
    }
    let at_end = match (error.position().line(), error.position().position()) {
        (Some(line), Some(column)) => line == last_line && column > width,
        (Some(line), None) => line >= last_line,
        _ => true,
    };
    if at_end || *error.err_type() == ParseErrorType::UnexpectedEOF {
        Completeness::Incomplete
    } else {
        Completeness::Invalid
    }
}

/// Whether a block comment is open at the end; comments nest, and strings hide their signs.
fn open_comment(source: &str) -> bool {
    let mut depth = 0usize;
    let mut quote: Option<char> = None;
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        match (depth, quote) {
            (0, Some(open)) => {
                if c == '\\' && open != '`' {
                    chars.next();
                } else if c == open {
                    quote = None;
                }
            }
            (0, None) if c == '"' || c == '`' => quote = Some(c),
            (0, None) if c == '/' && chars.peek() == Some(&'/') => {
                while chars.next_if(|c| *c != '\n').is_some() {}
            }
            _ if c == '/' && chars.peek() == Some(&'*') => {
                chars.next();
                depth += 1;
            }
            (1.., _) if c == '*' && chars.peek() == Some(&'/') => {
                chars.next();
                depth -= 1;
            }
            _ => {}
        }
    }
    depth > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_says_whether_more_is_needed() {
        let engine = Engine::new();
        let judge = |text: &str| completeness(&engine, text);
        for text in [
            "1 +",
            "{",
            "[1,",
            "#{ a:",
            "foo(1,",
            "fn f(a,",
            "a.b.",
            "x =",
            "`open",
            "/* open",
            "if x {\n  1",
            "let s = \"a /* b\"; /* c",
        ] {
            assert_eq!(judge(text), Completeness::Incomplete, "{text}");
        }
        for text in ["1 + 2", "let x = 1;", "", "/* a */ 1", "\"/*\"", "// /*"] {
            assert_eq!(judge(text), Completeness::Complete, "{text}");
        }
        for text in ["1 + )", "let = 3", "\"open"] {
            assert_eq!(judge(text), Completeness::Invalid, "{text}");
        }
    }
}
