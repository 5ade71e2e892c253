//! A line for a script that asks for one.

use super::editor::{failed, state_file};
use crate::error::{Error, Result};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use std::cell::RefCell;
use std::io::{BufRead, IsTerminal, Write};

thread_local! {
    /// Kept from line to line, with its history.
    static EDITOR: RefCell<Option<Editor<(), FileHistory>>> = const { RefCell::new(None) };
}

/// Asks for a line: with editing and history at a terminal, else the next line of standard input.
/// `None` is its end.
///
/// # Errors
/// [`Error::Interrupted`]; a terminal that cannot be read.
pub fn input(prompt: &str) -> Result<Option<String>> {
    if !std::io::stdin().is_terminal() {
        return next_line(prompt);
    }
    EDITOR.with_borrow_mut(|slot| {
        let editor = match slot {
            Some(editor) => editor,
            None => slot.insert(editor()?),
        };
        match editor.readline(prompt) {
            Ok(text) => {
                let _ = editor.add_history_entry(text.as_str());
                if let Some(path) = state_file("input") {
                    let _ = editor.append_history(&path);
                }
                Ok(Some(text))
            }
            Err(ReadlineError::Interrupted) => Err(Error::Interrupted),
            Err(ReadlineError::Eof) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    })
}

fn editor() -> Result<Editor<(), FileHistory>> {
    let config = Config::builder()
        .max_history_size(1000)
        .and_then(|builder| builder.history_ignore_dups(true))
        .map_err(failed)?
        .build();
    let mut editor = Editor::with_config(config).map_err(failed)?;
    if let Some(path) = state_file("input") {
        // There is none before the first line.
        let _ = editor.load_history(&path);
    }
    Ok(editor)
}

fn next_line(prompt: &str) -> Result<Option<String>> {
    let mut out = std::io::stdout().lock();
    // Whoever does not read the prompt can still answer it.
    let _ = out.write_all(prompt.as_bytes()).and_then(|()| out.flush());
    let mut text = String::new();
    let read = std::io::stdin().lock().read_line(&mut text);
    let length = read.map_err(Error::io("standard input"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    Ok((length > 0).then(|| text.to_string()))
}
