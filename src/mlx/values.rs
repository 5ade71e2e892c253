//! The elements of an array as numbers of Rust.
//!
//! Every operation that MLX has to compute costs a change of threads, so what is computed already
//! and lies in order is read where it lies.

use super::{Array, Dtype, raw};
use crate::error::{Error, Result};
use half::{bf16, f16};

/// The array computed, with its elements in row-major order in memory.
///
/// # Errors
/// MLX's, if it cannot be computed.
pub fn in_order(a: &Array) -> Result<Array> {
    a.eval()?;
    let mut is_ordered = false;
    // SAFETY: both live, and the array is evaluated, which is when it knows its order.
    raw::status(|| unsafe { mlx_sys::_mlx_array_is_row_contiguous(&mut is_ordered, a.as_ptr()) })?;
    if is_ordered {
        return Ok(a.clone());
    }
    let ordered = a.contiguous()?;
    ordered.eval()?;
    Ok(ordered)
}

macro_rules! elements {
    ($a:expr, $wanted:ty, { $($dtype:pat => $t:ty as |$x:ident| $convert:expr),+ $(,)? }) => {{
        let a = in_order($a)?;
        if a.size() == 0 {
            return Ok(Vec::new());
        }
        Ok(match a.dtype() {
            $($dtype => {
                let convert = |$x: &$t| -> $wanted { $convert };
                let slice = a.try_as_slice::<$t>().map_err(|e| Error::Mlx(e.to_string()))?;
                slice.iter().map(convert).collect()
            })+
            other => {
                let name = format!("{other:?}").to_lowercase();
                return Err(Error::value("the elements of a tensor", name, "another dtype"));
            }
        })
    }};
}

/// Booleans and whole numbers; what is above `i64` becomes its largest.
///
/// # Errors
/// Numbers that are not whole; MLX's.
pub fn integers(a: &Array) -> Result<Vec<i64>> {
    elements!(a, i64, {
        Dtype::Bool => bool as |x| i64::from(*x),
        Dtype::Uint8 => u8 as |x| i64::from(*x),
        Dtype::Uint16 => u16 as |x| i64::from(*x),
        Dtype::Uint32 => u32 as |x| i64::from(*x),
        Dtype::Uint64 => u64 as |x| i64::try_from(*x).unwrap_or(i64::MAX),
        Dtype::Int8 => i8 as |x| i64::from(*x),
        Dtype::Int16 => i16 as |x| i64::from(*x),
        Dtype::Int32 => i32 as |x| i64::from(*x),
        Dtype::Int64 => i64 as |x| *x,
    })
}

/// Numbers of the float types.
///
/// # Errors
/// Other types; MLX's.
pub fn floats(a: &Array) -> Result<Vec<f64>> {
    elements!(a, f64, {
        Dtype::Float16 => f16 as |x| f64::from(*x),
        Dtype::Bfloat16 => bf16 as |x| f64::from(*x),
        Dtype::Float32 => f32 as |x| f64::from(*x),
        Dtype::Float64 => f64 as |x| *x,
    })
}

/// The same numbers without a history: inside a gradient trace, an array that is no part of it and
/// that keeps nothing else alive.
///
/// # Errors
/// Numbers that are no floats; MLX's, if it cannot be computed.
pub fn constant(a: &Array) -> Result<Array> {
    let copy = Array::from_slice(&singles(a)?, a.shape()).as_dtype(a.dtype())?;
    copy.eval()?;
    Ok(copy)
}

fn singles(a: &Array) -> Result<Vec<f32>> {
    elements!(a, f32, {
        Dtype::Float16 => f16 as |x| f32::from(*x),
        Dtype::Bfloat16 => bf16 as |x| f32::from(*x),
        Dtype::Float32 => f32 as |x| *x,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_come_in_order_whatever_their_type() {
        let a = Array::from_slice(&[1i32, 2, 3, 4, 5, 6], &[2, 3]);
        let turned = a.transpose().unwrap();
        assert_eq!(integers(&turned).unwrap(), [1, 4, 2, 5, 3, 6]);
        for dtype in [Dtype::Uint8, Dtype::Int16, Dtype::Uint64, Dtype::Int64] {
            let cast = turned.as_dtype(dtype).unwrap();
            assert_eq!(integers(&cast).unwrap(), [1, 4, 2, 5, 3, 6], "{dtype:?}");
        }
        for dtype in [Dtype::Float16, Dtype::Bfloat16, Dtype::Float32] {
            let cast = turned.as_dtype(dtype).unwrap();
            assert_eq!(floats(&cast).unwrap(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        }
        assert!(floats(&a).is_err());
        assert!(integers(&a.as_dtype(Dtype::Float32).unwrap()).is_err());
    }

    #[test]
    fn what_lies_in_order_is_not_copied() {
        let a = Array::from_slice(&[1i32, 2, 3, 4], &[2, 2]);
        let same = in_order(&a).unwrap();
        assert_eq!(
            a.try_as_slice::<i32>().unwrap().as_ptr(),
            same.try_as_slice::<i32>().unwrap().as_ptr()
        );
    }
}
