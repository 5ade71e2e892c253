//! Rectangular parts of arrays: reading and replacing them.
//!
//! mlx-rs has these only behind its indexing traits, which know the number of axes at compile
//! time; a cache and a script do not.

use super::{Array, raw};
use crate::error::Result;

/// The part `start..stop` of every axis.
///
/// # Errors
/// MLX's, when the bounds do not have one entry per axis.
pub fn slice(a: &Array, start: &[i32], stop: &[i32]) -> Result<Array> {
    let strides = vec![1; start.len()];
    raw::op(|result, stream| {
        // SAFETY: the pointers are those of live slices and arrays, with their lengths.
        unsafe {
            mlx_sys::mlx_slice(
                result,
                a.as_ptr(),
                start.as_ptr(),
                start.len(),
                stop.as_ptr(),
                stop.len(),
                strides.as_ptr(),
                strides.len(),
                stream,
            )
        }
    })
}

/// `a` with the part `start..stop` of every axis replaced by `update`.
///
/// In place where nobody else holds `a`'s buffer, which is what makes a cache cheap.
///
/// # Errors
/// MLX's, when `update` cannot be broadcast to the part.
pub fn slice_update(a: &Array, update: &Array, start: &[i32], stop: &[i32]) -> Result<Array> {
    let strides = vec![1; start.len()];
    raw::op(|result, stream| {
        // SAFETY: as above.
        unsafe {
            mlx_sys::mlx_slice_update(
                result,
                a.as_ptr(),
                update.as_ptr(),
                start.as_ptr(),
                start.len(),
                stop.as_ptr(),
                stop.len(),
                strides.as_ptr(),
                strides.len(),
                stream,
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_and_replaced() {
        let a = Array::from_slice(&[1i32, 2, 3, 4, 5, 6], &[2, 3]);
        let part = slice(&a, &[0, 1], &[2, 3]).unwrap();
        assert_eq!(
            part.contiguous().unwrap().to_vec_exact::<i32>().unwrap(),
            [2, 3, 5, 6]
        );
        let changed = slice_update(&a, &Array::from_int(0), &[1, 0], &[2, 2]).unwrap();
        assert_eq!(changed.to_vec_exact::<i32>().unwrap(), [1, 2, 3, 0, 0, 6]);
        assert_eq!(a.to_vec_exact::<i32>().unwrap(), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn wrong_bounds_are_an_error() {
        let a = Array::from_slice(&[1i32, 2], &[2]);
        let error = slice(&a, &[0, 0], &[1, 1]).unwrap_err();
        assert!(error.to_string().contains("slice"), "{error}");
    }
}
