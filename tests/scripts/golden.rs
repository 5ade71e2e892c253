//! `tests/golden/*.rhai` assert inside themselves.

use crate::support::{run, scripts};

#[test]
fn golden_scripts_hold() {
    for path in scripts("tests/golden") {
        let dir = tempfile::tempdir().unwrap();
        let args = [dir.path().display().to_string()];
        if let Err(text) = run(&path, &args) {
            panic!("{}:\n{text}", path.display());
        }
    }
}
