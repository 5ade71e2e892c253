//! Qwen3 (<https://arxiv.org/abs/2505.09388>), names as in its checkpoints.

mod attention;
mod block;
mod config;
mod init;
mod load;
mod model;

pub use config::Config;
pub use model::Qwen3;
