//! Between strings and token ids.

mod gguf;
mod language_model;
mod tokenizer;

pub use language_model::{LanguageModel, SharedModel};
pub use tokenizer::Tokenizer;
