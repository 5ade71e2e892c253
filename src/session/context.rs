//! What stands around the cursor: which names could follow, and which call it is in.

use super::spans::{Span, SpanKind, spans};
use rhai::Engine;

/// What a word at the cursor would be.
#[derive(Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// Part of a string, which begins at this byte.
    Text(usize),
    /// A name of a module: its path.
    Module(&'a str),
    /// A member: the names before it, or `None` of a value that has to be computed.
    Member(Option<Vec<&'a str>>),
    /// A key of a map.
    Key(Key<'a>),
    /// A name of its own.
    Name,
    /// A comment.
    Nothing,
}

/// A place for a key in a map.
#[derive(Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// The call that the map is given to.
    pub call: Option<Call<'a>>,
    /// The key whose value the map is.
    pub of: Option<&'a str>,
    /// Keys that are there already.
    pub given: Vec<&'a str>,
}

/// A call whose bracket is open.
#[derive(Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// The path of the module, or nothing.
    pub module: &'a str,
    pub name: &'a str,
    /// Of a method, the names before it, as in [`Place::Member`].
    pub receiver: Option<Option<Vec<&'a str>>>,
    /// How many arguments stand before the one at the cursor.
    pub before: usize,
    /// Whether the one at the cursor has begun.
    pub begun: bool,
}

impl Call<'_> {
    /// The function with what stands before it, as far as that is names.
    pub fn path(&self) -> String {
        let name = self.name;
        match &self.receiver {
            Some(Some(before)) => format!("{}.{name}", before.join(".")),
            None if !self.module.is_empty() => format!("{}::{name}", self.module),
            _ => name.to_string(),
        }
    }
}

/// A text up to the cursor, in pieces.
pub struct Head<'a> {
    text: &'a str,
    spans: Vec<Span>,
}

impl<'a> Head<'a> {
    /// Reads a text that ends at the cursor.
    pub fn new(engine: &Engine, text: &'a str) -> Self {
        let spans = spans(engine, text);
        Self { text, spans }
    }

    /// Where the word at the cursor begins, and what it would be.
    pub fn place(&self) -> (usize, Place<'a>) {
        let end = self.text.len();
        let Some(last) = self.spans.last() else {
            return (end, Place::Name);
        };
        let reaches = last.closed || self.text[last.end..].contains('\n');
        match last.kind {
            SpanKind::Comment if !reaches => return (end, Place::Nothing),
            SpanKind::String if !last.closed => return (end, Place::Text(last.start + 1)),
            _ => {}
        }
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let in_word = last.end == end
            && last.kind != SpanKind::Number
            && self.at(self.spans.len() - 1).ends_with(is_word);
        let count = self.spans.len() - usize::from(in_word);
        let start = if in_word { last.start } else { end };
        (start, self.place_behind(count))
    }

    /// What a word would be behind so many pieces.
    fn place_behind(&self, count: usize) -> Place<'a> {
        match count.checked_sub(1).map_or("", |last| self.at(last)) {
            "::" => Place::Module(self.path(count - 1)),
            "." | "?." => Place::Member(self.chain(count - 1)),
            "#{" | "," => match self.open(count) {
                Some(open) if self.at(open) == "#{" => Place::Key(self.key(open, count)),
                _ => Place::Name,
            },
            _ => Place::Name,
        }
    }

    /// Whether the last piece is the path of an import.
    pub fn is_import(&self) -> bool {
        let before = self.spans.len().checked_sub(2);
        before.is_some_and(|at| self.at(at) == "import")
    }

    /// The call that the cursor is directly in.
    pub fn call(&self) -> Option<Call<'a>> {
        let open = self.open(self.spans.len())?;
        self.call_of(open, self.spans.len())
    }

    fn at(&self, i: usize) -> &'a str {
        let text: &'a str = self.text;
        &text[self.spans[i].start..self.spans[i].end]
    }

    /// The innermost bracket that is open behind so many pieces.
    fn open(&self, count: usize) -> Option<usize> {
        let mut depth = 0usize;
        let brackets = (0..count)
            .rev()
            .filter(|i| self.spans[*i].kind == SpanKind::Bracket);
        for i in brackets {
            match self.at(i) {
                ")" | "]" | "}" => depth += 1,
                _ if depth == 0 => return Some(i),
                _ => depth -= 1,
            }
        }
        None
    }

    /// The call that a bracket opens.
    fn call_of(&self, open: usize, count: usize) -> Option<Call<'a>> {
        let name = open.checked_sub(1)?;
        if self.at(open) != "(" || self.spans[name].kind != SpanKind::Function {
            return None;
        }
        let before = name.checked_sub(1).map_or("", |i| self.at(i));
        if before == "fn" {
            return None;
        }
        let is_member = matches!(before, "." | "?.");
        let last = self.at(count - 1);
        Some(Call {
            module: if before == "::" {
                self.path(name - 1)
            } else {
                ""
            },
            name: self.at(name),
            receiver: is_member.then(|| self.chain(name - 1)),
            before: self.commas(open, count).count(),
            begun: count > open + 1 && last != ",",
        })
    }

    /// The commas directly inside of a bracket.
    fn commas(&self, open: usize, count: usize) -> impl Iterator<Item = usize> {
        let mut depth = 0usize;
        (open + 1..count).filter(move |i| {
            match (self.spans[*i].kind, self.at(*i)) {
                (SpanKind::Bracket, ")" | "]" | "}") => depth = depth.saturating_sub(1),
                (SpanKind::Bracket, _) => depth += 1,
                (_, ",") => return depth == 0,
                _ => {}
            }
            false
        })
    }

    fn key(&self, open: usize, count: usize) -> Key<'a> {
        let starts = std::iter::once(open).chain(self.commas(open, count));
        let given = starts.filter(|i| i + 2 < count && self.at(i + 2) == ":");
        let given = given.map(|i| self.at(i + 1)).collect();
        let before = open.checked_sub(1).map_or("", |i| self.at(i));
        let outer = self.open(open);
        Key {
            call: outer
                .filter(|_| matches!(before, "(" | ","))
                .and_then(|outer| self.call_of(outer, open)),
            of: (before == ":")
                .then(|| open.checked_sub(2).map(|i| self.at(i)))
                .flatten(),
            given,
        }
    }

    /// The path that ends in the `::` at a piece.
    fn path(&self, colons: usize) -> &'a str {
        let mut first = colons;
        while let Some(name) = first.checked_sub(1)
            && matches!(self.spans[name].kind, SpanKind::Module)
        {
            first = name;
            match name.checked_sub(1) {
                Some(before) if self.at(before) == "::" => first = before,
                _ => break,
            }
        }
        let text: &'a str = self.text;
        &text[self.spans[first].start..self.spans[colons].start]
    }

    /// The names before the dot at a piece, if they are names all the way.
    fn chain(&self, dot: usize) -> Option<Vec<&'a str>> {
        let mut names = Vec::new();
        let mut dot = dot;
        loop {
            let name = dot.checked_sub(1)?;
            let is_this = self.at(name) == "this";
            if self.spans[name].kind != SpanKind::Name && !is_this {
                return None;
            }
            names.insert(0, self.at(name));
            match name.checked_sub(1).map_or("", |before| self.at(before)) {
                "." | "?." => dot = name - 1,
                "::" => return None,
                _ => return Some(names),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> (String, String) {
        let engine = Engine::new();
        let (start, place) = Head::new(&engine, text).place();
        (text[start..].to_string(), format!("{place:?}"))
    }

    #[test]
    fn a_word_is_what_stands_before_it() {
        let table = [
            ("let x = so", "so", "Name"),
            ("", "", "Name"),
            ("mx::so", "so", "Module(\"mx\")"),
            ("1 + mx::random::", "", "Module(\"mx::random\")"),
            ("a.b?.c", "c", "Member(Some([\"a\", \"b\"]))"),
            ("f(1).c", "c", "Member(None)"),
            ("x[0].", "", "Member(None)"),
            ("open(\"da/fi", "", "Text(6)"),
            ("open(\"da\", fi", "fi", "Name"),
            ("x // so", "", "Nothing"),
            ("x // so\nso", "so", "Name"),
            ("/* so", "", "Nothing"),
            ("1.5", "", "Name"),
        ];
        for (text, word, expected) in table {
            let found = place(text);
            assert_eq!(
                (found.0.as_str(), found.1.as_str()),
                (word, expected),
                "{text}"
            );
        }
    }

    #[test]
    fn keys_know_their_call() {
        let engine = Engine::new();
        let key = |text| match Head::new(&engine, text).place().1 {
            Place::Key(key) => key,
            other => panic!("{text}: {other:?}"),
        };
        let found = key("model.generate(\"x\", #{ top_p: f(1, 2), te");
        let call = found.call.unwrap();
        assert_eq!((call.name, call.before), ("generate", 1));
        assert_eq!(call.receiver, Some(Some(vec!["model"])));
        assert_eq!(found.given, ["top_p"]);
        let found = key("rl::grpo(m, #{ lora: #{ ");
        assert_eq!((found.call, found.of), (None, Some("lora")));
        assert!(key("let x = #{ a").call.is_none());
        // A value is no key.
        let head = Head::new(&engine, "f(#{ a: b");
        assert_eq!(head.place().1, Place::Name);
    }

    #[test]
    fn calls_count_their_arguments() {
        let engine = Engine::new();
        let call = |text| {
            Head::new(&engine, text)
                .call()
                .map(|c| (c.module.to_string(), c.name.to_string(), c.before, c.begun))
        };
        let found = |module: &str, name: &str, before, begun| {
            Some((module.to_string(), name.to_string(), before, begun))
        };
        assert_eq!(call("mx::softmax("), found("mx", "softmax", 0, false));
        assert_eq!(call("f(a, [1, 2], "), found("", "f", 2, false));
        assert_eq!(call("f(g(1), x"), found("", "f", 1, true));
        assert_eq!(call("f(1) + "), None);
        assert_eq!(call("fn f("), None);
        assert_eq!(call("(1 + "), None);
    }
}
