//! Between strings and token ids.

mod chat;
mod gguf;
mod language_model;
mod measure;
mod parse;
mod said;
mod search;
mod stop;
mod stream;
mod template;
mod tokenizer;

pub use language_model::{LanguageModel, SharedModel, change};
pub use measure::{edit_distance, lcs_ratio};
pub use parse::{CallStatus, Parsed, ToolCall, parse_completion, xml_tag};
pub use said::Learnable;
pub use search::{extract_number, regex_captures, regex_find, regex_find_all};
pub use stop::{StopStream, before_stop};
pub use stream::StreamDecoder;
pub use template::{ChatTemplate, TemplateOptions};
pub use tokenizer::Tokenizer;
