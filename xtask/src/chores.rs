//! The chores that build and run the crate itself.

use crate::Outcome;
use crate::shell::{cargo, run};

/// Builds the release binary and runs `scripts/quickstart.rhai`.
pub fn quickstart() -> Outcome {
    run(&mut cargo(&["build", "--release"]))?;
    run(&mut cargo(&[
        "run",
        "--release",
        "--quiet",
        "--",
        "run",
        "scripts/quickstart.rhai",
    ]))
}

/// Format, clippy and documentation, each with warnings denied.
pub fn check() -> Outcome {
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    run(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))?;
    run(cargo(&[
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ])
    .env("RUSTDOCFLAGS", "--deny warnings"))
}

/// Everything that must hold: `check`, then all tests (tidy, golden scripts, examples included).
pub fn test() -> Outcome {
    check()?;
    run(&mut cargo(&["test", "--workspace"]))
}
