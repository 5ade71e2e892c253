//! What the protocol needs of whoever evaluates.

use super::output::Bundle;

/// Evaluates cells. It writes through the [`super::output::Output`] that it was made with.
pub trait Evaluator {
    /// Runs a cell that counts: what it shows, if anything.
    ///
    /// # Errors
    /// Those of the cell.
    fn cell(&mut self, code: &str) -> Result<Option<Bundle>, Fault>;
    /// Takes a number for what counts and is not evaluated, such as a question.
    fn pass(&mut self, code: &str);
    /// Evaluates what does not count: a silent request, an expression of the front end.
    ///
    /// # Errors
    /// Those of the text.
    fn aside(&mut self, code: &str) -> Result<Option<Bundle>, Fault>;
    /// Where the word begins that `head` ends in, in bytes, and what continues it.
    fn complete(&self, head: &str) -> (usize, Vec<String>);
    /// The answer to a line that asks about a name, such as `name?`; `None` for other lines. The
    /// error is that of a name which nothing has.
    fn about(&self, line: &str) -> Option<Result<String, String>>;
    /// The function whose call a text ends in, and whether a key of its settings would come next.
    fn called(&self, head: &str) -> Option<(String, bool)>;
    /// Whether a text can be run.
    fn completeness(&self, code: &str) -> Completeness;
}

/// Whether a text can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    Complete,
    Incomplete,
    Invalid,
}

/// An error of a cell.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Of what kind it is.
    pub name: &'static str,
    /// The error alone.
    pub message: String,
    /// The lines that the prompt shows, in colours.
    pub traceback: Vec<String>,
}

impl Fault {
    /// An error without a place in a text.
    pub fn new(name: &'static str, message: String) -> Self {
        Self {
            name,
            traceback: vec![format!("error: {message}")],
            message,
        }
    }
}
