//! The line editor: several lines by the parser, history, completion of names.

use crate::error::{Error, Result};
use crate::session::{Completeness, Session, completeness};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper, Highlighter, Hinter};
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
}

impl LineEditor {
    /// An editor with the history of earlier sessions.
    pub fn new(session: Rc<RefCell<Session>>) -> Result<Self> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .history_ignore_space(true)
            .max_history_size(10_000)
            .and_then(|builder| builder.history_ignore_dups(true))
            .map_err(failed)?
            .build();
        let mut editor = Editor::with_config(config).map_err(failed)?;
        editor.set_helper(Some(Assistant { session }));
        let history = state_file("history");
        if let Some(path) = &history {
            // There is none before the first session.
            let _ = editor.load_history(path);
        }
        Ok(Self { editor, history })
    }

    /// One input, of as many lines as it needs.
    pub fn read(&mut self) -> Result<Line> {
        match self.editor.readline("> ") {
            Ok(text) => {
                let _ = self.editor.add_history_entry(text.as_str());
                // Now, so that a crash loses nothing.
                if let Some(path) = &self.history {
                    let _ = self.editor.append_history(path);
                }
                Ok(Line::Text(text))
            }
            Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
            Err(ReadlineError::Eof) => Ok(Line::End),
            Err(error) => Err(failed(error)),
        }
    }

    pub fn edit(&mut self, _: &str) -> Result<Line> {
        self.read()
    }
    pub fn search(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
    /// Writes the history.
    pub fn save(&mut self) {
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

#[derive(Helper, Highlighter, Hinter)]
struct Assistant {
    session: Rc<RefCell<Session>>,
}

impl Validator for Assistant {
    fn validate(&self, ctx: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let text = ctx.input();
        // A command is one line, and an empty line sends what there is.
        if text.trim_start().starts_with(':') || text.ends_with("\n\n") {
            return Ok(ValidationResult::Valid(None));
        }
        let session = self.session.borrow();
        Ok(match completeness(session.engine(), text) {
            Completeness::Incomplete => ValidationResult::Incomplete,
            _ => ValidationResult::Valid(None),
        })
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, names) = self.session.borrow().complete(&line[..pos]);
        let pairs = names.into_iter().map(|name| Pair {
            display: name.clone(),
            replacement: name,
        });
        Ok((start, pairs.collect()))
    }
}
