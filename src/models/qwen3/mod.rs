//! Qwen3 (<https://arxiv.org/abs/2505.09388>), dense and with experts, names as in its
//! checkpoints; and the families that its block can be by configuration.

mod adapters;
mod attention;
mod block;
mod config;
mod feed_forward;
mod gguf;
mod init;
mod load;
mod model;
mod names;
mod presets;
mod quantization;
mod quantize;
mod rope;
mod save;

pub use adapters::LoraSettings;
pub use block::Block;
pub use config::{Config, id_list};
pub use model::{Context, Qwen3};
pub use quantization::Quantization;
pub use save::SHARD_BYTES;
