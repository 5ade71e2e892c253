//! Rewards to build from: pure functions of an output and a few settings.

mod answer;
mod format;
mod length;
mod schema;
mod tools;

pub use answer::{CosineLength, contains_answer, cosine_length, exact_match, numeric_match};
pub use format::{think_format, xml_count, xml_format};
pub use length::{Length, length, repetition, soft_overlong};
pub use schema::{Schema, json_schema};
pub use tools::{CallForm, ToolUse, tool_use};
