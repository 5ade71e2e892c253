//! Documentation as text for a terminal, and as the pages of the reference.

use super::{Entry, Found, Index, MODULES, Place, SUB_MODULES};
use std::collections::BTreeSet;
use std::fmt::Write;

/// More entries of one name than this are listed, not told.
const MOST_TOLD: usize = 3;

impl Index {
    /// What there is, for who asks for nothing in particular.
    pub fn overview(&self) -> String {
        let mut text = String::from("Modules (`help(\"mx\")` lists one):\n");
        for (name, about) in MODULES {
            // A text is written into memory, which cannot fail; so below.
            let _ = writeln!(text, "  {:<10} {about}", format!("{name}::"));
        }
        text.push_str("\nTypes (`help(\"Tensor\")`, or `help(value)` of a value):\n");
        let _ = writeln!(text, "  {}", self.types(false).join(", "));
        let _ = writeln!(text, "  of the language: {}", self.types(true).join(", "));
        text.push_str("\nWithout a module:\n");
        for entry in self.entries() {
            if entry.place == Place::Global && !entry.is_standard {
                let _ = writeln!(text, "  {:<14} {}", entry.name, entry.summary());
            }
        }
        for (name, about) in [
            ("args", "What the script was started with, as a list."),
            ("ans", "The last value that a cell at the prompt had."),
        ] {
            let _ = writeln!(text, "  {name:<14} {about}");
        }
        text.push_str("\n`help(\"softmax\")` explains a function and shows an example.");
        text
    }

    /// The types that have documented members: Rhai's, or those of this program.
    fn types(&self, standard: bool) -> Vec<&str> {
        let members = self
            .entries()
            .iter()
            .filter_map(|entry| match &entry.place {
                Place::Member(kind) => Some((kind.as_str(), entry.is_standard)),
                _ => None,
            });
        let members: Vec<(&str, bool)> = members.collect();
        let ours: BTreeSet<&str> = members.iter().filter(|m| !m.1).map(|m| m.0).collect();
        if !standard {
            return ours.into_iter().collect();
        }
        let all: BTreeSet<&str> = members.into_iter().map(|m| m.0).collect();
        all.difference(&ours).copied().collect()
    }

    /// What was found, for a terminal.
    pub fn told(&self, found: &Found) -> String {
        match found {
            Found::Nothing(_) => String::new(),
            Found::Entries(entries) if entries.len() <= MOST_TOLD => {
                let told: Vec<String> = entries.iter().map(|entry| told(entry)).collect();
                told.join("\n\n")
            }
            Found::Entries(entries) => listed(entries, true),
            Found::Group(name, about, entries) => {
                let mut text = format!("{name}\n");
                if !about.is_empty() {
                    let _ = writeln!(text, "  {about}");
                }
                let _ = write!(text, "\n{}", listed(entries, false));
                let inner = SUB_MODULES.iter().filter(|(module, _)| {
                    let inner = module.strip_prefix(name.as_str());
                    inner.is_some_and(|rest| rest.starts_with("::"))
                });
                for (module, about) in inner {
                    let _ = write!(text, "\n  {module:<22} {about}");
                }
                text
            }
        }
    }
}

/// One line for each entry; methods that are functions of `mx` too by their names only.
fn listed(entries: &[&Entry], full: bool) -> String {
    let mut text = String::new();
    let (twins, own): (Vec<&&Entry>, Vec<&&Entry>) =
        entries.iter().partition(|entry| entry.same_as.is_some());
    for entry in own {
        let name = if full {
            entry.full_name()
        } else {
            entry.name.clone()
        };
        let _ = writeln!(text, "  {name:<22} {}", entry.summary());
    }
    if !twins.is_empty() {
        let names: Vec<&str> = twins.iter().map(|entry| entry.name.as_str()).collect();
        let _ = write!(text, "\n  and the functions of mx: {}", names.join(", "));
    }
    text.trim_end().into()
}

fn told(entry: &Entry) -> String {
    let mut text = entry.signatures.join("\n");
    if entry.is_method_too {
        let _ = write!(text, "\n(also a method of tensors: {})", as_method(entry));
    }
    for line in entry.doc.lines() {
        let _ = match line.is_empty() {
            true => writeln!(text),
            false => write!(text, "\n  {line}"),
        };
    }
    for example in &entry.examples {
        text.push_str("\n\n  Example:");
        for line in example.lines() {
            let _ = write!(text, "\n    {line}");
        }
    }
    text
}

fn as_method(entry: &Entry) -> String {
    let alone = entry.signatures.iter().all(|s| !s.contains(','));
    let rest = if alone { "" } else { ".." };
    format!("a.{}({rest})", entry.name)
}

/// The pages of the reference by file name, Rhai's own functions left out.
pub fn pages(index: &Index) -> Vec<(String, String)> {
    let mut list = String::from(
        "# Reference\n\nMade from the documentation in the program, which `help(\"name\")` at the \
         prompt and `mlx-repl doc NAME` show too.\n",
    );
    let mut pages = Vec::new();
    list.push_str("\n## Modules\n\n");
    for (module, about) in MODULES {
        let _ = writeln!(list, "- [`{module}::`]({module}.md): {about}");
        let mut text = format!("# `{module}::`\n\n{about}\n");
        section(&mut text, &index.in_module(module));
        for (inner, about) in SUB_MODULES {
            if inner.starts_with(&format!("{module}::")) {
                let _ = write!(text, "\n# `{inner}::`\n\n{about}\n");
                section(&mut text, &index.in_module(inner));
            }
        }
        pages.push((format!("{module}.md"), text));
    }
    list.push_str("\n## Types\n\n");
    for kind in index.types(false) {
        let members = index.of_type(kind);
        let ours: Vec<&Entry> = members.into_iter().filter(|e| !e.is_standard).collect();
        let _ = writeln!(list, "- [`{kind}`](types/{kind}.md)");
        let mut text = format!("# `{kind}`\n");
        section(&mut text, &ours);
        // Apart: `plot` and `Plot` are one file name on many disks.
        pages.push((format!("types/{kind}.md"), text));
    }
    let global = index.entries().iter().filter(|e| e.place == Place::Global);
    let global: Vec<&Entry> = global.filter(|e| !e.is_standard).collect();
    let mut text = String::from("# Without a module\n");
    section(&mut text, &global);
    list.push_str("\n## [Without a module](global.md)\n");
    pages.push(("global.md".into(), text));
    pages.push(("README.md".into(), list));
    pages
}

fn section(page: &mut String, entries: &[&Entry]) {
    let (twins, own): (Vec<&&Entry>, Vec<&&Entry>) =
        entries.iter().partition(|entry| entry.same_as.is_some());
    for entry in own {
        let _ = write!(
            page,
            "\n## {}\n\n```text\n{}\n```\n",
            entry.name,
            entry.signatures.join("\n")
        );
        let _ = write!(page, "\n{}\n", entry.doc);
        if entry.is_method_too {
            let _ = write!(
                page,
                "\nAlso a method of tensors: `{}`.\n",
                as_method(entry)
            );
        }
        for example in &entry.examples {
            let _ = write!(page, "\n```rhai\n{example}```\n");
        }
    }
    if !twins.is_empty() {
        page.push_str("\n## Functions of `mx` that are methods too\n\n");
        let names: Vec<String> = twins.iter().map(|e| format!("`{}`", e.name)).collect();
        let _ = writeln!(page, "{}", names.join(", "));
    }
}
