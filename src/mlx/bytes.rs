//! The memory of an array.

use super::{Array, Dtype, graph, raw};
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

/// The bytes of one element.
pub fn item_size(dtype: Dtype) -> usize {
    // SAFETY: a plain lookup; every `Dtype` is one of MLX's.
    unsafe { mlx_sys::mlx_dtype_size(dtype.into()) }
}

/// A new array whose elements, in row-major order, have these bytes. They are copied.
///
/// # Errors
/// A length that is not the shape's, or an array that cannot fit in memory.
pub fn from_bytes(bytes: &[u8], shape: &[i32], dtype: Dtype) -> Result<Array> {
    let item = item_size(dtype);
    graph::check_fits(shape, item)?;
    let wanted = shape.iter().map(|size| *size as usize).product::<usize>() * item;
    if bytes.len() != wanted {
        let found = format!("{} bytes", bytes.len());
        let expected = format!("{wanted}, for shape {shape:?} of {dtype:?}");
        return Err(Error::value("the bytes of an array", found, &expected));
    }
    // Any byte but 0 is true for a reader of files, but to C++ only 1 is.
    if dtype == Dtype::Bool && bytes.iter().any(|byte| *byte > 1) {
        let truths: Vec<u8> = bytes.iter().map(|byte| u8::from(*byte != 0)).collect();
        return copied(truths.as_ptr(), shape, dtype);
    }
    // MLX reads whole elements, which must lie at multiples of their size.
    if (bytes.as_ptr() as usize).is_multiple_of(item) {
        return copied(bytes.as_ptr(), shape, dtype);
    }
    let mut aligned = vec![0u64; bytes.len().div_ceil(8)];
    for (word, part) in aligned.iter_mut().zip(bytes.chunks(8)) {
        let mut whole = [0; 8];
        whole[..part.len()].copy_from_slice(part);
        *word = u64::from_ne_bytes(whole);
    }
    copied(aligned.as_ptr().cast(), shape, dtype)
}

/// A new array from memory that [`from_bytes`] has checked.
fn copied(data: *const u8, shape: &[i32], dtype: Dtype) -> Result<Array> {
    let mut result = raw::Null::empty();
    // SAFETY: the caller made sure that as many elements as the shape says lie at `data`, aligned;
    // MLX copies them before it returns.
    raw::status(|| unsafe {
        mlx_sys::mlx_array_set_data(
            &mut result.0,
            data.cast(),
            shape.as_ptr(),
            shape.len() as i32,
            dtype.into(),
        )
    })?;
    Ok(result.into_array())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_wherever_they_lie() {
        let store: Vec<u8> = (0..40).collect();
        for start in 0..8 {
            let part = &store[start..start + 24];
            let array = from_bytes(part, &[3], Dtype::Int64).unwrap();
            assert_eq!(bytes(&array).unwrap(), part);
        }
        let empty = from_bytes(&[], &[0, 4], Dtype::Float32).unwrap();
        assert_eq!(empty.shape(), [0, 4]);
        let truths = from_bytes(&[0, 1, 7], &[3], Dtype::Bool).unwrap();
        assert_eq!(bytes(&truths).unwrap(), [0, 1, 1]);
    }

    #[test]
    fn a_length_that_is_not_the_shapes_is_refused() {
        assert!(from_bytes(&[0; 7], &[2], Dtype::Float32).is_err());
        assert!(from_bytes(&[], &[-1], Dtype::Float32).is_err());
        assert!(from_bytes(&[], &[i32::MAX, i32::MAX], Dtype::Float32).is_err());
    }
}
