//! What MLX holds in memory, in bytes.

use super::device;
use crate::error::Result;
use std::sync::OnceLock;

/// Each operation of MLX allocates a handful of small objects in one thread, and its worker frees
/// some of them in another, which glibc's allocator is slow at: a script of small operations takes
/// a tenth longer with it. The feature `override` gives this one to `libmlx.so` too.
#[cfg(not(target_os = "macos"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

/// The memory that arrays can have at most: the GPU's, or the machine's.
pub fn total() -> usize {
    static TOTAL: OnceLock<usize> = OnceLock::new();
    *TOTAL.get_or_init(|| {
        let of_gpu = mlx_rs::memory::memory_limit().unwrap_or(0);
        if device::current() == device::Kind::Gpu && of_gpu > 0 {
            return of_gpu;
        }
        // SAFETY: these calls read two constants of the system.
        let (pages, size) = unsafe {
            (
                libc::sysconf(libc::_SC_PHYS_PAGES),
                libc::sysconf(libc::_SC_PAGESIZE),
            )
        };
        let bytes = usize::try_from(pages).ok().zip(usize::try_from(size).ok());
        bytes.map_or(usize::MAX, |(pages, size)| pages.saturating_mul(size))
    })
}
