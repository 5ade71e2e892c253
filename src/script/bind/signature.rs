//! The line that says how a function is called.

use rhai::{Array as List, Dynamic, INT};
use std::any::TypeId;

/// A signature, read.
#[derive(Clone)]
pub struct Spec {
    pub(super) name: String,
    pub(super) params: Vec<Param>,
    pub(super) required: usize,
    pub(super) returns: String,
    /// The type of the first argument.
    pub(super) receiver: TypeId,
    pub(super) is_method: bool,
}

#[derive(Clone)]
pub(super) struct Param {
    pub(super) name: String,
    /// `name: type = default`, as it was written.
    pub(super) text: String,
    pub(super) kind: String,
    pub(super) default: Dynamic,
}

impl Spec {
    /// Reads a signature.
    pub fn new(signature: &str) -> Self {
        let (head, returns) = signature.rsplit_once("->").unwrap_or((signature, ""));
        let (name, list) = head.trim().split_once('(').unwrap_or((head, ""));
        let list = list.trim().strip_suffix(')').unwrap_or(list);
        let params: Vec<(Param, bool)> = split_params(list).iter().map(|p| param(p)).collect();
        Self {
            name: name.trim().into(),
            required: params.iter().filter(|(_, optional)| !optional).count(),
            params: params.into_iter().map(|(param, _)| param).collect(),
            returns: returns.trim().into(),
            receiver: TypeId::of::<Dynamic>(),
            is_method: false,
        }
    }

    /// The same, found as a method of a type.
    pub fn of<T: 'static>(self) -> Self {
        Self {
            receiver: TypeId::of::<T>(),
            is_method: true,
            ..self
        }
    }
}

/// Cuts at the commas that stand outside of brackets.
pub(in crate::script) fn split_params(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0usize, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = list[start..].trim();
    parts.extend((!last.is_empty()).then_some(last));
    parts
}

fn param(text: &str) -> (Param, bool) {
    let (head, default) = match text.split_once('=') {
        Some((head, default)) => (head.trim(), Some(default.trim())),
        None => (text, None),
    };
    let (name, kind) = head.split_once(':').unwrap_or((head, ""));
    let param = Param {
        name: name.trim().into(),
        text: text.into(),
        kind: kind.trim().into(),
        default: default.map_or(Dynamic::UNIT, value_of),
    };
    (param, default.is_some())
}

/// A default as it is written in a signature.
fn value_of(text: &str) -> Dynamic {
    if let Some(inner) = text.strip_prefix('"') {
        return inner.trim_end_matches('"').into();
    }
    if let Some(inner) = text.strip_prefix('[') {
        let items = split_params(inner.trim_end_matches(']'));
        return items.into_iter().map(value_of).collect::<List>().into();
    }
    match (text.parse::<INT>(), text.parse::<f64>()) {
        (Ok(whole), _) => whole.into(),
        (_, Ok(number)) => number.into(),
        _ => match text {
            "true" => true.into(),
            "false" => false.into(),
            _ => Dynamic::UNIT,
        },
    }
}
