//! The line editor: one input of as many lines as it needs, and the history of all sessions.

use super::assistant::{Assistant, Commands};
use super::highlight::PROMPT;
use super::{elsewhere, keys};
use crate::error::{Error, Result};
use crate::mlx::interrupt;
use crate::session::Session;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

/// What the user entered.
pub enum Line {
    Text(String),
    /// Ctrl-C at the prompt.
    Interrupted,
    /// Ctrl-D.
    End,
}

/// rustyline with the session's knowledge.
pub struct LineEditor {
    editor: Editor<Assistant, FileHistory>,
    history: Option<PathBuf>,
    ended: keys::Ended,
}

impl LineEditor {
    /// An editor with the history of earlier sessions, and the front end's commands to complete.
    pub fn new(session: Rc<RefCell<Session>>, commands: Commands) -> Result<Self> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .bracketed_paste(true)
            .history_ignore_space(true)
            .max_history_size(10_000)
            .and_then(|builder| builder.history_ignore_dups(true))
            .map_err(failed)?
            .build();
        let mut editor = Editor::with_config(config).map_err(failed)?;
        editor.set_helper(Some(Assistant::new(session, commands)));
        let ended = keys::bind(&mut editor);
        let history = state_file("history");
        if let Some(path) = &history {
            // There is none before the first session.
            let _ = editor.load_history(path);
        }
        Ok(Self {
            editor,
            history,
            ended,
        })
    }

    /// An input that begins as a text, or else as the last input, edited in the user's own editor.
    /// What was saved there is there to be looked at before it is sent.
    ///
    /// # Errors
    /// An editor that does not run or ends with a failure.
    pub fn edit(&mut self, initial: &str) -> Result<Line> {
        let edited = elsewhere::edit(&self.or_last(initial))?;
        self.read(edited)
    }

    /// One input, of as many lines as it needs, which begins as a text.
    pub fn read(&mut self, mut initial: String) -> Result<Line> {
        loop {
            let editor = &mut self.editor;
            let read = interrupt::idle(|| editor.readline_with_initial(&PROMPT, (&initial, "")));
            match read {
                Ok(_) if self.ended.by_interrupt() => return Ok(Line::Interrupted),
                Ok(text) if self.ended.for_editor() => {
                    initial = self.or_last(&text);
                    match elsewhere::edit(&initial) {
                        Ok(edited) => initial = edited,
                        Err(error) => eprintln!("error: {error}"),
                    }
                }
                Ok(text) => {
                    self.remember(&text);
                    return Ok(Line::Text(text));
                }
                Err(ReadlineError::Interrupted) => return Ok(Line::Interrupted),
                Err(ReadlineError::Eof) => return Ok(Line::End),
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// The inputs of all sessions that hold a text.
    pub fn search(&self, text: &str) -> Vec<String> {
        let inputs = self.editor.history().iter();
        inputs
            .filter(|input| input.contains(text))
            .cloned()
            .collect()
    }

    /// A text, or the last input that is no command.
    fn or_last(&self, text: &str) -> String {
        if !text.trim().is_empty() {
            return text.to_string();
        }
        let mut inputs = self.editor.history().iter().rev();
        let last = inputs.find(|input| !input.starts_with([':', '%']));
        last.cloned().unwrap_or_default()
    }

    /// Appends to the history, at once, so that a crash loses nothing. What another session has
    /// written meanwhile stays.
    fn remember(&mut self, text: &str) {
        // The history serves the user; that it cannot be written is no reason to stop.
        let _ = self.editor.add_history_entry(text.trim_end());
        if let Some(path) = &self.history {
            let _ = self.editor.append_history(path);
        }
    }
}

pub(super) fn failed(error: ReadlineError) -> Error {
    Error::Unsupported(format!("the terminal cannot be read: {error}"))
}

/// `$XDG_STATE_HOME/mlx-repl/NAME`, or the same below `~/.local/state`.
pub(super) fn state_file(name: &str) -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    let folder = state.join("mlx-repl");
    std::fs::create_dir_all(&folder).ok()?;
    let path = folder.join(name);
    if !path.exists() {
        std::fs::File::create(&path).ok()?;
    }
    Some(path)
}
