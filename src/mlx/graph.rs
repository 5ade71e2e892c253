//! Bounds on what waits to be computed, and on what is asked for.
//!
//! Work is lazy: a loop that never looks at its result would grow its graph without end, and an
//! array that does not fit would end the process when it is computed. Scripts pass every result
//! through [`admit`].

use super::{Array, autograd, memory};
use crate::error::{Error, Result};
use std::cell::Cell;

/// Results between two evaluations. A prime, so that in a loop of any length each statement has
/// its turn.
const PATIENCE: u32 = 499;

thread_local! {
    static WAITING: Cell<u32> = const { Cell::new(0) };
}

/// Takes note of a script's result: refuses what cannot fit, and now and then evaluates.
///
/// An array without elements is made anew: MLX need not compute it, and divides by the size of an
/// empty axis in sorts and running sums, which ends the process.
///
/// # Errors
/// An array larger than the machine's memory; MLX's, if evaluation fails.
pub fn admit(a: Array) -> Result<Array> {
    let size = a.size();
    if size == 0 {
        return Ok(mlx_rs::ops::zeros_dtype(a.shape(), a.dtype())?);
    }
    if size >= LARGE {
        check_fits(a.shape(), a.item_size())?;
    }
    // Inside a gradient the graph is wanted, and ends with it.
    if autograd::is_tracing() {
        return Ok(a);
    }
    let waiting = WAITING.get() + 1;
    WAITING.set(waiting % PATIENCE);
    if waiting >= PATIENCE {
        super::eval([&a])?;
    }
    Ok(a)
}

/// Smaller arrays fit anywhere.
const LARGE: usize = 1 << 20;

/// An error for an array that is larger than memory; computing it would end the process.
pub fn check_fits(shape: &[i32], item_size: usize) -> Result<()> {
    let mut sizes = shape.iter().map(|size| usize::try_from(*size).ok());
    let bytes = sizes.try_fold(item_size, |bytes, size| bytes.checked_mul(size?));
    let limit = memory::total();
    match bytes {
        Some(bytes) if bytes <= limit => Ok(()),
        _ => {
            let size = bytes.map_or("beyond counting".into(), |b| format!("{} GB", b >> 30));
            let found = format!("{shape:?} ({size})");
            Err(Error::value("shape", found, "an array that fits in memory"))
        }
    }
}
