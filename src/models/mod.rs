//! Architectures, each defined once: training, decoding and batching run the same `forward`.

pub mod qwen3;

pub use qwen3::{Block, Config, Context, LoraSettings, Qwen3, SHARD_BYTES, id_list};
