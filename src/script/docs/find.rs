//! From a name that somebody typed to what it means.

use super::{Entry, Index, MODULES, Place, SUB_MODULES};
use crate::error::nearest;

/// What is known under a name.
pub enum Found<'a> {
    /// A module or a type: its name, what it is for, and what is in it.
    Group(String, &'static str, Vec<&'a Entry>),
    /// One or several functions of that name.
    Entries(Vec<&'a Entry>),
    /// Nothing, and a name that is like it.
    Nothing(Option<String>),
}

impl Index {
    /// Looks a name up: `softmax`, `mx::softmax`, `Tensor.shape`, `mx`, `Tensor`.
    pub fn find(&self, name: &str) -> Found<'_> {
        let name = name.trim().trim_end_matches("()").trim_end_matches("::");
        let name = name.trim_start_matches('.');
        let exact = self.entries.iter().filter(|e| e.full_name() == name);
        let exact: Vec<&Entry> = exact.collect();
        if let Some(first) = exact.first() {
            // A method that is told elsewhere is told there.
            return match first.same_as.as_deref() {
                Some(other) => self.find(other),
                None => Found::Entries(exact),
            };
        }
        if let Some((_, about)) = MODULES.iter().chain(&SUB_MODULES).find(|(m, _)| *m == name) {
            return Found::Group(name.into(), about, self.in_module(name));
        }
        let inner = |(m, _): &&(&str, &str)| m.rsplit("::").next() == Some(name);
        if let Some((module, about)) = SUB_MODULES.iter().find(inner) {
            return Found::Group((*module).into(), about, self.in_module(module));
        }
        let members = self.of_type(name);
        if !members.is_empty() {
            return Found::Group(name.into(), "", members);
        }
        let last = name.rsplit([':', '.']).next().unwrap_or(name);
        let by_name = self.entries.iter().filter(|entry| entry.name == last);
        let by_name: Vec<&Entry> = by_name.filter(|e| e.same_as.is_none()).collect();
        match by_name.is_empty() || last != name {
            false => Found::Entries(by_name),
            true => Found::Nothing(self.near(name, last)),
        }
    }

    /// What is in a module.
    pub(super) fn in_module(&self, module: &str) -> Vec<&Entry> {
        let here = Place::Module(module.into());
        self.entries.iter().filter(|e| e.place == here).collect()
    }

    /// What a type has.
    pub(super) fn of_type(&self, kind: &str) -> Vec<&Entry> {
        let here = Place::Member(kind.into());
        self.entries.iter().filter(|e| e.place == here).collect()
    }

    /// The same name elsewhere, or the nearest one.
    fn near(&self, name: &str, last: &str) -> Option<String> {
        let elsewhere = self.entries.iter().find(|entry| entry.name == last);
        if let Some(entry) = elsewhere {
            return Some(entry.full_name());
        }
        let ours = self.entries.iter().filter(|entry| !entry.is_standard);
        let full: Vec<String> = ours.clone().map(Entry::full_name).collect();
        let short = ours.map(|entry| entry.name.as_str());
        let modules = MODULES.iter().map(|(module, _)| *module);
        let known = short.chain(full.iter().map(String::as_str)).chain(modules);
        nearest(name, known)
    }

    /// How the functions of a name are called, for an error about their arguments.
    pub fn signatures_of(&self, name: &str) -> Vec<&str> {
        let named = self
            .entries
            .iter()
            .filter(|entry| match name.contains("::") {
                true => entry.full_name() == name,
                false => entry.name == name && entry.same_as.is_none(),
            });
        let mut all: Vec<&Entry> = named.collect();
        all.sort_by_key(|entry| entry.is_standard);
        let signatures = all.into_iter().flat_map(|entry| &entry.signatures);
        signatures.map(String::as_str).collect()
    }
}
