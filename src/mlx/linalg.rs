//! Linear algebra, on the CPU: MLX has none of it on a GPU.
//!
//! These are computed when they are called. A singular matrix, say, is found out only then, and MLX
//! would take the memory that it failed to fill for the result from the second look on.

use super::ops::text;
use super::raw::{self, Null, arrays_on, op_on};
use super::{Array, Dtype};
use crate::error::Result;
use mlx_rs::Stream;
use mlx_sys::{mlx_array, mlx_stream};

/// Matrices as LAPACK wants them: f32 from integers, anything else as it is.
fn floats(a: &Array) -> Result<Array> {
    match a.dtype() {
        Dtype::Float64 | Dtype::Complex64 | Dtype::Float32 => Ok(a.clone()),
        _ => Ok(a.as_dtype(Dtype::Float32)?),
    }
}

fn one(a: &Array, f: impl Fn(*mut mlx_array, mlx_array, mlx_stream) -> i32) -> Result<Array> {
    let a = floats(a)?;
    let result = op_on(&Stream::cpu(), |result, stream| {
        f(result, a.as_ptr(), stream)
    })?;
    computed([&a], vec![result]).map(|mut one| one.remove(0))
}

/// The results, computed after their arguments: an error leaves what came before it whole.
fn computed<const N: usize>(arguments: [&Array; N], results: Vec<Array>) -> Result<Vec<Array>> {
    // Of nothing there is nothing to compute, and LAPACK would divide by its size.
    if arguments.iter().any(|a| a.size() == 0) {
        return Ok(results);
    }
    super::eval(arguments)?;
    super::eval(&results)?;
    Ok(results)
}

fn two(
    a: &Array,
    f: impl Fn(*mut mlx_array, *mut mlx_array, mlx_array, mlx_stream) -> i32,
) -> Result<(Array, Array)> {
    let a = floats(a)?;
    let mut second = Null::empty();
    let first = op_on(&Stream::cpu(), |result, stream| {
        f(result, &mut second.0, a.as_ptr(), stream)
    })?;
    let mut both = computed([&a], vec![first, second.into_array()])?;
    let second = both.remove(1);
    Ok((both.remove(0), second))
}

// SAFETY of every call below: the handles live as long as the call.

/// The inverse of square matrices.
pub fn inv(a: &Array) -> Result<Array> {
    one(a, |r, a, s| unsafe { mlx_sys::mlx_linalg_inv(r, a, s) })
}

/// The Moore-Penrose inverse.
pub fn pinv(a: &Array) -> Result<Array> {
    one(a, |r, a, s| unsafe { mlx_sys::mlx_linalg_pinv(r, a, s) })
}

/// The inverse of triangular matrices.
pub fn tri_inv(a: &Array, upper: bool) -> Result<Array> {
    one(a, |r, a, s| unsafe {
        mlx_sys::mlx_linalg_tri_inv(r, a, upper, s)
    })
}

/// The Cholesky factor of positive definite matrices.
pub fn cholesky(a: &Array, upper: bool) -> Result<Array> {
    one(a, |r, a, s| unsafe {
        mlx_sys::mlx_linalg_cholesky(r, a, upper, s)
    })
}

/// The inverse of a matrix whose Cholesky factor is given.
pub fn cholesky_inv(a: &Array, upper: bool) -> Result<Array> {
    one(a, |r, a, s| unsafe {
        mlx_sys::mlx_linalg_cholesky_inv(r, a, upper, s)
    })
}

/// The determinant.
pub fn det(a: &Array) -> Result<Array> {
    one(a, |r, a, s| unsafe { mlx_sys::mlx_linalg_det(r, a, s) })
}

/// Sign and logarithm of the absolute value of the determinant.
pub fn slogdet(a: &Array) -> Result<(Array, Array)> {
    two(a, |r, q, a, s| unsafe {
        mlx_sys::mlx_linalg_slogdet(r, q, a, s)
    })
}

/// Orthogonal and upper triangular factors.
pub fn qr(a: &Array) -> Result<(Array, Array)> {
    two(a, |r, q, a, s| unsafe {
        mlx_sys::mlx_linalg_qr(r, q, a, s)
    })
}

/// Eigenvalues and eigenvectors.
pub fn eig(a: &Array) -> Result<(Array, Array)> {
    two(a, |r, q, a, s| unsafe {
        mlx_sys::mlx_linalg_eig(r, q, a, s)
    })
}

/// Eigenvalues.
pub fn eigvals(a: &Array) -> Result<Array> {
    one(a, |r, a, s| unsafe { mlx_sys::mlx_linalg_eigvals(r, a, s) })
}

/// Eigenvalues and eigenvectors of a symmetric matrix, of which one triangle is read.
pub fn eigh(a: &Array, triangle: &str) -> Result<(Array, Array)> {
    let triangle = text("UPLO", triangle)?;
    two(a, |r, q, a, s| unsafe {
        mlx_sys::mlx_linalg_eigh(r, q, a, triangle.as_ptr(), s)
    })
}

/// Eigenvalues of a symmetric matrix, of which one triangle is read.
pub fn eigvalsh(a: &Array, triangle: &str) -> Result<Array> {
    let triangle = text("UPLO", triangle)?;
    one(a, |r, a, s| unsafe {
        mlx_sys::mlx_linalg_eigvalsh(r, a, triangle.as_ptr(), s)
    })
}

/// The pivots and both factors packed in one matrix.
pub fn lu_factor(a: &Array) -> Result<(Array, Array)> {
    two(a, |r, q, a, s| unsafe {
        mlx_sys::mlx_linalg_lu_factor(r, q, a, s)
    })
}

/// Row order, lower and upper factor.
pub fn lu(a: &Array) -> Result<Vec<Array>> {
    let a = floats(a)?;
    // MLX 0.32 adds up the lower factor of one number beyond its end.
    if let [.., 1, 1] = a.shape() {
        let order = Array::zeros::<u32>(&a.shape()[..a.ndim() - 1])?;
        return Ok(vec![order, mlx_rs::ops::ones_like(&a)?, a]);
    }
    let factors = arrays_on(&Stream::cpu(), |result, stream| unsafe {
        mlx_sys::mlx_linalg_lu(result, a.as_ptr(), stream)
    })?;
    computed([&a], factors)
}

/// `[U, S, Vt]`, or `[S]` alone.
pub fn svd(a: &Array, vectors: bool) -> Result<Vec<Array>> {
    let a = floats(a)?;
    let parts = arrays_on(&Stream::cpu(), |result, stream| unsafe {
        mlx_sys::mlx_linalg_svd(result, a.as_ptr(), vectors, stream)
    })?;
    computed([&a], parts)
}

/// `x` of `a x = b`.
pub fn solve(a: &Array, b: &Array) -> Result<Array> {
    let b = floats(b)?;
    one(a, |r, a, s| unsafe {
        mlx_sys::mlx_linalg_solve(r, a, b.as_ptr(), s)
    })
}

/// `x` of `a x = b` for a triangular `a`.
pub fn solve_triangular(a: &Array, b: &Array, upper: bool) -> Result<Array> {
    let b = floats(b)?;
    one(a, |r, a, s| unsafe {
        mlx_sys::mlx_linalg_solve_triangular(r, a, b.as_ptr(), upper, s)
    })
}

/// Which norm.
#[derive(Clone, Debug)]
pub enum Norm {
    /// The square root of the sum of squares.
    L2,
    /// `sum(|x|^p)^(1/p)`; of a matrix the one that NumPy gives this number.
    Order(f64),
    /// `"fro"` or `"nuc"`, of matrices.
    Named(String),
}

/// A norm over axes, or over everything.
pub fn norm(a: &Array, norm: &Norm, axes: Option<&[i32]>, keepdims: bool) -> Result<Array> {
    let (list, count) = axes.map_or((std::ptr::null(), 0), |axes| (axes.as_ptr(), axes.len()));
    // The singular values behind some matrix norms are computed on the CPU only.
    let on_cpu = !matches!(norm, Norm::L2);
    let stream = match on_cpu {
        true => Stream::cpu(),
        false => Stream::thread_local_or_default(),
    };
    let named = match norm {
        Norm::Named(name) => text("ord", name)?,
        _ => text("ord", "")?,
    };
    let result = op_on(&stream, |r, s| unsafe {
        match norm {
            Norm::L2 => mlx_sys::mlx_linalg_norm_l2(r, a.as_ptr(), list, count, keepdims, s),
            Norm::Order(p) => mlx_sys::mlx_linalg_norm(r, a.as_ptr(), *p, list, count, keepdims, s),
            Norm::Named(_) => {
                let name = named.as_ptr();
                mlx_sys::mlx_linalg_norm_matrix(r, a.as_ptr(), name, list, count, keepdims, s)
            }
        }
    })?;
    match on_cpu {
        true => computed([a], vec![result]).map(|mut one| one.remove(0)),
        false => Ok(result),
    }
}

/// The vector product along an axis of size 2 or 3.
pub fn cross(a: &Array, b: &Array, axis: i32) -> Result<Array> {
    raw::op(|r, s| unsafe { mlx_sys::mlx_linalg_cross(r, a.as_ptr(), b.as_ptr(), axis, s) })
}
