//! `mlx-repl doctor`: what this installation can do.

use crate::error::Result;
use crate::mlx::{self, Array, device, memory};
use std::time::Instant;

/// Device, versions, BLAS with its measured speed, and memory, one to a line.
pub fn report() -> Result<String> {
    let memory = memory::memory()?;
    let gpu = if device::gpu_available() {
        "available"
    } else {
        "none that this MLX can use"
    };
    Ok([
        format!("mlx-repl  {}", env!("CARGO_PKG_VERSION")),
        format!("MLX       {}", device::mlx_version()),
        format!("device    {}", device::current().name()),
        format!("gpu       {gpu}"),
        format!("BLAS      {}", mlx::blas_name()),
        format!("products  {:.1} GFLOP/s (f32, 512 x 512)", products()?),
        format!(
            "memory    {} bytes active, {} bytes at peak",
            memory.active, memory.peak
        ),
    ]
    .join("\n"))
}

/// Speed of the matrix product on the device in use: the best of five.
fn products() -> Result<f64> {
    let n = 512;
    let a = Array::from_iter((0..n * n).map(|i| (i % 7) as f32), &[n, n]);
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        a.matmul(a.t())?.eval()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(2.0 * f64::from(n).powi(3) / best / 1e9)
}
