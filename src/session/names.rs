//! What may stand where the cursor is, for completion at a prompt and in a notebook.
//!
//! Nothing is called for it but native properties, on values that have a name.

use super::context::{Call, Head, Key, Place};
use super::{Session, paths};
use crate::script::docs::{Entry, Index, MODULES, setting_keys};
use crate::script::kind_of;
use rhai::{Dynamic, Map};

/// Words of the language that begin something.
const KEYWORDS: [&str; 18] = [
    "break", "catch", "const", "continue", "do", "else", "false", "fn", "for", "if", "import",
    "let", "loop", "return", "throw", "true", "try", "while",
];

/// What is known of a value without computing it.
enum Known {
    Value(Dynamic),
    Kind(String),
}

impl Session {
    /// Where the word that `head` ends in begins, and the names that continue it.
    ///
    /// After `mx::` they are those of the module, after `x.` those of the type of `x`, in the map of
    /// a call its settings, in a string the files.
    pub fn complete(&self, head: &str) -> (usize, Vec<String>) {
        let around = Head::new(&self.engine, head);
        let (start, place) = around.place();
        let word = &head[start..];
        let index = self.index();
        let mut names = match place {
            Place::Text(start) => {
                let (within, names) = match around.is_import() {
                    true => paths::complete_import(&head[start..]),
                    false => paths::complete(&head[start..]),
                };
                return (start + within, names);
            }
            Place::Module(path) => index.names_in(path),
            Place::Member(chain) => self.members(&index, chain.as_deref()),
            Place::Key(key) => self.keys(&index, &key),
            Place::Name if !word.is_empty() => self.all_names(&index),
            Place::Name | Place::Nothing => Vec::new(),
        };
        names.retain(|name| name.starts_with(word));
        names.sort();
        names.dedup();
        (start, names)
    }

    /// What is left to write of the call that `head` ends in: `axis: integer = -1) -> Tensor`.
    pub fn signature(&self, head: &str) -> Option<String> {
        let around = Head::new(&self.engine, head);
        // Nothing is said into a text or a comment.
        if matches!(around.place().1, Place::Text(_) | Place::Nothing) {
            return None;
        }
        let call = around.call()?;
        let index = self.index();
        let entry = self.function(&index, &call)?;
        entry.rest_of_call(call.before, call.begun)
    }

    /// The function whose call `head` ends in, under a name that can be asked about, and whether a key of its
    /// settings would come next.
    pub fn called(&self, head: &str) -> Option<(String, bool)> {
        let around = Head::new(&self.engine, head);
        match around.place().1 {
            Place::Key(key) => Some((key.call?.path(), true)),
            _ => Some((around.call()?.path(), false)),
        }
    }

    fn all_names(&self, index: &Index) -> Vec<String> {
        let mut names = index.global_names();
        names.extend(self.scope.iter_raw().map(|(name, ..)| name.to_string()));
        names.extend(self.host.names.borrow().constants.keys().cloned());
        names.extend(MODULES.iter().map(|(module, _)| format!("{module}::")));
        names.extend(self.aliases().map(|alias| format!("{alias}::")));
        names.extend(KEYWORDS.map(String::from));
        names
    }

    /// The members of a value's type, and the keys of a map; of every type where the value is not
    /// known before it is computed.
    fn members(&self, index: &Index, chain: Option<&[&str]>) -> Vec<String> {
        let known = chain.and_then(|chain| self.known(index, chain));
        let value = match known {
            None => return index.members_of(None),
            Some(Known::Kind(kind)) => return index.members_of(Some(&kind)),
            Some(Known::Value(value)) => value,
        };
        let mut names = index.members_of(Some(&kind_of(&self.engine, &value)));
        if let Some(map) = value.read_lock::<Map>() {
            // Others are reached by `m["key"]`.
            let is_name = |key: &str| key.chars().all(|c| c.is_alphanumeric() || c == '_');
            let keys = map.keys().map(ToString::to_string);
            names.extend(keys.filter(|key| is_name(key)));
        }
        names
    }

    /// The settings of the call that a map is given to, without those that it has.
    fn keys(&self, index: &Index, key: &Key) -> Vec<String> {
        let of_call = key.call.as_ref().and_then(|call| {
            let entry = self.function(index, call)?;
            Some(index.settings(entry, call.before))
        });
        let keys = of_call.or_else(|| key.of.map(setting_keys));
        let keys = keys.unwrap_or_default().into_iter();
        let open = keys.filter(|name| !key.given.contains(&name.as_str()));
        open.map(|name| format!("{name}: ")).collect()
    }

    /// The function that is called.
    fn function<'i>(&self, index: &'i Index, call: &Call) -> Option<&'i Entry> {
        let kind = call.receiver.as_ref().map(|chain| {
            let known = self.known(index, chain.as_deref()?)?;
            Some(match known {
                Known::Value(value) => kind_of(&self.engine, &value),
                Known::Kind(kind) => kind,
            })
        });
        let kind = kind.as_ref().map(Option::as_deref);
        index.function(call.module, kind, call.name)
    }

    /// What a variable, or a property of one, is.
    pub(super) fn known_type(&self, chain: &[&str]) -> Option<String> {
        Some(match self.known(&self.index(), chain)? {
            Known::Value(value) => kind_of(&self.engine, &value),
            Known::Kind(kind) => kind,
        })
    }

    fn known(&self, index: &Index, chain: &[&str]) -> Option<Known> {
        let (first, rest) = chain.split_first()?;
        match self.scope.get(first) {
            Some(value) => self.follow(index, value, rest),
            None => self.follow(index, self.host.names.borrow().constants.get(*first)?, rest),
        }
    }

    /// From a value along keys of maps and native properties. A property whose declared type is
    /// enough is not read.
    fn follow(&self, index: &Index, value: &Dynamic, rest: &[&str]) -> Option<Known> {
        let Some((name, rest)) = rest.split_first() else {
            // Handles are cheap to copy; of a list the type is enough.
            return Some(match value.is_array() {
                true => Known::Kind("list".into()),
                false => Known::Value(value.clone()),
            });
        };
        if let Some(map) = value.read_lock::<Map>() {
            return self.follow(index, map.get(*name)?, rest);
        }
        let declared = index.property(&kind_of(&self.engine, value), name)?;
        if declared != "value" {
            return follow_kind(index, declared, rest);
        }
        let (getter, mut value) = (format!("get${name}"), value.clone());
        let read = self
            .engine
            .eval_fn_call::<Dynamic>(getter, Some(&mut value), ());
        self.follow(index, &read.ok()?, rest)
    }
}

/// From a type along the declared types of properties.
fn follow_kind(index: &Index, kind: &str, rest: &[&str]) -> Option<Known> {
    match rest.split_first() {
        None => Some(Known::Kind(kind.to_string())),
        Some((name, rest)) => {
            let declared = index.property(kind, name).filter(|kind| *kind != "value")?;
            follow_kind(index, declared, rest)
        }
    }
}
