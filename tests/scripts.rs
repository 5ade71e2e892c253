//! Scripts: golden ones that assert inside themselves, errors with snapshots, examples in the
//! documentation, sessions, and the program itself.

#[path = "scripts/cli.rs"]
mod cli;
#[path = "scripts/documentation.rs"]
mod documentation;
#[path = "scripts/errors.rs"]
mod errors;
#[path = "scripts/examples.rs"]
mod examples;
#[path = "scripts/golden.rs"]
mod golden;
#[path = "scripts/prompt.rs"]
mod prompt;
#[path = "scripts/reload.rs"]
mod reload;
#[path = "scripts/session.rs"]
mod session;
#[path = "scripts/support.rs"]
mod support;
