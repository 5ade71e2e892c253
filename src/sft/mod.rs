//! Supervised fine-tuning: the likelihood of texts, of completions, or of what an assistant says.
//!
//! Rows become documents (`encode`), documents the batches of an epoch (`batching`), a batch a
//! gradient (`gradient`); the trainer takes the steps.

mod batching;
mod encode;
mod gradient;
mod record;
mod settings;
mod trainer;

pub use batching::{Epoch, pack};
pub use encode::{Encoded, encode, encode_row};
pub use settings::{SftSettings, Truncation};
pub use trainer::{SftReport, SftTrainer};
