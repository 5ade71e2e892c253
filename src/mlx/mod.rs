//! The machine: device, memory, random keys, tracing, matrix products, the interrupt flag.
//!
//! The only room with `unsafe` and `mlx_sys`. Every other room takes [`Array`] from here.

pub mod autograd;
#[cfg(not(target_os = "macos"))]
mod blas;
mod bytes;
pub mod device;
pub mod draw;
pub mod fourier;
pub mod graph;
pub mod host;
pub mod interrupt;
#[cfg(not(target_os = "macos"))]
mod kernels;
pub mod linalg;
pub mod memory;
pub mod ops;
pub mod quantized;
pub mod random;
mod raw;
pub mod rows;
mod slice;
pub mod values;

pub use bytes::{bytes, from_bytes, item_size};
pub use mlx_rs::{Array, Dtype};
pub use slice::{slice, slice_update};
pub use values::{constant, in_order};

use crate::error::Result;

/// Computes arrays now; everything before is only planned.
pub fn eval<'a>(arrays: impl IntoIterator<Item = &'a Array>) -> Result<()> {
    Ok(mlx_rs::transforms::eval(arrays)?)
}

/// Starts computing arrays and returns at once.
pub fn async_eval<'a>(arrays: impl IntoIterator<Item = &'a Array>) -> Result<()> {
    Ok(mlx_rs::transforms::async_eval(arrays)?)
}

/// The name of the matrix product in use on the CPU, as `doctor` shows it.
pub fn blas_name() -> &'static str {
    if cfg!(target_os = "macos") {
        "Accelerate"
    } else {
        "gemm (pure Rust, in this binary)"
    }
}
