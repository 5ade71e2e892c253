//! Rows of examples, from csv and jsonl files or from a script, and the order in which they are used.

mod curriculum;
mod dataset;
mod read;
mod row;
mod source;

pub use curriculum::{Curriculum, CurriculumSettings};
pub use dataset::Dataset;
pub use read::{Column, CsvSettings, csv, jsonl};
pub use row::Row;
pub use source::{Source, fingerprint};
