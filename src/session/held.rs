//! What a session holds: its variables, its cells, the values that they had.

use super::{Failure, Session};
use crate::script::{self, Shown, kind_of};
use std::rc::Rc;

/// A variable as a line of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    pub name: String,
    /// Its type, as in the documentation.
    pub kind: String,
    /// Its shape, its size, or the value itself if that is short.
    pub detail: String,
    /// What its tensors take.
    pub bytes: usize,
}

impl Session {
    /// The variables and constants by name.
    pub fn held(&self) -> Vec<Variable> {
        let described = self.variables().into_iter().filter_map(|name| {
            let value = self.scope.get(&name)?;
            Some(Variable {
                kind: kind_of(&self.engine, value),
                detail: script::detail(&self.engine, value),
                bytes: script::bytes_in(value),
                name,
            })
        });
        described.collect()
    }

    /// The cells that were typed, with their numbers.
    pub fn cells(&self) -> Vec<(usize, &str)> {
        let numbered = (1..=self.cells).filter_map(|number| {
            let source = self.sources.get(&cell_name(number))?;
            Some((number, source.as_str()))
        });
        numbered.collect()
    }

    /// Whether a cell ended in an error.
    pub fn has_failed(&self, number: usize) -> bool {
        self.failed.contains(&number)
    }

    /// Forgets variables, functions, imports and values; cells keep their numbers.
    pub fn reset(&mut self) {
        let mut host = self.host.clone();
        host.names = Rc::default();
        host.results = Rc::default();
        let fresh = Self::new(host);
        let old = std::mem::replace(self, fresh);
        (self.cells, self.sources, self.screen) = (old.cells, old.sources, old.screen);
        self.failed = old.failed;
        (self.asides, self.clears_interrupts) = (old.asides, old.clears_interrupts);
    }

    /// Statistics of an expression's value.
    ///
    /// # Errors
    /// Those of the expression.
    pub fn summarise(&mut self, expression: &str) -> Result<Shown, Failure> {
        let name = self.next_cell(expression);
        let value = self.eval(&name, expression)?;
        let shown = script::summarise(&self.engine, &value);
        shown.map_err(|error| self.failure(&name, &error))
    }

    /// The next cell's name; it has this text.
    pub fn next_cell(&mut self, source: &str) -> String {
        self.cells += 1;
        let name = cell_name(self.cells);
        self.sources.insert(name.clone(), source.to_string());
        name
    }
}

fn cell_name(number: usize) -> String {
    format!("cell[{number}]")
}
