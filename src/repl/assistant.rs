//! What the session tells the line editor while somebody types.

use super::colours;
use super::highlight::{matching, paint, paint_command, paint_hint};
use crate::session::{Completeness, Session, asked, complete_path, completeness, spans};
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hint, Hinter};
use rustyline::history::SearchDirection;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Context, Helper, Result};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The commands of the front end: name without the colon, and what it does.
pub type Commands = Vec<(&'static str, &'static str)>;

/// The session, as rustyline asks it.
#[derive(Helper)]
pub struct Assistant {
    pub session: Rc<RefCell<Session>>,
    pub commands: Commands,
    /// Whether a pair of brackets is marked on the screen.
    marked: Cell<bool>,
    /// Whether the line is final, and marks would stay in the scrolled text.
    is_final: Cell<bool>,
}

impl Assistant {
    /// An assistant that knows the session and the commands.
    pub fn new(session: Rc<RefCell<Session>>, commands: Commands) -> Self {
        Self {
            session,
            commands,
            marked: Cell::new(false),
            is_final: Cell::new(false),
        }
    }

    /// The commands that begin so; behind a command, names or files.
    fn complete_command(&self, head: &str) -> (usize, Vec<String>) {
        let Some(space) = head.rfind(char::is_whitespace) else {
            let names = self.commands.iter().map(|(name, _)| (*name).to_string());
            return (
                1,
                names.filter(|name| name.starts_with(&head[1..])).collect(),
            );
        };
        let behind = |at: usize| at + head[at..].chars().next().map_or(1, char::len_utf8);
        let word = behind(space);
        let of_files = [":run", ":load", ":cd", ":ls", ":save", ":sh", "!"];
        if !of_files.iter().any(|name| head.starts_with(name)) {
            // What stands behind the name of a command is Rhai, or a name of it.
            let rest = head.find(char::is_whitespace).map_or(word, behind);
            let (within, names) = self.session.borrow().complete(&head[rest..]);
            if !names.is_empty() {
                return (rest + within, names);
            }
        }
        let (within, files) = complete_path(&head[word..]);
        (word + within, files)
    }
}

/// A line for the front end, not for Rhai.
fn is_command(text: &str) -> bool {
    text.starts_with([':', '%', '!'])
}

/// The Rhai behind a command that evaluates it, which may take several lines.
fn timed(text: &str) -> Option<&str> {
    let command = text.trim_start().strip_prefix([':', '%'])?;
    let names = ["timeit ", "time ", "summ "];
    names.iter().find_map(|name| command.strip_prefix(name))
}

impl Validator for Assistant {
    fn validate(&self, ctx: &mut ValidationContext) -> Result<ValidationResult> {
        let text = ctx.input();
        // A command and a question are one line, and an empty line sends what there is.
        let sends = text
            .rsplit_once('\n')
            .is_some_and(|(_, last)| last.trim().is_empty());
        let rhai = timed(text).unwrap_or(text);
        if is_command(rhai.trim_start()) || asked(text).is_some() || sends {
            return Ok(ValidationResult::Valid(None));
        }
        let session = self.session.borrow();
        Ok(match completeness(session.engine(), rhai) {
            Completeness::Incomplete => ValidationResult::Incomplete,
            _ => ValidationResult::Valid(None),
        })
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context) -> Result<(usize, Vec<Pair>)> {
        let head = &line[..pos];
        let (start, names) = match head.starts_with([':', '%']) {
            true => self.complete_command(head),
            false => self.session.borrow().complete(head),
        };
        let pairs = names.into_iter().map(|name| Pair {
            display: name.clone(),
            replacement: name,
        });
        Ok((start, pairs.collect()))
    }
}

/// What is shown behind the cursor, and what Right takes of it.
pub struct Suggestion {
    shown: String,
    taken: Option<String>,
}

impl Hint for Suggestion {
    fn display(&self) -> &str {
        &self.shown
    }

    fn completion(&self) -> Option<&str> {
        self.taken.as_deref()
    }
}

/// Longer hints would push the line about.
const LONGEST_HINT: usize = 100;

fn shortened(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let mut shown: String = first.chars().take(LONGEST_HINT).collect();
    if shown.len() < text.len() {
        shown.push_str(" ..");
    }
    shown
}

impl Hinter for Assistant {
    type Hint = Suggestion;

    /// The rest of an earlier line that begins so, else the rest of the call's signature.
    fn hint(&self, line: &str, pos: usize, ctx: &Context) -> Option<Suggestion> {
        // What is not told from what was typed says that it was.
        if pos < line.len() || line.trim().is_empty() || !colours(&std::io::stdout()) {
            return None;
        }
        let history = ctx.history();
        let last = history.len().checked_sub(1);
        let from = last.map(|last| ctx.history_index().min(last));
        let earlier = from.and_then(|from| {
            let found = history.starts_with(line, from, SearchDirection::Reverse);
            found.ok().flatten().filter(|found| found.entry != line)
        });
        if let Some(found) = earlier {
            let rest = &found.entry[line.len()..];
            return Some(Suggestion {
                shown: shortened(rest),
                taken: Some(rest.to_string()),
            });
        }
        if is_command(line) {
            return None;
        }
        let signature = self.session.borrow().signature(line)?;
        Some(Suggestion {
            shown: shortened(&signature),
            taken: None,
        })
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, pos: usize) -> Cow<'l, str> {
        if is_command(line) {
            return paint_command(line).into();
        }
        let spans = spans(self.session.borrow().engine(), line);
        let matched = matching(line, &spans, pos).filter(|_| !self.is_final.get());
        self.marked.set(matched.is_some());
        paint(line, &spans, matched).into()
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        paint_hint(hint).into()
    }

    fn highlight_candidate<'c>(&self, candidate: &'c str, _: CompletionType) -> Cow<'c, str> {
        candidate.into()
    }

    fn highlight_char(&self, line: &str, pos: usize, kind: CmdKind) -> bool {
        self.is_final.set(kind == CmdKind::ForcedRefresh);
        match kind {
            CmdKind::Other => true,
            CmdKind::ForcedRefresh => self.marked.get(),
            // Only brackets look different where the cursor is.
            CmdKind::MoveCursor => {
                let bytes = line.as_bytes();
                let near = [Some(pos), pos.checked_sub(1)].into_iter().flatten();
                let mut near = near.filter_map(|at| bytes.get(at));
                self.marked.get() || near.any(|byte| b"()[]{}".contains(byte))
            }
        }
    }
}
