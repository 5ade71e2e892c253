//! Commands about names and values.

use super::{Answer, listed};
use crate::repl::prompt::{Prompt, Then};
use crate::script::{Grid, explain};

const GREETING: &str = "\
Type Rhai; the value of a line is shown, and kept as `ans` and `out(n)`. A closing `;` hides it.
`name?` explains a name, `name??` shows its source. Tab completes, Ctrl-R searches what was typed.
Ctrl-C stops what is running and keeps every value. A line that starts with `!` goes to the shell.

Commands (`%name` is `:name` too):";

pub fn help(prompt: &mut Prompt, name: &str) -> Answer {
    let session = prompt.session();
    let index = session.index();
    let text = match name {
        "" => format!("{GREETING}\n{}\n\n{}", listed(), index.overview()),
        name => match session.about(&format!("{}?", name.trim_start_matches([':', '%']))) {
            Some(told) => told?,
            None => explain(&index, name).map_err(|error| error.to_string())?,
        },
    };
    drop(session);
    prompt.tell(&text);
    Ok(Then::Go)
}

pub fn who(prompt: &mut Prompt, _: &str) -> Answer {
    let held = prompt.session().held();
    if held.is_empty() {
        prompt.say("no variables");
        return Ok(Then::Go);
    }
    let rows = held.into_iter().map(|variable| {
        let bytes = match variable.bytes {
            0 => String::new(),
            bytes => size(bytes),
        };
        vec![variable.name, variable.kind, variable.detail, bytes]
    });
    let grid = Grid::new(&["name", "type", "value", "memory"], rows.collect());
    prompt.say(&grid.to_text(prompt.screen().columns));
    Ok(Then::Go)
}

pub fn summ(prompt: &mut Prompt, expression: &str) -> Answer {
    if expression.is_empty() {
        return Err("`:summ` needs an expression, such as `:summ x`".into());
    }
    let shown = prompt.session().summarise(expression);
    match shown {
        Ok(shown) => prompt.say(&shown.to_text(&prompt.screen())),
        Err(failure) => prompt.complain(&failure),
    }
    Ok(Then::Go)
}

/// Bytes as people read them.
pub fn size(bytes: usize) -> String {
    let units = ["bytes", "kB", "MB", "GB", "TB"];
    let mut amount = bytes as f64;
    let mut unit = 0;
    while amount >= 1000.0 && unit + 1 < units.len() {
        amount /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} bytes"),
        _ => format!("{amount:.1} {}", units[unit]),
    }
}
