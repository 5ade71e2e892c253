//! What may stand where the cursor is, for completion at a prompt and in a notebook.

use super::Session;
use crate::script::docs::{Index, MODULES};
use crate::script::kind_of;
use rhai::Map;

/// Words of the language that begin something.
const KEYWORDS: [&str; 18] = [
    "break", "catch", "const", "continue", "do", "else", "false", "fn", "for", "if", "import",
    "let", "loop", "return", "throw", "true", "try", "while",
];

impl Session {
    /// Where the word that `head` ends in begins, and the names that continue it.
    ///
    /// After `mx::` they are those of the module, after `x.` those of the type of `x`.
    pub fn complete(&self, head: &str) -> (usize, Vec<String>) {
        let start = word_start(head);
        let (before, word) = head.split_at(start);
        let index = Index::new(self.engine());
        let mut names = if let Some(path) = before.strip_suffix("::") {
            let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            index.names_in(&path[last_run(path, is_path)..])
        } else if let Some(value) = before.strip_suffix('.') {
            self.members(&index, value.trim_end_matches('?'))
        } else if word.is_empty() {
            Vec::new()
        } else {
            let mut names = index.global_names();
            names.extend(self.variables());
            names.extend(self.host.names.borrow().constants.keys().cloned());
            names.extend(MODULES.iter().map(|(module, _)| format!("{module}::")));
            names.extend(KEYWORDS.map(String::from));
            names
        };
        names.retain(|name| name.starts_with(word));
        names.sort();
        names.dedup();
        (start, names)
    }

    /// The members of a variable's type, and the keys of a map; of every type where the value is
    /// not known before it is computed.
    fn members(&self, index: &Index, expression: &str) -> Vec<String> {
        let variable = &expression[word_start(expression)..];
        let is_alone = !expression[..expression.len() - variable.len()].ends_with(['.', ':']);
        let value = self.scope.get(variable).filter(|_| is_alone);
        let Some(value) = value else {
            return index.members_of(None);
        };
        let mut names = index.members_of(Some(&kind_of(self.engine(), value)));
        if let Some(map) = value.read_lock::<Map>() {
            names.extend(map.keys().map(ToString::to_string));
        }
        names
    }
}

fn word_start(text: &str) -> usize {
    last_run(text, |c| c.is_alphanumeric() || c == '_')
}

/// Where the characters of a kind begin that `text` ends in.
fn last_run(text: &str, of_kind: impl Fn(char) -> bool) -> usize {
    text.trim_end_matches(of_kind).len()
}
