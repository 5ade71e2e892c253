//! A list of rows.

use super::source::fingerprint;
use super::{Row, Source};
use crate::mlx::random::{Host, derive};
use serde_json::Value;
use std::rc::Rc;

/// So many rows of a dataset go into its fingerprint.
const LOOKED_AT: usize = 64;

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

    /// What each column holds: `string`, `integer`, `number`, `boolean`, `list`, `map`, or `mixed`;
    /// missing values count for nothing.
    pub fn types(&self) -> Vec<(String, &'static str)> {
        let kinds = self.columns().into_iter().map(|name| {
            let mut kinds: Vec<&str> = (self.rows.iter())
                .filter_map(|row| kind(row.fields.get(&name)?))
                .collect();
            kinds.sort_unstable();
            kinds.dedup();
            let kind = match kinds.as_slice() {
                [] => "string",
                [one] => one,
                ["integer", "number"] => "number",
                _ => "mixed",
            };
            (name, kind)
        });
        kinds.collect()
    }

    /// The order in which an epoch visits the rows.
    pub fn order(&self, seed: u64, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        Host::new(derive(seed, epoch)).shuffle(&mut order);
        order
    }
}

fn kind(value: &Value) -> Option<&'static str> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    })
}

/// Each epoch has its own order, and what does not fill a step at its end is left out.
impl Source for Dataset {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn rows(&mut self, seed: u64, step: u64, count: usize) -> Vec<Row> {
        let per_epoch = (self.rows.len() / count.max(1)).max(1) as u64;
        let order = self.order(derive(seed, 0), step / per_epoch);
        let first = (step % per_epoch) as usize * count;
        let chosen = order.iter().skip(first).take(count);
        chosen.map(|i| self.rows[*i].clone()).collect()
    }

    fn others(&self, seed: u64, step: u64, round: u64, count: usize) -> Vec<Row> {
        let seed = derive(derive(derive(seed, 3), step), round);
        let order = self.order(seed, 0).into_iter().cycle();
        order.take(count).map(|i| self.rows[i].clone()).collect()
    }

    fn fingerprint(&self) -> u64 {
        let stride = self.rows.len().div_ceil(LOOKED_AT).max(1);
        let rows = self.rows.iter().step_by(stride);
        let texts = rows.map(|row| serde_json::to_string(&*row.fields).unwrap_or_default());
        let each = texts.map(|text| fingerprint(text.as_bytes()));
        each.fold(self.rows.len() as u64, derive)
    }
}
