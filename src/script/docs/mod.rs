//! Every function with its documentation, in one index: `help`, `mlx-repl doc`, the reference
//! and completion all read it.
//!
//! The index is made from what is registered in the engine, so that nothing can be in one and not
//! in the other.

mod calls;
mod entry;
mod find;
mod page;
mod types;

pub use calls::setting_keys;
pub use entry::{Entry, Place};
pub use find::Found;
pub use page::pages;
pub use types::friendly;

use entry::Part;
use rhai::Engine;
use std::collections::{BTreeMap, HashSet};

/// The modules that are there without an import, and what is in them.
pub const MODULES: [(&str, &str); 12] = [
    (
        "ast_grep",
        "Code found by the shape of its syntax tree: patterns in five languages.",
    ),
    ("cache", "Keys and values of past tokens, and their files."),
    ("data", "Rows for training: from csv, jsonl or a script."),
    ("lm", "Language models and tokenizers."),
    (
        "mx",
        "Arrays: the functions of `mlx.core` under their names, and gradients.",
    ),
    (
        "nn",
        "Layers, activations and losses as functions of tensors.",
    ),
    (
        "optim",
        "Optimisers, learning-rate schedules and the clipping of gradients.",
    ),
    (
        "plot",
        "Curves, histograms, heat maps and bars, in the terminal, as SVG and as PNG.",
    ),
    (
        "rl",
        "Reinforcement learning: the GRPO trainer and its parts.",
    ),
    ("sampling", "Filters of log-probabilities before a draw."),
    ("sft", "Supervised fine-tuning."),
    ("text", "What models write, taken apart."),
];

/// Modules inside of modules.
pub const SUB_MODULES: [(&str, &str); 6] = [
    ("mx::fast", "The fused operations of transformers."),
    ("mx::fft", "Fourier transforms."),
    ("mx::linalg", "Linear algebra, computed on the CPU."),
    ("mx::random", "Random numbers, by key or by seed."),
    ("nn::init", "First values of parameters."),
    ("rl::rewards", "Rewards to build from."),
];

/// All entries, by place and name.
pub struct Index {
    entries: Vec<Entry>,
}

impl Index {
    /// Reads what is registered, with Rhai's own functions.
    #[allow(deprecated)] // Rhai marks its volatile interfaces so.
    pub fn new(engine: &Engine) -> Self {
        let key = |f: &rhai::FuncInfo| {
            let params: Vec<&str> = f.metadata.params_info.iter().map(AsRef::as_ref).collect();
            format!("{} {} {}", f.namespace, f.metadata.name, params.join(", "))
        };
        let ours = engine.collect_fn_metadata(None, |f| Some(key(&f)), false);
        let ours: HashSet<String> = ours.into_iter().collect();
        let part = |f: rhai::FuncInfo| {
            let is_standard = !ours.contains(&key(&f));
            Part::new(&f, is_standard)
        };
        let mut groups: BTreeMap<(Place, String), Vec<Part>> = BTreeMap::new();
        for part in engine.collect_fn_metadata(None, part, true) {
            let group = groups.entry((part.place.clone(), part.name.clone()));
            group.or_default().push(part);
        }
        let mut entries: Vec<Entry> = groups
            .into_iter()
            .map(|((place, name), parts)| Entry::new(place, name, parts))
            .collect();
        entry::join_methods(&mut entries);
        Self { entries }
    }

    /// All entries, Rhai's own among them.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The names in a module, its modules with `::` behind them.
    pub fn names_in(&self, module: &str) -> Vec<String> {
        let here = Place::Module(module.into());
        let functions = self.entries.iter().filter(|entry| entry.place == here);
        let mut names: Vec<String> = functions.map(|entry| entry.name.clone()).collect();
        let inner = SUB_MODULES.iter().filter_map(|(name, _)| {
            let inner = name.strip_prefix(module)?.strip_prefix("::")?;
            Some(format!("{inner}::"))
        });
        names.extend(inner);
        names
    }

    /// The methods and properties of a type, or of every type.
    pub fn members_of(&self, kind: Option<&str>) -> Vec<String> {
        let of_type = |entry: &&Entry| match (&entry.place, kind) {
            (Place::Member(of), Some(kind)) => of == kind,
            // Rhai's own functions are methods of their first argument.
            (Place::Global, Some(kind)) => entry.is_standard && entry.takes_first(kind),
            (Place::Member(_), None) => true,
            _ => false,
        };
        let members = self.entries.iter().filter(of_type);
        let names = members.filter(|entry| !entry.name.starts_with('['));
        let mut names: Vec<String> = names.map(|entry| entry.name.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The names that need neither module nor value.
    pub fn global_names(&self) -> Vec<String> {
        let global = self.entries.iter().filter(|e| e.place == Place::Global);
        global.map(|entry| entry.name.clone()).collect()
    }
}
