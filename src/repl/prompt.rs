//! What is done with an input, whoever typed it.

use super::commands;
use super::wrap::{error_text, wrapped};
use crate::script::Screen;
use crate::session::{Failure, Kind, Outcome, Session};
use std::cell::{RefCell, RefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// What comes after an input.
pub enum Then {
    /// The next input.
    Go,
    Leave,
    /// This text as the next input, in an editor first.
    Edit(String),
    /// This text as the next input, at the prompt.
    Fill(String),
    /// Inputs of all sessions that hold this text.
    Search(String),
}

/// Where text goes.
pub type Say = Rc<dyn Fn(&str)>;

/// A session behind a prompt.
pub struct Prompt {
    session: Rc<RefCell<Session>>,
    out: Say,
    err: Say,
    /// Whether what has changed is run and imported again before every cell.
    pub autoreload: bool,
    /// Where errors are shown, if not where values are.
    pub error_screen: Option<Screen>,
    last_error: Option<Failure>,
}

impl Prompt {
    /// A prompt that shows values by `out` and errors by `err`.
    pub fn new(session: Rc<RefCell<Session>>, out: Say, err: Say) -> Self {
        Self {
            session,
            out,
            err,
            autoreload: false,
            error_screen: None,
            last_error: None,
        }
    }

    /// The session; nobody else has it while a command runs.
    pub(super) fn session(&self) -> RefMut<'_, Session> {
        self.session.borrow_mut()
    }

    pub(super) fn screen(&self) -> Screen {
        self.session.borrow().screen
    }

    pub(super) fn say(&self, text: &str) {
        (self.out)(text);
    }

    /// Says something in sentences.
    pub(super) fn tell(&self, text: &str) {
        self.say(&wrapped(text, self.screen().columns));
    }

    pub(super) fn last_error(&self) -> Option<Failure> {
        self.last_error.clone()
    }

    /// Shows an error, and keeps it.
    pub(super) fn complain(&mut self, failure: &Failure) {
        let screen = self.error_screen.unwrap_or_else(|| self.screen());
        (self.err)(&error_text(failure, &screen));
        self.last_error = Some(failure.clone());
    }

    /// Shows what a cell came to.
    pub(super) fn show(&self, outcome: Outcome) {
        if let Some(shown) = outcome.shown {
            self.say(&shown.to_text(&self.screen()));
        }
    }

    /// Takes an input: a command, a question about a name, or a cell. A fault of ours costs the input, and
    /// not the session.
    pub fn enter(&mut self, text: &str) -> Then {
        match catch_unwind(AssertUnwindSafe(|| self.take(text))) {
            Ok(then) => then,
            Err(panic) => {
                self.complain(&Failure::panic(&*panic));
                Then::Go
            }
        }
    }

    fn take(&mut self, text: &str) -> Then {
        let trimmed = text.trim();
        let command = match trimmed.strip_prefix([':', '%']) {
            Some(command) => Some(command.trim_start_matches('%').to_string()),
            None => trimmed.strip_prefix('!').and_then(shell),
        };
        if let Some(command) = command {
            return commands::dispatch(self, &command).unwrap_or_else(|reason| {
                (self.err)(&format!("error: {reason}"));
                Then::Go
            });
        }
        let about = self.session.borrow().about(trimmed);
        match about {
            Some(Ok(told)) => self.tell(&told),
            Some(Err(reason)) => (self.err)(&format!("error: {reason}")),
            None if trimmed.is_empty() => {}
            None => return self.evaluate(text),
        }
        Then::Go
    }

    fn evaluate(&mut self, text: &str) -> Then {
        if self.autoreload {
            let done = self.session().reload();
            match done {
                Ok(done) => done.iter().for_each(|line| self.say(&format!("({line})"))),
                Err(failure) => {
                    self.complain(&failure);
                    if failure.kind == Kind::Interrupted {
                        return Then::Go;
                    }
                }
            }
        }
        let outcome = self.session().cell(text);
        match outcome {
            Ok(outcome) => self.show(outcome),
            Err(failure) if matches!(failure.kind, Kind::Exit(_)) => return Then::Leave,
            Err(failure) => self.complain(&failure),
        }
        Then::Go
    }
}

/// The command of a line that begins with `!`. `!(x)` is Rhai's negation; `!x` would be too, but a value
/// is seldom asked for by its contrary, and a program often by its name.
fn shell(rest: &str) -> Option<String> {
    let is_rhai = rest.starts_with(['(', '[', '!', '"', '`']) || rest.is_empty();
    (!is_rhai).then(|| format!("sh {rest}"))
}
