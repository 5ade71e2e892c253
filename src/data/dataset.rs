//! A list of rows.

use super::Row;
use crate::mlx::random::Host;
use std::rc::Rc;

/// Rows that are shared, never copied, by what is made from them.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    rows: Rc<Vec<Row>>,
}

impl Dataset {
    /// A dataset of these rows.
    pub fn new(rows: Vec<Row>) -> Self {
        Self {
            rows: Rc::new(rows),
        }
    }

    /// The rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Every name that some row has, in order of appearance.
    pub fn columns(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.rows.iter().flat_map(|row| row.fields.keys()) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// The rows in random order; the same seed gives the same order.
    pub fn shuffle(&self, seed: u64) -> Self {
        let mut rows = self.rows.to_vec();
        Host::new(seed).shuffle(&mut rows);
        Self::new(rows)
    }

    /// The first rows and the others, cut at a fraction of the length.
    pub fn split(&self, fraction: f64) -> (Self, Self) {
        let cut = (self.rows.len() as f64 * fraction.clamp(0.0, 1.0)).round() as usize;
        (self.take(cut), self.skip(cut))
    }

    /// The first `n` rows.
    pub fn take(&self, n: usize) -> Self {
        Self::new(self.rows.iter().take(n).cloned().collect())
    }

    /// All but the first `n` rows.
    pub fn skip(&self, n: usize) -> Self {
        Self::new(self.rows.iter().skip(n).cloned().collect())
    }

    /// These rows, then those.
    pub fn concat(&self, other: &Self) -> Self {
        Self::new(self.rows.iter().chain(other.rows.iter()).cloned().collect())
    }

    /// The order in which an epoch visits the rows.
    pub fn order(&self, seed: u64, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        Host::new(crate::mlx::random::derive(seed, epoch)).shuffle(&mut order);
        order
    }
}
