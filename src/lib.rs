//! mlx-repl: Rhai scripts over MLX, for post-training small language models.
//!
//! The rooms, lowest first; a room imports only from those above it in this list
//! (`docs/architecture.md` says what each is for).

pub mod ast_grep;
pub mod cache;
pub mod checkpoint;
pub mod cli;
pub mod data;
pub mod error;
pub mod generate;
pub mod hub;
#[cfg(feature = "kernel")]
pub mod kernel;
pub mod mlx;
pub mod models;
pub mod nn;
pub mod optim;
pub mod plot;
pub mod repl;
pub mod rl;
pub mod sampling;
pub mod script;
pub mod session;
pub mod sft;
pub mod tensor;
pub mod text;
pub mod train;

pub use error::{Error, Result};
