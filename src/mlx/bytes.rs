//! The memory of an array.

use super::Array;
use crate::error::{Error, Result};

/// The elements as they lie in memory; the array must be row-major (`contiguous`).
///
/// # Errors
/// MLX's, if the array cannot be computed.
pub fn bytes(a: &Array) -> Result<&[u8]> {
    a.eval()?;
    if a.nbytes() == 0 {
        return Ok(&[]);
    }
    let mut stride = 1;
    for (size, found) in a.shape().iter().zip(a.strides()).rev() {
        if *size > 1 && *found != stride {
            return Err(Error::Mlx("bytes of an array that is not row-major".into()));
        }
        stride *= *size as usize;
    }
    // SAFETY: the array is evaluated, so its data pointer is valid for `nbytes` bytes as long as
    // the array lives; the reinterpretation to bytes has no alignment to keep.
    unsafe {
        let data = mlx_sys::mlx_array_data_uint8(a.as_ptr());
        if data.is_null() {
            return Err(Error::Mlx("the array has no data on the host".into()));
        }
        Ok(std::slice::from_raw_parts(data, a.nbytes()))
    }
}
