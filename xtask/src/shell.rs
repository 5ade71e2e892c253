//! Running other programs, and saying what is going on in one line a step.

use crate::Outcome;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The root of the checkout: the folder above this crate.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies inside the workspace")
        .to_path_buf()
}

/// Runs a program with its output shown, and fails with its name if it fails.
pub fn run(command: &mut Command) -> Outcome {
    let status = command
        .status()
        .map_err(|e| format!("cannot start {}: {e}", line(command)))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} failed ({status})", line(command)))
    }
}

/// Runs a program and returns what it wrote on standard output; its errors become the message.
pub fn output(command: &mut Command) -> Outcome<String> {
    let out = command
        .output()
        .map_err(|e| format!("cannot start {}: {e}", line(command)))?;
    if out.status.success() {
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    } else {
        let errors = String::from_utf8_lossy(&out.stderr);
        Err(format!("{} failed:\n{}", line(command), errors.trim_end()))
    }
}

/// A `cargo` command in the root of the checkout.
pub fn cargo(args: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // Cargo set it for this program; a build script that looks at it would run again, and all that is
    // built on it.
    command.env_remove("CARGO_MANIFEST_DIR");
    command.args(args).current_dir(root());
    command
}

/// Does one step and prints it with the time that it took.
pub fn step<T>(name: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let start = Instant::now();
    let result = work()?;
    println!("{name} ({:.1} s)", start.elapsed().as_secs_f64());
    Ok(result)
}

fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .take(4)
            .map(|arg| arg.to_string_lossy().into_owned()),
    );
    format!("`{}`", words.join(" "))
}
