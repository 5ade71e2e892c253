//! mlx-repl: Rhai scripts over MLX, for post-training small language models.
//!
//! The rooms, lowest first; a room imports only from those above it in this list
//! (`docs/architecture.md` says what each is for).

pub mod cache;
pub mod checkpoint;
pub mod error;
pub mod mlx;
pub mod models;
pub mod nn;
pub mod tensor;

pub use error::{Error, Result};
