//! One documented name.

use super::types;
use rhai::FuncInfo;

/// Where a name is found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Everywhere: `tensor(..)`.
    Global,
    /// In a module: `mx::sum(..)`.
    Module(String),
    /// On values of a type: `a.sum()`, `a.shape`.
    Member(String),
}

/// A function, method or property, with all forms of calling it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub place: Place,
    pub name: String,
    /// How it is called, the shortest form first.
    pub signatures: Vec<String>,
    /// What it does, without the examples.
    pub doc: String,
    /// Scripts that show it, each complete in itself.
    pub examples: Vec<String>,
    /// Whether it is Rhai's own.
    pub is_standard: bool,
    /// For a method: the same function in a module.
    pub same_as: Option<String>,
    /// For a function of a module: whether it is a method of tensors as well.
    pub is_method_too: bool,
}

/// Whether two texts have most of the shorter one in common, from the start.
fn begin_alike(a: &str, b: &str) -> bool {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let shorter = a.len().min(b.len());
    shorter > 0 && same * 5 >= shorter.min(60) * 4
}

impl Entry {
    /// Whether a value of this type may be its first argument.
    pub(super) fn takes_first(&self, kind: &str) -> bool {
        self.signatures.iter().any(|signature| {
            let arguments = signature.split_once('(').map_or("", |(_, rest)| rest);
            let first = arguments.split([',', ')']).next().unwrap_or_default();
            let of = first.split_once(": ").map_or("", |(_, of)| of);
            of == kind && self.name.starts_with(char::is_alphabetic)
        })
    }

    pub(super) fn new(place: Place, name: String, mut parts: Vec<Part>) -> Self {
        parts.sort_by_key(|part| part.signature.len());
        let mut entry = Self {
            place,
            name,
            signatures: Vec::new(),
            doc: String::new(),
            examples: Vec::new(),
            is_standard: parts.iter().all(|part| part.is_standard),
            same_as: None,
            is_method_too: false,
        };
        for part in parts {
            // A function that a session defines anew comes before its older forms.
            if entry.signatures.contains(&part.signature) {
                continue;
            }
            entry.signatures.push(part.signature);
            if begin_alike(&entry.doc, &part.doc) {
                // A short form says the same in fewer words.
                if part.doc.len() > entry.doc.len() {
                    entry.doc = part.doc;
                }
            } else if !entry.doc.contains(&part.doc) {
                let gap = if entry.doc.is_empty() || part.doc.is_empty() {
                    ""
                } else {
                    "\n\n"
                };
                entry.doc = format!("{}{gap}{}", entry.doc, part.doc);
            }
            let new = part.examples.into_iter();
            entry.examples.extend(new);
        }
        entry.examples.dedup();
        entry
    }

    /// The name with its module or type: `mx::sum`, `Tensor.shape`, `tensor`.
    pub fn full_name(&self) -> String {
        match &self.place {
            Place::Global => self.name.clone(),
            Place::Module(module) => format!("{module}::{}", self.name),
            Place::Member(kind) if self.name.starts_with('[') => format!("{kind}{}", self.name),
            Place::Member(kind) => format!("{kind}.{}", self.name),
        }
    }

    /// The first sentence.
    pub fn summary(&self) -> String {
        let text = self.doc.split("\n\n").next().unwrap_or_default();
        let text = text.replace('\n', " ");
        let mut ends = text.match_indices(". ").map(|(end, _)| end);
        match ends.find(|end| !text[..*end].ends_with("et al")) {
            Some(end) => text[..=end].to_string(),
            None => text,
        }
    }
}

/// A method of tensors that is a function of `mx` too is told once.
pub(super) fn join_methods(entries: &mut [Entry]) {
    let tensor = Place::Member("Tensor".into());
    let mx = Place::Module("mx".into());
    for at in 0..entries.len() {
        if entries[at].place != tensor {
            continue;
        }
        let twin = entries.iter().position(|entry| {
            entry.place == mx && entry.name == entries[at].name && entry.doc == entries[at].doc
        });
        if let Some(twin) = twin {
            entries[twin].is_method_too = true;
            entries[at].same_as = Some(entries[twin].full_name());
        }
    }
}

/// One registered form of a name.
pub(super) struct Part {
    pub(super) place: Place,
    pub(super) name: String,
    signature: String,
    doc: String,
    examples: Vec<String>,
    is_standard: bool,
}

impl Part {
    /// Reads what Rhai knows of a function; `None` for operators, closures and the like.
    pub(super) fn new(info: &FuncInfo, is_standard: bool) -> Option<Self> {
        let metadata = &info.metadata;
        let params = metadata.params_info.iter().map(|p| p as &str);
        let params: Vec<&str> = params.filter(|p| !p.starts_with("ctx:")).collect();
        let (accessor, name) = match metadata.name.split_once('$') {
            Some(("get", name)) => (Accessor::Getter, name),
            Some(("set", name)) => (Accessor::Setter, name),
            Some(("index", "get$")) => (Accessor::Index, "[i]"),
            Some(("index", "set$")) => (Accessor::IndexSetter, "[i]"),
            Some(_) => return None,
            None => (Accessor::None, metadata.name.as_str()),
        };
        let named = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !named && accessor == Accessor::None {
            return None;
        }
        let receiver = params.first().and_then(|p| types::receiver(p));
        let place = match (info.namespace.as_str(), receiver) {
            ("", Some(kind)) => Place::Member(kind),
            ("", None) => Place::Global,
            (module, _) => Place::Module(module.into()),
        };
        let comments: Vec<&str> = match &info.script {
            Some(function) => function.comments.to_vec(),
            None => metadata.comments.iter().map(AsRef::as_ref).collect(),
        };
        let (doc, examples) = split_comments(&comments.join("\n"));
        // Shorter forms, operators and printing are registered without documentation; functions
        // of a script have at least names for their parameters.
        let is_bare = params.is_empty() && info.script.is_none();
        if doc.is_empty() && (is_standard || is_bare || params.iter().any(|p| p.starts_with('_'))) {
            return None;
        }
        let returns = types::friendly(&metadata.return_type);
        let returns = match returns.as_str() {
            "()" | "" => String::new(),
            kind => format!(" -> {kind}"),
        };
        let list = |from: usize| {
            let rest = params.iter().skip(from);
            rest.map(|p| types::param(p)).collect::<Vec<_>>().join(", ")
        };
        let signature = match (&place, accessor) {
            (Place::Member(kind), Accessor::Getter) => format!("{kind}.{name}{returns}"),
            (Place::Member(kind), Accessor::Setter) => format!("{kind}.{name} = {}", list(1)),
            (Place::Member(kind), Accessor::Index) => format!("{kind}[{}]{returns}", list(1)),
            (Place::Member(kind), Accessor::IndexSetter) => {
                let index = params.get(1).map(|p| types::param(p)).unwrap_or_default();
                format!("{kind}[{index}] = {}", list(2))
            }
            (Place::Member(kind), Accessor::None) => format!("{kind}.{name}({}){returns}", list(1)),
            (Place::Module(module), _) => format!("{module}::{name}({}){returns}", list(0)),
            (Place::Global, _) => format!("{name}({}){returns}", list(0)),
        };
        Some(Self {
            place,
            name: name.into(),
            signature,
            doc,
            examples,
            is_standard,
        })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Accessor {
    None,
    Getter,
    Setter,
    Index,
    IndexSetter,
}

/// The text of doc comments, and the scripts fenced in it.
fn split_comments(comments: &str) -> (String, Vec<String>) {
    let (mut doc, mut examples, mut open) = (Vec::new(), Vec::new(), None);
    for line in comments.lines() {
        let line = line.trim_start();
        let line = line.trim_start_matches("///").trim_start_matches("//!");
        let line = line.strip_prefix(' ').unwrap_or(line);
        match (&mut open, line.trim()) {
            (None, fence) if fence.starts_with("```rhai") => open = Some(String::new()),
            (Some(_), "```") => examples.extend(open.take()),
            (Some(script), _) => {
                script.push_str(line);
                script.push('\n');
            }
            (None, "# Example" | "# Examples" | "/**" | "*/") => {}
            (None, _) => doc.push(line),
        }
    }
    let doc = doc.join("\n");
    (doc.trim().replace("\n\n\n", "\n\n"), examples)
}
