//! Commands about what was typed.

use super::Answer;
use crate::repl::prompt::{Prompt, Then};
use crate::session::{Session, expanded};
use std::ops::RangeInclusive;

pub fn hist(prompt: &mut Prompt, rest: &str) -> Answer {
    if let Some(text) = rest.strip_prefix("-g") {
        return Ok(Then::Search(text.trim().to_string()));
    }
    let session = prompt.session();
    let range = match rest {
        "" => 1..=usize::MAX,
        rest => range(rest)?,
    };
    let lines: Vec<String> = session
        .cells()
        .into_iter()
        .filter(|(number, _)| range.contains(number))
        .map(|(number, source)| format!("{number:>4}  {}", source.replace('\n', "\n      ")))
        .collect();
    drop(session);
    match lines.is_empty() {
        true => prompt.say("no such cells"),
        false => prompt.say(&lines.join("\n")),
    }
    Ok(Then::Go)
}

pub fn save(prompt: &mut Prompt, rest: &str) -> Answer {
    let example = "`:save 3-7 script.rhai` writes the cells 3 to 7";
    let (numbers, path) = rest.split_once(char::is_whitespace).ok_or(example)?;
    let range = range(numbers)?;
    let path = path.trim();
    let mut text = String::new();
    let mut count = 0;
    let session = prompt.session();
    for (number, source) in session.cells() {
        if range.contains(&number) {
            match session.has_failed(number) {
                true => text.push_str(&commented(source.trim_end())),
                false => text.push_str(&ended(&session, source.trim_end())),
            }
            count += 1;
        }
    }
    drop(session);
    if count == 0 {
        return Err(format!(
            "there is no cell {numbers}; `:hist` shows the cells"
        ));
    }
    let file = expanded(path);
    if file.exists() {
        return Err(format!("{path} exists; choose another name, or remove it"));
    }
    std::fs::write(&file, text).map_err(|error| format!("{path}: {error}"))?;
    prompt.say(&format!("{count} cells in {path}"));
    Ok(Then::Go)
}

pub fn edit(prompt: &mut Prompt, rest: &str) -> Answer {
    let session = prompt.session();
    let cells = session.cells();
    let text = match (rest, rest.parse::<usize>()) {
        ("", _) => cells.last().map(|(_, source)| source.to_string()),
        (_, Ok(number)) => {
            let found = cells.iter().find(|(known, _)| *known == number);
            let unknown = || format!("there is no cell {number}; `:hist` shows the cells");
            Some(found.ok_or_else(unknown)?.1.to_string())
        }
        (text, Err(_)) => Some(text.to_string()),
    };
    Ok(Then::Edit(text.unwrap_or_default()))
}

pub fn last_error(prompt: &mut Prompt, _: &str) -> Answer {
    let error = prompt.last_error().ok_or("there was no error yet")?;
    prompt.complain(&error);
    Ok(Then::Go)
}

pub fn reset(prompt: &mut Prompt, _: &str) -> Answer {
    let mut session = prompt.session();
    let count = session.variables().len();
    session.reset();
    drop(session);
    prompt.say(&format!(
        "{count} variables, functions and imports are forgotten"
    ));
    Ok(Then::Go)
}

/// A cell that ended in an error: it is kept, and not run again.
fn commented(source: &str) -> String {
    let lines = source.lines().map(|line| format!("// {line}\n"));
    format!("// ended in an error:\n{}", lines.collect::<String>())
}

/// A cell so that another may follow it: with a `;` where the parser wants one.
fn ended(session: &Session, source: &str) -> String {
    let follows = |text: &str| {
        session
            .engine()
            .compile(format!("{text}\nlet next = 0;"))
            .is_ok()
    };
    let closed = format!("{source};\n");
    match (follows(source), follows(&closed)) {
        (true, _) => format!("{source}\n"),
        // Behind a comment a `;` would be part of it.
        (false, true)
            if !source
                .lines()
                .last()
                .is_some_and(|line| line.contains("//")) =>
        {
            closed
        }
        _ => format!("{source}\n;\n"),
    }
}

/// `3`, `3-7`, `3-`.
fn range(text: &str) -> Result<RangeInclusive<usize>, String> {
    let wrong = || format!("`{text}` is no range of cells; write `3` or `3-7`");
    let number = |text: &str| text.trim().parse::<usize>().map_err(|_| wrong());
    match text.split_once('-') {
        Some((first, "")) => Ok(number(first)?..=usize::MAX),
        Some((first, last)) => Ok(number(first)?..=number(last)?),
        None => number(text).map(|one| one..=one),
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_of_cells() {
        assert_eq!(range("3"), Ok(3..=3));
        assert_eq!(range("3-7"), Ok(3..=7));
        assert_eq!(range("3-"), Ok(3..=usize::MAX));
        assert!(range("a-b").is_err() && range("-").is_err());
    }
}
