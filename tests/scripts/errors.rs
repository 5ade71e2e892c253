//! `tests/errors/*.rhai` go wrong on purpose; beside each stands what the user sees.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test` writes the files; read the difference before you commit it.

use crate::support::{root, run, scripts};

#[test]
fn errors_say_what_and_where_and_what_next() {
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let mut wrong = Vec::new();
    for path in scripts("tests/errors") {
        let Err(shown) = run(&path, &[]) else {
            panic!("{} did not fail", path.display());
        };
        let shown = shown.replace(&root().display().to_string(), "ROOT") + "\n";
        let snapshot = path.with_extension("txt");
        if update {
            std::fs::write(&snapshot, &shown).unwrap();
            continue;
        }
        let expected = std::fs::read_to_string(&snapshot).unwrap_or_default();
        if shown != expected {
            wrong.push(format!(
                "{}:\n{shown}\nexpected:\n{expected}",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
