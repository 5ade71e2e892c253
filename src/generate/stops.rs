//! Listening to a decode loop as text: strings that end a completion, and pieces as they come.

use super::settings::{Next, Observer};
use crate::error::Result;
use crate::text::{StopStream, Tokenizer};

/// What is told of the pieces of the first completion.
type Show<'a> = Box<dyn FnMut(&str) -> Result<()> + 'a>;

/// Reads along with every row.
pub struct Stops<'a> {
    rows: Vec<StopStream>,
    show: Option<Show<'a>>,
}

impl<'a> Stops<'a> {
    /// Ends each row at the first of its strings.
    pub fn new(tokenizer: &Tokenizer, rows: Vec<Vec<String>>) -> Self {
        let stream = |stop| StopStream::new(tokenizer.clone(), stop);
        Self {
            rows: rows.into_iter().map(stream).collect(),
            show: None,
        }
    }

    /// Tells of the text of the first row as it comes.
    pub fn showing(mut self, show: impl FnMut(&str) -> Result<()> + 'a) -> Self {
        self.show = Some(Box::new(show));
        self
    }

    /// Tells of what was held back, when no more will come.
    pub fn finish(mut self) -> Result<()> {
        match (self.rows.first_mut(), &mut self.show) {
            (Some(first), Some(show)) => tell(show, &first.finish()?),
            _ => Ok(()),
        }
    }
}

fn tell(show: &mut Show, piece: &str) -> Result<()> {
    match piece.is_empty() {
        true => Ok(()),
        false => show(piece),
    }
}

impl Observer for Stops<'_> {
    fn token(&mut self, row: usize, id: i32) -> Result<Next> {
        let Some(stream) = self.rows.get_mut(row) else {
            return Ok(Next::Go);
        };
        let (piece, stopped) = stream.push(id)?;
        if let (0, Some(show)) = (row, &mut self.show) {
            tell(show, &piece)?;
        }
        Ok(if stopped { Next::Stop } else { Next::Go })
    }
}
