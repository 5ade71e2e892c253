//! Array operations that mlx-rs lacks or spells awkwardly.

mod convolve;
pub mod display;
pub mod dtype;
pub mod grid;
pub mod index;
pub mod mask;
pub mod pad;
pub mod select;

pub use convolve::convolve;
pub use mask::causal_mask;
pub use pad::{Side, pad_sequences};
pub use select::selective_log_softmax;

use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype, in_order};
use mlx_rs::ops;

/// The two sizes of a matrix.
pub fn dims2(a: &Array, what: &'static str) -> Result<[i32; 2]> {
    <[i32; 2]>::try_from(a.shape()).map_err(|_| Error::shape(what, "[_, _]", a.shape()))
}

/// The three sizes of an array with three axes.
pub fn dims3(a: &Array, what: &'static str) -> Result<[i32; 3]> {
    <[i32; 3]>::try_from(a.shape()).map_err(|_| Error::shape(what, "[_, _, _]", a.shape()))
}

/// The four sizes of an array with four axes.
pub fn dims4(a: &Array, what: &'static str) -> Result<[i32; 4]> {
    <[i32; 4]>::try_from(a.shape()).map_err(|_| Error::shape(what, "[_, _, _, _]", a.shape()))
}

/// `i32` ids as an array of a shape.
pub fn ids(ids: &[i32], shape: &[i32]) -> Array {
    Array::from_slice(ids, shape)
}

/// A number of the dtype of `like`, so that it does not change the type of what it meets.
pub fn scalar(value: f64, like: &Array) -> Result<Array> {
    match like.dtype() {
        Dtype::Float64 => Ok(Array::from_f64(value)),
        dtype if dtype.is_inexact() => Ok(Array::from_f32(value as f32).as_dtype(dtype)?),
        _ => Ok(Array::from_f32(value as f32)),
    }
}

/// The remainder of a division, with the sign of the divisor; 0 where integers are divided by 0.
///
/// On the CPU an integer division by 0 would end the process.
pub fn remainder(a: &Array, b: &Array) -> Result<Array> {
    whole_division(a, b, |a, b| Ok(a.remainder(b)?))
}

/// The quotient rounded down; 0 where integers are divided by 0.
pub fn floor_divide(a: &Array, b: &Array) -> Result<Array> {
    whole_division(a, b, |a, b| Ok(ops::floor_divide(a, b)?))
}

/// The quotient rounded down, and the remainder.
pub fn divmod(a: &Array, b: &Array) -> Result<(Array, Array)> {
    let quotient = whole_division(a, b, |a, b| Ok(ops::divmod(a, b)?.0))?;
    Ok((quotient, remainder(a, b)?))
}

fn whole_division(
    a: &Array,
    b: &Array,
    divide: impl Fn(&Array, &Array) -> Result<Array>,
) -> Result<Array> {
    if a.dtype().is_inexact() || b.dtype().is_inexact() {
        return divide(a, b);
    }
    let zero = Array::from_int(0);
    let is_zero = b.eq(&zero)?;
    let divisor = ops::select(&is_zero, Array::from_int(1).as_dtype(b.dtype())?, b)?;
    let result = divide(a, &divisor)?;
    let nothing = zero.as_dtype(result.dtype())?;
    Ok(ops::select(&is_zero, nothing, &result)?)
}

/// An error for a shape that cannot fit memory; asking for it would end the process.
pub fn check_size(shape: &[i32]) -> Result<()> {
    crate::mlx::graph::check_fits(shape, 4)
}

/// The values of booleans.
pub fn to_bool(a: &Array) -> Result<Vec<bool>> {
    let a = in_order(a)?;
    if a.size() == 0 {
        return Ok(Vec::new());
    }
    Ok(a.to_vec_exact::<bool>()?)
}

/// The values as `f32`, whatever the dtype.
pub fn to_f32(a: &Array) -> Result<Vec<f32>> {
    let a = in_order(&a.as_dtype(Dtype::Float32)?)?;
    if a.size() == 0 {
        return Ok(Vec::new());
    }
    Ok(a.to_vec_exact::<f32>()?)
}

/// The values as `i32`, whatever the dtype.
pub fn to_i32(a: &Array) -> Result<Vec<i32>> {
    let a = in_order(&a.as_dtype(Dtype::Int32)?)?;
    if a.size() == 0 {
        return Ok(Vec::new());
    }
    Ok(a.to_vec_exact::<i32>()?)
}

/// The one value of a scalar array.
pub fn item(a: &Array) -> Result<f32> {
    if a.size() != 1 {
        return Err(Error::shape("item", "one element", a.shape()));
    }
    Ok(to_f32(a)?[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_divided_by_zero_leave_nothing() {
        let a = Array::from_slice(&[7i32, -7, 5], &[3]);
        let b = Array::from_slice(&[3i32, 3, 0], &[3]);
        assert_eq!(to_i32(&remainder(&a, &b).unwrap()).unwrap(), [1, 2, 0]);
    }

    #[test]
    fn shapes_beyond_indexing_are_refused() {
        assert!(check_size(&[1000, 1000]).is_ok());
        assert!(check_size(&[i32::MAX, i32::MAX]).is_err());
        assert!(check_size(&[i32::MAX; 9]).is_err());
    }
}
