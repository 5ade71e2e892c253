//! Rows of examples, from csv and jsonl files or from a script.

mod dataset;
mod read;
mod row;

pub use dataset::Dataset;
pub use read::{csv, jsonl};
pub use row::Row;
