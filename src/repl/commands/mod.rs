//! What begins with `:` (or `%`) at the prompt: one table, from which help and completion are made.

mod cells;
mod files;
mod machine;
mod timing;
mod values;

use super::prompt::{Prompt, Then};
use crate::error::nearest;

/// What a command answers: what comes next, or what was wrong.
pub(super) type Answer = Result<Then, String>;

/// A command.
pub struct Command {
    pub name: &'static str,
    /// Other names of it.
    pub also: &'static [&'static str],
    /// What follows the name.
    pub takes: &'static str,
    pub about: &'static str,
    run: fn(&mut Prompt, &str) -> Answer,
}

/// Every command, in the order of the help.
pub const COMMANDS: [Command; 23] = [
    command(
        "help",
        &["h", "?"],
        "[NAME]",
        "what there is, or what a name is",
        values::help,
    ),
    command(
        "who",
        &["whos"],
        "",
        "the variables, with type and size",
        values::who,
    ),
    command(
        "summ",
        &[],
        "EXPR",
        "statistics of a tensor, the weights of a model, rows of a dataset",
        values::summ,
    ),
    command(
        "time",
        &[],
        "EXPR",
        "evaluate once, with everything that waits; time and memory",
        timing::time,
    ),
    command(
        "timeit",
        &[],
        "EXPR",
        "evaluate for about a second; mean, deviation and best",
        timing::timeit,
    ),
    command(
        "hist",
        &["history"],
        "[N-M] [-g TEXT]",
        "the cells of this session; with -g, of all sessions",
        cells::hist,
    ),
    command(
        "save",
        &[],
        "N-M FILE",
        "write cells into a script",
        cells::save,
    ),
    command(
        "edit",
        &["e"],
        "[N | TEXT]",
        "the last cell, or another, in $EDITOR",
        cells::edit,
    ),
    command("tb", &[], "", "the last error again", cells::last_error),
    command(
        "reset",
        &[],
        "",
        "forget variables, functions and imports",
        cells::reset,
    ),
    command(
        "run",
        &[],
        "FILE [ARGS]",
        "run a script here; its variables stay",
        files::run,
    ),
    command(
        "load",
        &[],
        "FILE",
        "a script as the next input, to be looked at",
        files::load,
    ),
    command(
        "reload",
        &["r"],
        "",
        "run and import again what has changed",
        files::reload,
    ),
    command(
        "autoreload",
        &[],
        "[on|off]",
        "do that before every cell",
        files::autoreload,
    ),
    command(
        "cd",
        &[],
        "[FOLDER]",
        "change the working folder",
        machine::cd,
    ),
    command("pwd", &[], "", "the working folder", machine::pwd),
    command("ls", &[], "[FOLDER]", "what is in a folder", machine::ls),
    command(
        "mem",
        &[],
        "",
        "memory of arrays and of the process",
        machine::mem,
    ),
    command(
        "device",
        &[],
        "[cpu|gpu]",
        "where MLX computes",
        machine::device,
    ),
    command("seed", &[], "N", "seed what is random", machine::seed),
    command(
        "sh",
        &[],
        "COMMAND",
        "the same as !COMMAND: run it in the shell",
        machine::shell,
    ),
    command(
        "version",
        &[],
        "",
        "the version of mlx-repl",
        machine::version,
    ),
    command(
        "quit",
        &["q", "exit"],
        "",
        "leave (also Ctrl-D)",
        machine::quit,
    ),
];

const fn command(
    name: &'static str,
    also: &'static [&'static str],
    takes: &'static str,
    about: &'static str,
    run: fn(&mut Prompt, &str) -> Answer,
) -> Command {
    Command {
        name,
        also,
        takes,
        about,
        run,
    }
}

/// Names and what they are for, for completion.
pub fn names() -> Vec<(&'static str, &'static str)> {
    COMMANDS.iter().map(|c| (c.name, c.about)).collect()
}

/// Runs a command: its name, and what stands behind it.
pub(super) fn dispatch(prompt: &mut Prompt, text: &str) -> Answer {
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let found = COMMANDS
        .iter()
        .find(|command| command.name == name || command.also.contains(&name));
    match found {
        Some(command) => (command.run)(prompt, rest.trim()),
        None => {
            let near = nearest(name, COMMANDS.iter().map(|c| c.name));
            let near = near.map_or_else(String::new, |near| format!("did you mean `:{near}`? "));
            Err(format!(
                "unknown command `:{name}`; {near}:help lists the commands"
            ))
        }
    }
}

/// The list of commands.
pub(super) fn listed() -> String {
    let lines = COMMANDS.iter().map(|command| {
        let called = format!(":{} {}", command.name, command.takes);
        format!("  {called:<26} {}", command.about)
    });
    lines.collect::<Vec<_>>().join("\n")
}
