//! The matrix products of mlx-repl as a library of their own, for `cargo xtask bench generation`.
//!
//! Loaded before Python (`LD_PRELOAD`), it gives MLX there the very code that mlx-repl multiplies
//! with, so that what remains of a difference is not the BLAS. Empty where the loader knows no such
//! thing and mlx-repl brings no BLAS.

#[cfg(target_os = "linux")]
#[path = "../../../src/mlx/blas.rs"]
mod blas;
