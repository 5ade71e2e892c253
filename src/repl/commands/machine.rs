//! Commands about the machine that the session runs on.

use super::Answer;
use super::values::size;
use crate::mlx::{self, memory, random};
use crate::repl::prompt::{Prompt, Then};
use crate::script::Grid;
use crate::session::expanded;
use std::process::Command;

pub fn cd(prompt: &mut Prompt, folder: &str) -> Answer {
    let target = expanded(if folder.is_empty() { "~" } else { folder });
    std::env::set_current_dir(&target).map_err(|e| format!("{}: {e}", target.display()))?;
    pwd(prompt, "")
}

pub fn pwd(prompt: &mut Prompt, _: &str) -> Answer {
    let folder = std::env::current_dir().map_err(|error| error.to_string())?;
    prompt.say(&folder.display().to_string());
    Ok(Then::Go)
}

pub fn ls(prompt: &mut Prompt, folder: &str) -> Answer {
    let entries =
        std::fs::read_dir(expanded(folder)).map_err(|error| format!("{folder}: {error}"))?;
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| {
            let slash = if entry.path().is_dir() { "/" } else { "" };
            format!("{}{slash}", entry.file_name().display())
        })
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    prompt.say(&names.join("  "));
    Ok(Then::Go)
}

pub fn mem(prompt: &mut Prompt, _: &str) -> Answer {
    let counted = memory::memory().map_err(|error| error.to_string())?;
    let mut rows = vec![
        row("arrays", counted.active),
        row("arrays, at peak", counted.peak),
        row("freed and kept for reuse", counted.cache),
    ];
    if let Some(resident) = resident() {
        rows.push(row("process, resident", resident));
    }
    let mut held = prompt.session().held();
    held.sort_by_key(|variable| std::cmp::Reverse(variable.bytes));
    let largest = held.iter().filter(|variable| variable.bytes > 0).take(5);
    rows.extend(largest.map(|v| row(&format!("  {} {}", v.name, v.detail), v.bytes)));
    prompt.say(&Grid::new(&["memory", ""], rows).to_text(prompt.screen().columns));
    Ok(Then::Go)
}

fn row(name: &str, bytes: usize) -> Vec<String> {
    vec![name.to_string(), size(bytes)]
}

/// What the process holds of the machine's memory, where the system says so in a file.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes * 1024)
}

pub fn device(prompt: &mut Prompt, name: &str) -> Answer {
    if !name.is_empty() {
        mlx::device::select(name).map_err(|error| error.to_string())?;
    }
    prompt.say(mlx::device::current().name());
    Ok(Then::Go)
}

pub fn seed(prompt: &mut Prompt, number: &str) -> Answer {
    let seed = number
        .parse()
        .map_err(|_| format!("`:seed {number}`: a seed is a whole number, at least 0"))?;
    random::seed(seed).map_err(|error| error.to_string())?;
    prompt.say(&format!("seed {seed}"));
    Ok(Then::Go)
}

pub fn shell(prompt: &mut Prompt, command: &str) -> Answer {
    if command.is_empty() {
        return Err("`!` needs a command, such as `!ls`".into());
    }
    let status = mlx::interrupt::lent(|| Command::new("sh").args(["-c", command]).status());
    let status = status.map_err(|error| format!("sh: {error}"))?;
    if !status.success() {
        prompt.say(&format!("({status})"));
    }
    Ok(Then::Go)
}

pub fn version(prompt: &mut Prompt, _: &str) -> Answer {
    prompt.say(&format!("mlx-repl {}", env!("CARGO_PKG_VERSION")));
    Ok(Then::Go)
}

pub fn quit(_: &mut Prompt, _: &str) -> Answer {
    Ok(Then::Leave)
}
