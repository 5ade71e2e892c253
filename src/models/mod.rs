//! Architectures, each defined once: training, decoding and batching run the same `forward`.

pub mod qwen3;

pub use qwen3::{Config, LoraSettings, Qwen3, SHARD_BYTES, id_list};
