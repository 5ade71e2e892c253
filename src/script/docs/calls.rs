//! What completion and hints ask of the index: members, parameters, settings.

use super::{Entry, Index, Place};
use crate::models::Config;
use crate::script::bind::split_params;

/// The settings of each function that reads some, a line each: its name, then the keys.
///
/// `UPDATE_SNAPSHOTS=1 cargo nextest run every_bound_function` writes it from what the functions ask
/// for while the examples of the documentation run; the same test holds it true.
const SETTINGS: &str = include_str!("settings.txt");

impl Index {
    /// The function that a call means: of a module, of a type (`None` is any type), or of neither.
    pub fn function(&self, module: &str, kind: Option<Option<&str>>, name: &str) -> Option<&Entry> {
        let mut named = self.entries.iter().filter(|entry| entry.name == name);
        named.find(|entry| match (&entry.place, kind) {
            (Place::Member(of), Some(Some(kind))) => of == kind,
            (Place::Member(_), Some(None)) => true,
            (Place::Module(of), None) => of == module,
            (Place::Global, None) => module.is_empty(),
            // A method may be called as a function, with its value before the other arguments.
            _ => false,
        })
    }

    /// The declared type of a property.
    pub fn property(&self, kind: &str, name: &str) -> Option<&str> {
        let entry = self.function("", Some(Some(kind)), name)?;
        let prefix = format!("{kind}.{name} -> ");
        let mut types = entry
            .signatures
            .iter()
            .filter_map(|s| s.strip_prefix(&prefix));
        types.next()
    }

    /// The keys that the map in a call may have, which stands behind so many arguments.
    pub fn settings(&self, entry: &Entry, before: usize) -> Vec<String> {
        let params = entry.params();
        let own = params.get(before..).unwrap_or_default();
        match own.first() {
            Some(first) if first.starts_with("config:") => Config::keys(),
            // One map for all settings.
            Some(first) if first.contains("map") => self.listed(entry),
            // What has a default may be given by its name as well as by its place.
            _ if !own.iter().any(|param| param.contains('=')) => Vec::new(),
            _ => own.iter().map(|param| name_of(param).to_string()).collect(),
        }
    }

    /// The keys under a function's name, or under that of one which it is documented to follow.
    fn listed(&self, entry: &Entry) -> Vec<String> {
        let full = entry.full_name();
        let followed = entry.doc.split("ettings as for `").nth(1);
        let followed = followed.and_then(|rest| rest.split('`').next());
        let names = [Some(full.as_str()), Some(entry.name.as_str()), followed];
        let mut found = names.into_iter().flatten().map(setting_keys);
        found.find(|keys| !keys.is_empty()).unwrap_or_default()
    }
}

/// The keys that are read under a name: of a function, or of a setting that is a map itself.
pub fn setting_keys(name: &str) -> Vec<String> {
    let mut lines = SETTINGS.lines().filter_map(|line| line.split_once(": "));
    let keys = lines
        .find(|(of, _)| *of == name)
        .map_or("", |(_, keys)| keys);
    keys.split_whitespace().map(String::from).collect()
}

impl Entry {
    /// The parameters of the widest form, each with its type.
    pub fn params(&self) -> Vec<&str> {
        let widest = self.signatures.last().map_or("", String::as_str);
        let Some((_, rest)) = widest.split_once('(') else {
            return Vec::new();
        };
        let list = rest.rsplit_once(" -> ").map_or(rest, |(list, _)| list);
        split_params(list.strip_suffix(')').unwrap_or(list))
    }

    /// What is left of a call behind so many arguments, and behind the one that has begun.
    pub fn rest_of_call(&self, before: usize, begun: bool) -> Option<String> {
        let params = self.params();
        let widest = self.signatures.last()?;
        let open = params.get(before + usize::from(begun)..)?;
        let comma = if begun && !open.is_empty() { ", " } else { "" };
        let returns = widest
            .rsplit_once(") -> ")
            .map(|(_, kind)| format!(" -> {kind}"));
        Some(format!(
            "{comma}{}){}",
            open.join(", "),
            returns.unwrap_or_default()
        ))
    }
}

fn name_of(param: &str) -> &str {
    param.split([':', '=']).next().unwrap_or(param).trim()
}
