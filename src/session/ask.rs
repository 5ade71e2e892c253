//! `x?` and `x??`: what a name is, and how it is written.

use super::Session;
use super::spans::{SpanKind, spans};
use crate::script::docs::Place;
use crate::script::{STDLIB, explain, kind_of};
use rhai::{Array, Dynamic, FnPtr, Map};

/// The name that a line asks about, and whether it asks for the source.
///
/// `name?`, `name??`, `?name` and `??name`; Rhai's `a?.b` and `a ?? b` are none of them.
pub fn asked(line: &str) -> Option<(&str, bool)> {
    let line = line.trim();
    let (name, marks) = match line.strip_suffix('?') {
        Some(_) => (
            line.trim_end_matches('?'),
            line.len() - line.trim_end_matches('?').len(),
        ),
        None => (
            line.trim_start_matches('?'),
            line.len() - line.trim_start_matches('?').len(),
        ),
    };
    let is_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.');
    let named =
        name.starts_with(|c: char| c.is_alphabetic() || c == '_') && name.chars().all(is_path);
    (named && (1..=2).contains(&marks)).then_some((name, marks == 2))
}

impl Session {
    /// The answer to a line that asks about a name, if it is one.
    ///
    /// The error is that of a name which nothing has.
    pub fn about(&self, line: &str) -> Option<Result<String, String>> {
        let (name, wants_source) = asked(line)?;
        let explained = self.documentation(name);
        Some(match self.source_of(name).filter(|_| wants_source) {
            Some(source) => Ok(source),
            None if wants_source && self.variable(name).is_none() => {
                explained.map(|text| format!("{text}\n\n(native: its source is no script)"))
            }
            None => explained,
        })
    }

    fn variable(&self, name: &str) -> Option<Dynamic> {
        let constant = || self.host.names.borrow().constants.get(name).cloned();
        self.scope.get(name).cloned().or_else(constant)
    }

    fn documentation(&self, name: &str) -> Result<String, String> {
        let index = self.index();
        let told = |name: &str| explain(&index, name).map_err(|error| error.to_string());
        if let Some(value) = self.variable(name) {
            if let Some(function) = value.read_lock::<FnPtr>().filter(|f| !f.is_anonymous()) {
                return told(function.fn_name());
            }
            let kind = kind_of(&self.engine, &value);
            let first = format!("{name}: {kind}{}", self.size(&value));
            // What the language's own types can do is long, and known; others may have no methods.
            let here = Place::Member(kind.clone());
            let members = index.entries().iter().filter(|entry| entry.place == here);
            let standard: Vec<bool> = members.map(|entry| entry.is_standard).collect();
            let is_ours = !standard.is_empty() && !standard.contains(&true);
            let more = match is_ours {
                true => told(&kind).unwrap_or_default(),
                false => format!("`help({name})` lists what can be done with it"),
            };
            return Ok(format!("{first}\n\n{more}"));
        }
        // Of a member of a variable, that of its type is told.
        if let Some((receiver, member)) = name.rsplit_once('.')
            && let Some(kind) = self.known_type(&receiver.split('.').collect::<Vec<_>>())
        {
            return told(&format!("{kind}.{member}"));
        }
        told(name)
    }

    /// The shape or the length of a value, where that is known at once.
    fn size(&self, value: &Dynamic) -> String {
        let count = |count: usize| format!(" of {count}");
        if let Some(list) = value.read_lock::<Array>() {
            return count(list.len());
        }
        if let Some(map) = value.read_lock::<Map>() {
            return count(map.len());
        }
        let mut value = value.clone();
        let shape = self
            .engine
            .eval_fn_call::<Array>("get$shape", Some(&mut value), ());
        let sizes = shape.map(|sizes| sizes.iter().map(ToString::to_string).collect::<Vec<_>>());
        sizes.map_or(String::new(), |sizes| format!(" [{}]", sizes.join(", ")))
    }

    /// The text of a function of a script, with its documentation, all forms of it.
    fn source_of(&self, name: &str) -> Option<String> {
        let function = self.variable(name).and_then(|value| {
            let function = value.read_lock::<FnPtr>()?;
            Some(function.fn_name().to_string())
        });
        let name = function.as_deref().unwrap_or(name);
        let last = name.rsplit([':', '.']).next().unwrap_or(name);
        let own = self.homes.get(last).filter(|_| !name.contains("::"));
        let source = own.cloned().or_else(|| {
            let names = self.host.names.borrow();
            let mut imported = names.modules.iter().rev();
            let home = imported.find(|home| home.ast.iter_functions().any(|f| f.name == last))?;
            home.ast.source().map(String::from)
        })?;
        let text = match self.sources.get(&source) {
            Some(text) => text.clone(),
            None => match STDLIB.iter().find(|(name, _)| *name == source) {
                Some((_, text)) => text.to_string(),
                None => std::fs::read_to_string(&source).ok()?,
            },
        };
        let found = functions(&self.engine, &text, last);
        (!found.is_empty()).then(|| format!("// {source}\n{}", found.join("\n\n")))
    }
}

/// The functions of a name in a script, each with the comments before it.
fn functions(engine: &rhai::Engine, text: &str, name: &str) -> Vec<String> {
    let all = spans(engine, text);
    let at = |i: usize| all.get(i).map_or("", |span| &text[span.start..span.end]);
    let starts = (0..all.len())
        .filter(|i| all[*i].kind == SpanKind::Keyword && at(*i) == "fn" && at(i + 1) == name);
    let found = starts.filter_map(|at_fn| {
        let mut first = at_fn;
        while let Some(before) = first.checked_sub(1)
            && (all[before].kind == SpanKind::Comment || at(before) == "private")
        {
            first = before;
        }
        let mut depth = 0usize;
        for (i, span) in all.iter().enumerate().skip(at_fn) {
            match (span.kind, at(i)) {
                (SpanKind::Bracket, "{" | "#{") => depth += 1,
                (SpanKind::Bracket, "}") if depth <= 1 => {
                    return Some(text[all[first].start..span.end].to_string());
                }
                (SpanKind::Bracket, "}") => depth -= 1,
                _ => {}
            }
        }
        None
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_told_from_operators() {
        let table = [
            ("softmax?", Some(("softmax", false))),
            (" mx::softmax?? ", Some(("mx::softmax", true))),
            ("?Tensor.shape", Some(("Tensor.shape", false))),
            ("??f", Some(("f", true))),
            ("a ?? b", None),
            ("a?.b", None),
            ("a???", None),
            ("?a?", None),
            ("a ??", None),
            ("f(x)?", None),
            ("1?", None),
            ("?", None),
            ("", None),
            ("a\n?", None),
        ];
        for (line, expected) in table {
            assert_eq!(asked(line), expected, "{line}");
        }
    }

    #[test]
    fn sources_are_whole_functions_with_their_comments() {
        let text = "let x = 1;\n/// Twice.\nfn f(a) { if a { #{b: `}${a}`} } else { 2 } }\nfn g() {}\nprivate fn f() {}";
        let found = functions(&rhai::Engine::new(), text, "f");
        assert_eq!(
            found[0],
            "/// Twice.\nfn f(a) { if a { #{b: `}${a}`} } else { 2 } }"
        );
        assert_eq!(found[1], "private fn f() {}");
    }
}
