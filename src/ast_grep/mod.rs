//! Code found by the shape of its syntax tree: the patterns of ast-grep in five languages.

use crate::error::{Error, Result};
use ast_grep_core::tree_sitter::StrDoc;
use ast_grep_core::{AstGrep, Language as _, Pattern};
use ast_grep_language::SupportLang;

/// A language that patterns and code are written in: what users call it, and its grammar.
#[derive(Clone, Copy, Debug)]
pub struct Language {
    name: &'static str,
    aliases: &'static [&'static str],
    grammar: SupportLang,
}

const LANGUAGES: [Language; 5] = [
    Language {
        name: "javascript",
        aliases: &["js", "jsx", "mjs", "cjs"],
        grammar: SupportLang::JavaScript,
    },
    Language {
        name: "typescript",
        aliases: &["ts", "mts", "cts"],
        grammar: SupportLang::TypeScript,
    },
    Language {
        name: "tsx",
        aliases: &[],
        grammar: SupportLang::Tsx,
    },
    Language {
        name: "rust",
        aliases: &["rs"],
        grammar: SupportLang::Rust,
    },
    Language {
        name: "python",
        aliases: &["py"],
        grammar: SupportLang::Python,
    },
];

impl Language {
    /// The language of a name or an alias, in letters of either case.
    ///
    /// # Errors
    /// An unknown name; all that are known are listed.
    pub fn named(name: &str) -> Result<Self> {
        let known = |language: &&Self| {
            let mut names = std::iter::once(&language.name).chain(language.aliases);
            names.any(|known| known.eq_ignore_ascii_case(name))
        };
        LANGUAGES.iter().find(known).copied().ok_or_else(|| {
            let names = LANGUAGES.map(|language| match language.aliases {
                [] => format!("\"{}\"", language.name),
                aliases => format!("\"{}\" ({})", language.name, aliases.join(", ")),
            });
            let expected = format!("one of {}", names.join(", "));
            Error::value("language", format!("{name:?}"), &expected)
        })
    }
}

/// Code that a pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The matched code.
    pub text: String,
    /// Where it begins, in characters from 0.
    pub start: usize,
    /// Where it ends: the character behind its last.
    pub end: usize,
}

/// ast-grep converts and compares trees by recursion, and a stack has an end. A pattern that a
/// person means is a few dozen levels deep, code a few hundred (each term of `a + b + ..` is one).
const DEEPEST_PATTERN: usize = 250;
const DEEPEST_CODE: usize = 2000;

type Tree = AstGrep<StrDoc<SupportLang>>;
type Node<'a> = ast_grep_core::Node<'a, StrDoc<SupportLang>>;

/// All matches of a pattern, in the order in which they begin; those inside of others too.
///
/// # Errors
/// An invalid pattern; code that is nested too deep.
pub fn find(pattern: &str, code: &str, language: Language) -> Result<Vec<Match>> {
    let pattern = compile(pattern, language)?;
    let tree = parse("code", code, language)?;
    if deeper_than(&tree, DEEPEST_CODE) {
        let found = format!("code nested deeper than {DEEPEST_CODE} levels");
        return Err(Error::value("code", found, "less nesting"));
    }
    let characters = Characters::of(code);
    let root = tree.root();
    let matches = root.find_all(&pattern).map(|found| {
        let range = found.range();
        Match {
            text: found.text().into_owned(),
            start: characters.before(range.start),
            end: characters.before(range.end),
        }
    });
    Ok(matches.collect())
}

/// Nothing if a pattern can be searched for.
///
/// # Errors
/// What is wrong with it.
pub fn check(pattern: &str, language: Language) -> Result<()> {
    compile(pattern, language).map(|_| ())
}

/// A pattern, ready to match. ast-grep itself takes a pattern with a syntax error inside and lets it
/// match whatever looks alike; here it is wrong.
fn compile(source: &str, language: Language) -> Result<Pattern> {
    let wrong = |reason: String| Error::Pattern {
        pattern: source.to_string(),
        language: language.name,
        reason,
    };
    // In languages whose names cannot hold a `$`, metavariables begin with another character, one
    // for one, so that positions are those of the source.
    let processed = language.grammar.pre_process_pattern(source);
    let tree = parse("pattern", &processed, language)?;
    if deeper_than(&tree, DEEPEST_PATTERN) {
        return Err(wrong(format!(
            "it is nested deeper than {DEEPEST_PATTERN} levels"
        )));
    }
    if let Some(reason) = syntax_error(&tree, &processed, source) {
        return Err(wrong(reason));
    }
    Pattern::try_new(source, language.grammar).map_err(|error| {
        let reason = error.to_string().replace(&*processed, source);
        wrong(reason.trim_end_matches('.').to_string())
    })
}

fn parse(what: &'static str, source: &str, language: Language) -> Result<Tree> {
    // Positions of the parser are 32-bit numbers.
    if u32::try_from(source.len()).is_err() {
        let found = format!("{} bytes", source.len());
        return Err(Error::value(what, found, "less than 4 GiB"));
    }
    let tree = StrDoc::try_new(source, language.grammar)
        .map_err(|reason| Error::value(what, reason, "text that can be parsed"))?;
    Ok(AstGrep::doc(tree))
}

fn deeper_than(tree: &Tree, most: usize) -> bool {
    let mut cursor = tree.root().get_inner_node().walk();
    let mut depth = 0;
    loop {
        if cursor.goto_first_child() {
            depth += 1;
            if depth > most {
                return true;
            }
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return false;
            }
            depth -= 1;
        }
    }
}

/// The first place that does not follow the grammar, in words.
fn syntax_error(tree: &Tree, processed: &str, source: &str) -> Option<String> {
    let mut root = tree.root();
    // ast-grep looks for what is inside of wrappers with one child. Around an expression, which is no
    // whole program in Rust, that is an error's node.
    while let Some(only) = only_child(&root) {
        root = only;
    }
    let bad = root.dfs().find(is_bad)?;
    let characters = Characters::of(processed);
    let start = characters.before(bad.range().start);
    if bad.is_missing() {
        return Some(format!(
            "syntax error: `{}` is missing at character {start}",
            bad.kind()
        ));
    }
    let length = characters.before(bad.range().end) - start;
    let text: String = source.chars().skip(start).take(length).collect();
    Some(format!("syntax error at character {start}, in `{text}`"))
}

fn only_child<'a>(node: &Node<'a>) -> Option<Node<'a>> {
    let mut children = node.children();
    let first = children.next()?;
    children.all(|other| other.is_missing()).then_some(first)
}

fn is_bad(node: &Node) -> bool {
    if node.is_error() {
        // Of `struct $NAME { $$$FIELDS }` the parser would have `$$$FIELDS: TYPE`; ast-grep takes it.
        return node.lang().extract_meta_var(&node.text()).is_none();
    }
    // A pattern may leave the last semicolon to the code: `$X.unwrap()` is an expression.
    node.is_missing() && node.kind() != ";"
}

/// Positions in characters from positions in bytes.
struct Characters(Option<Vec<usize>>);

impl Characters {
    fn of(text: &str) -> Self {
        // In plain ASCII they are the same.
        Self((!text.is_ascii()).then(|| text.char_indices().map(|(byte, _)| byte).collect()))
    }

    /// The number of characters that begin before a byte.
    fn before(&self, byte: usize) -> usize {
        match &self.0 {
            None => byte,
            Some(begins) => begins.partition_point(|begin| *begin < byte),
        }
    }
}

#[cfg(test)]
mod tests;
