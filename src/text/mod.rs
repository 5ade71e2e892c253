//! Between strings and token ids.

mod gguf;
mod language_model;
mod parse;
mod tokenizer;

pub use language_model::{LanguageModel, SharedModel};
pub use parse::{CallStatus, Parsed, ToolCall, parse_completion, xml_tag};
pub use tokenizer::Tokenizer;
