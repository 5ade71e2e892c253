//! What MLX holds in memory, in bytes.

use crate::error::Result;

/// Memory as MLX counts it: the resident size of the process is larger.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Held by arrays.
    pub active: usize,
    /// The most that arrays have held since the last [`reset_peak`].
    pub peak: usize,
    /// Freed and kept for reuse.
    pub cache: usize,
}

/// The memory in use now.
pub fn memory() -> Result<Memory> {
    Ok(Memory {
        active: mlx_rs::memory::active_memory()?,
        peak: mlx_rs::memory::peak_memory()?,
        cache: mlx_rs::memory::cache_memory()?,
    })
}

/// Starts a new measurement of the peak.
pub fn reset_peak() -> Result<()> {
    Ok(mlx_rs::memory::reset_peak_memory()?)
}

/// Gives the freed memory back to the machine.
pub fn clear_cache() -> Result<()> {
    Ok(mlx_rs::memory::clear_cache()?)
}
