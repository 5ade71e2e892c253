//! A text in pieces, by Rhai's own lexer: for colours, matching brackets and completion.
//!
//! The lexer is a volatile interface of Rhai; nothing else calls it.

use rhai::{Engine, Position, Token};

/// What a piece of a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    Keyword,
    String,
    Number,
    Comment,
    /// A name that is called.
    Function,
    /// A name before `::`.
    Module,
    Name,
    /// One bracket; of `#{` and `?[` the last character is it.
    Bracket,
    Operator,
    /// What Rhai has no use for, or keeps to itself.
    Unknown,
}

/// A piece of a text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
    pub kind: SpanKind,
    /// Whether a string or a comment is closed; true of all else.
    pub closed: bool,
}

/// The pieces of a text that need not be finished; spaces belong to none.
pub fn spans(engine: &Engine, text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut from = 0;
    // The lexer loses count of lines after a string that is not closed: there it begins anew.
    while let Some(next) = pieces(engine, text, from, &mut found) {
        from = next;
    }
    name_calls(&mut found, text);
    found
}

/// Adds the pieces from a place on; where to begin anew, if the lexer stumbles.
fn pieces(engine: &Engine, text: &str, from: usize, found: &mut Vec<Span>) -> Option<usize> {
    let rest = &text[from..];
    // Without the engine's own map of tokens, which remembers the one before.
    let same = |token: Token, _: Position, _: &rhai::TokenizeState| token;
    let inputs = [rest];
    let (mut tokens, control) = engine.lex_with_map(&inputs, &same);
    tokens.state.include_comments = true;
    let mut walk = Walk::new(rest);
    // Open braces inside of each `${`.
    let mut inside: Vec<usize> = Vec::new();
    let mut done = 0;
    while let Some((token, position)) = tokens.next() {
        let start = walk.to(position);
        let end = walk.past(tokens.pos);
        // The lexer does not end by itself, least of all in an open comment.
        if token == Token::EOF || end <= done {
            break;
        }
        done = end;
        match &token {
            Token::InterpolatedString(..) => inside.push(0),
            Token::LeftBrace | Token::MapStart => {
                inside.iter_mut().rev().take(1).for_each(|n| *n += 1)
            }
            Token::RightBrace => {
                if let Some(open) = inside.last_mut() {
                    *open = open.saturating_sub(1);
                    if *open == 0 {
                        inside.pop();
                        control.borrow_mut().is_within_text = true;
                    }
                }
            }
            _ => {}
        }
        let (start, end) = (from + start, from + end);
        let is_open =
            matches!(&token, Token::LexError(_)) && text[start..].starts_with(['"', '\'']);
        if is_open && !text[start..end].ends_with(closing(&text[start..])) {
            let end = text[start..]
                .find('\n')
                .map_or(text.len(), |length| start + length);
            found.push(Span {
                start,
                end,
                kind: SpanKind::String,
                closed: false,
            });
            return (end < text.len()).then_some(end);
        }
        push(found, text, &token, start, end);
    }
    None
}

/// The quote that closes a text which begins with one.
fn closing(text: &str) -> char {
    text.chars().next().unwrap_or('"')
}

fn push(found: &mut Vec<Span>, text: &str, token: &Token, start: usize, end: usize) {
    let (kind, closed) = match token {
        // `()` is one token.
        Token::Unit => {
            for (start, end) in [(start, start + 1), (end - 1, end)] {
                found.push(Span {
                    start,
                    end,
                    kind: SpanKind::Bracket,
                    closed: true,
                });
            }
            return;
        }
        Token::Comment(comment) => {
            let is_block = comment.starts_with("/*");
            let closed = is_block && comment.len() >= 4 && comment.ends_with("*/");
            (SpanKind::Comment, closed)
        }
        Token::StringConstant(..) | Token::InterpolatedString(..) | Token::CharConstant(..) => {
            (SpanKind::String, true)
        }
        Token::LexError(_) if text[start..].starts_with(['`', '#', '"', '\'']) => {
            (SpanKind::String, false)
        }
        Token::LexError(_) => (SpanKind::Unknown, true),
        Token::IntegerConstant(..) | Token::FloatConstant(..) => (SpanKind::Number, true),
        Token::Identifier(..) => (SpanKind::Name, true),
        Token::Reserved(word) if word.as_str() == "this" => (SpanKind::Keyword, true),
        Token::Reserved(..) => (SpanKind::Unknown, true),
        Token::LeftParen
        | Token::RightParen
        | Token::LeftBracket
        | Token::RightBracket
        | Token::LeftBrace
        | Token::RightBrace
        | Token::MapStart
        | Token::QuestionBracket => (SpanKind::Bracket, true),
        word if word.is_standard_keyword() => (SpanKind::Keyword, true),
        _ => (SpanKind::Operator, true),
    };
    // A comment to the end of its line comes with the line's end.
    let end = start + text[start..end].trim_end().len();
    found.push(Span {
        start,
        end,
        kind,
        closed,
    });
}

/// Tells names that are called, and those of modules, from the others; also the words that Rhai
/// reserves but defines as functions, or that are members.
fn name_calls(found: &mut [Span], text: &str) {
    for at in 0..found.len() {
        let span = found[at];
        let is_word =
            text[span.start..span.end].starts_with(|c: char| c.is_alphabetic() || c == '_');
        let is_name = span.kind == SpanKind::Name || span.kind == SpanKind::Unknown && is_word;
        if !is_name {
            continue;
        }
        let next = found
            .get(at + 1)
            .map_or("", |next| &text[next.start..next.end]);
        let before = at
            .checked_sub(1)
            .map_or("", |before| &text[found[before].start..found[before].end]);
        found[at].kind = match (next, before) {
            ("(", _) => SpanKind::Function,
            ("::", _) => SpanKind::Module,
            (_, "." | "?." | "::") => SpanKind::Name,
            _ => span.kind,
        };
    }
}

/// From the lexer's lines and columns to bytes, forwards only.
struct Walk<'a> {
    text: &'a str,
    line: usize,
    column: usize,
    byte: usize,
}

impl<'a> Walk<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            line: 1,
            column: 1,
            byte: 0,
        }
    }

    /// The byte of a position.
    fn to(&mut self, position: Position) -> usize {
        let line = position.line().unwrap_or(1);
        let column = position.position().unwrap_or(0).max(1);
        while (self.line, self.column) < (line, column) {
            let Some(c) = self.text[self.byte..].chars().next() else {
                break;
            };
            self.byte += c.len_utf8();
            self.column += 1;
            if c == '\n' {
                (self.line, self.column) = (self.line + 1, 1);
            }
        }
        self.byte
    }

    /// The byte behind a position, which at the beginning of a line has no character yet.
    fn past(&mut self, position: Position) -> usize {
        let at = self.to(position);
        let here = self.text[at..]
            .chars()
            .next()
            .filter(|_| position.position().is_some());
        at + here.map_or(0, char::len_utf8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let all = spans(&Engine::new(), text);
        let all = all
            .iter()
            .map(|s| format!("{:?}[{}]", s.kind, &text[s.start..s.end]));
        all.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn pieces_are_what_the_lexer_says() {
        assert_eq!(
            told("let y = mx::sum(a.b, 1.5); // é"),
            "Keyword[let] Name[y] Operator[=] Module[mx] Operator[::] Function[sum] Bracket[(] Name[a] \
             Operator[.] Name[b] Operator[,] Number[1.5] Bracket[)] Operator[;] Comment[// é]"
        );
        assert_eq!(
            told("print(\"é\")"),
            "Function[print] Bracket[(] String[\"é\"] Bracket[)]"
        );
        assert_eq!(
            told("spawn @ a.var"),
            "Unknown[spawn] Unknown[@] Name[a] Operator[.] Name[var]"
        );
        assert_eq!(
            told("`a ${x + #{b: 1}} c` + d"),
            "String[`a $] Bracket[{] Name[x] Operator[+] Bracket[#{] Name[b] Operator[:] Number[1] \
             Bracket[}] Bracket[}] String[ c`] Operator[+] Name[d]"
        );
    }

    #[test]
    fn what_is_not_finished_does_not_disturb() {
        assert_eq!(told("f(\"ab"), "Function[f] Bracket[(] String[\"ab]");
        assert_eq!(
            told("\"ab\nf(1)"),
            "String[\"ab] Function[f] Bracket[(] Number[1] Bracket[)]"
        );
        assert_eq!(told("`ab\n c"), "String[`ab\n c]");
        assert_eq!(told("a /* b"), "Name[a] Comment[/* b]");
        assert_eq!(
            told("/* a\n b */ c // d\ne"),
            "Comment[/* a\n b */] Name[c] Comment[// d] Name[e]"
        );
        assert_eq!(told("'"), "String[']");
        assert_eq!(
            told("f() \"\""),
            "Function[f] Bracket[(] Bracket[)] String[\"\"]"
        );
        for text in [
            "",
            " ",
            "\n\n",
            "\"",
            "`",
            "`${",
            "`${}",
            "}",
            "#",
            "#\"",
            "a.",
            "é\u{301}'",
            "\\",
            "0x",
            "\"\\",
        ] {
            told(text);
        }
    }
}
