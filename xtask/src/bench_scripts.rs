//! `cargo xtask bench scripts`: a script of small array experiments against the same in Python's
//! MLX, a reward against the same in CPython, and what one bound operation costs beyond mlx-rs.

use crate::Outcome;
use crate::bench::{median, our_program, peer_python};
use crate::shell::{output, root, step};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const REPEATS: &str = "10";
/// How often the sides take turns.
const ROUNDS: usize = 3;
/// How often one operation is done.
const OPERATIONS: &str = "20000";

/// Measures with a peer's Python, or one that is installed below `native/`.
pub fn run(python: Option<&str>) -> Outcome {
    let python = peer_python(python)?;
    let ours = step("building the benchmark", || our_program("scripts"))?;
    println!("\nthe median of {ROUNDS} turns of {REPEATS}:\n");
    println!("| script | mlx-repl | Python | ratio |\n|---|---|---|---|");
    for name in ["arrays", "reward"] {
        let (us, peer) = turns(&ours, &python, name)?;
        let (us, peer) = (median(us) * 1e3, median(peer) * 1e3);
        println!(
            "| {name}.rhai | {us:.2} ms | {peer:.2} ms | {:.2} |",
            peer / us
        );
    }
    let text = output(Command::new(&ours).args(["overhead", OPERATIONS, "5"]))?;
    let rows: Value = serde_json::from_str(&text).map_err(|e| format!("`{text}`: {e}"))?;
    println!(
        "\nnanoseconds of one operation on [4, 4], not computed; a script's less its empty loop:\n"
    );
    println!("| operation | mlx-rs | script | more |\n|---|---|---|---|");
    for (name, row) in rows.as_object().into_iter().flatten() {
        let number = |key: &str| row[key].as_f64().unwrap_or(f64::NAN);
        let (native, script) = (number("mlx-rs"), number("script"));
        println!(
            "| `{name}` | {native:.0} | {script:.0} | {:.0} |",
            script - native
        );
    }
    Ok(())
}

/// Seconds of a script here and of the same in Python, in turns.
fn turns(ours: &Path, python: &Path, name: &str) -> Outcome<(Vec<f64>, Vec<f64>)> {
    let folder = root().join("xtask/bench");
    let (mut us, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut command = Command::new(ours);
        command.arg("run").arg(folder.join(format!("{name}.rhai")));
        let (seconds, found) = measured(command.arg(REPEATS))?;
        us.extend(seconds);
        let mut command = Command::new(python);
        command.arg(folder.join(format!("{name}.py")));
        let (seconds, theirs) = measured(command.args(["--repeat", REPEATS]))?;
        peer.extend(seconds);
        same(&found, &theirs)?;
    }
    Ok((us, peer))
}

/// Seconds of the repeats, and what was computed.
fn measured(command: &mut Command) -> Outcome<(Vec<f64>, Vec<f64>)> {
    let text = output(command)?;
    let line = text.lines().last().unwrap_or_default();
    let json: Value = serde_json::from_str(line).map_err(|e| format!("`{line}`: {e}"))?;
    let numbers = |key: &str| -> Vec<f64> {
        let list = json[key].as_array().into_iter().flatten();
        list.filter_map(Value::as_f64).collect()
    };
    Ok((numbers("seconds"), numbers("found")))
}

/// A comparison of speed means nothing unless both did the same.
fn same(ours: &[f64], theirs: &[f64]) -> Outcome {
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-3 * b.abs().max(1e-2);
    match ours.len() == theirs.len() && ours.iter().zip(theirs).all(close) {
        true => Ok(()),
        false => Err(format!(
            "the results differ: {ours:?} here, {theirs:?} in Python"
        )),
    }
}
