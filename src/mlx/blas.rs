//! Matrix products for MLX on Linux, by the `gemm` crate.
//!
//! The MLX wheel brings the reference BLAS, which is some forty times slower. `libmlx.so` asks
//! for these names at load time, and a symbol that the executable itself exports comes first.

use gemm::{Parallelism, c32, gemm};
use std::ffi::{c_int, c_void};

const ROW_MAJOR: c_int = 101;
const NO_TRANS: c_int = 111;

/// Below this number of multiply-adds, starting threads costs more than it gains.
const SERIAL_BELOW: usize = 1 << 22;

/// One operand as BLAS describes it: where it lies and whether it is transposed.
struct Operand<T> {
    data: *const T,
    transposed: bool,
    leading: c_int,
}

impl<T> Operand<T> {
    /// (column stride, row stride) of the operand after its transposition.
    fn strides(&self, row_major: bool) -> (isize, isize) {
        let leading = self.leading as isize;
        if row_major != self.transposed {
            (1, leading)
        } else {
            (leading, 1)
        }
    }
}

/// `C = alpha A B + beta C`, as `cblas_?gemm`.
///
/// # Safety
/// The pointers, sizes and strides must describe matrices in memory, as BLAS demands.
#[allow(clippy::too_many_arguments)]
unsafe fn product<T: Copy + PartialEq + Default + 'static>(
    order: c_int,
    (m, n, k): (c_int, c_int, c_int),
    alpha: T,
    a: Operand<T>,
    b: Operand<T>,
    beta: T,
    c: *mut T,
    ldc: c_int,
) {
    let (m, n, k) = (m as usize, n as usize, k as usize);
    let row_major = order == ROW_MAJOR;
    let (c_cs, c_rs) = if row_major {
        (1, ldc as isize)
    } else {
        (ldc as isize, 1)
    };
    let (a_cs, a_rs) = a.strides(row_major);
    let (b_cs, b_rs) = b.strides(row_major);
    let parallelism = if m * n * k < SERIAL_BELOW {
        Parallelism::None
    } else {
        Parallelism::Rayon(0)
    };
    // gemm computes `dst = alpha * dst + beta * lhs * rhs`: the names are the other way round.
    unsafe {
        gemm(
            m,
            n,
            k,
            c,
            c_cs,
            c_rs,
            beta != T::default(),
            a.data,
            a_cs,
            a_rs,
            b.data,
            b_cs,
            b_rs,
            beta,
            alpha,
            false,
            false,
            false,
            parallelism,
        );
    }
}

macro_rules! real_gemm {
    ($name:ident, $t:ty) => {
        /// The BLAS routine of this name.
        ///
        /// # Safety
        /// As in BLAS: pointers, sizes and leading dimensions describe matrices in memory.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            order: c_int,
            transpose_a: c_int,
            transpose_b: c_int,
            m: c_int,
            n: c_int,
            k: c_int,
            alpha: $t,
            a: *const $t,
            lda: c_int,
            b: *const $t,
            ldb: c_int,
            beta: $t,
            c: *mut $t,
            ldc: c_int,
        ) {
            let a = operand(a, transpose_a, lda);
            let b = operand(b, transpose_b, ldb);
            // SAFETY: the caller's promise is the callee's demand.
            unsafe { product(order, (m, n, k), alpha, a, b, beta, c, ldc) }
        }
    };
}

real_gemm!(cblas_sgemm, f32);
real_gemm!(cblas_dgemm, f64);

/// The BLAS routine of this name: complex numbers, the scalars behind pointers.
///
/// # Safety
/// As in BLAS: pointers, sizes and leading dimensions describe matrices in memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cblas_cgemm(
    order: c_int,
    transpose_a: c_int,
    transpose_b: c_int,
    m: c_int,
    n: c_int,
    k: c_int,
    alpha: *const c_void,
    a: *const c_void,
    lda: c_int,
    b: *const c_void,
    ldb: c_int,
    beta: *const c_void,
    c: *mut c_void,
    ldc: c_int,
) {
    let a = operand(a.cast::<c32>(), transpose_a, lda);
    let b = operand(b.cast::<c32>(), transpose_b, ldb);
    // SAFETY: the caller's promise is the callee's demand.
    unsafe {
        let (alpha, beta) = (*alpha.cast::<c32>(), *beta.cast::<c32>());
        product(order, (m, n, k), alpha, a, b, beta, c.cast::<c32>(), ldc);
    }
}

fn operand<T>(data: *const T, transpose: c_int, leading: c_int) -> Operand<T> {
    Operand {
        data,
        transposed: transpose != NO_TRANS,
        leading,
    }
}

#[cfg(test)]
mod tests {
    use crate::mlx::Array;

    /// MLX's own products must come out right whichever way the operands lie.
    #[test]
    fn products_of_all_layouts_agree_with_the_sum() {
        let (m, n, k) = (5, 7, 3);
        let value = |i: i32| ((i * 37 + 11) % 23) as f32 / 7.0 - 1.5;
        let a = Array::from_iter((0..m * k).map(value), &[m, k]);
        let b = Array::from_iter((0..k * n).map(|i| value(i + 5)), &[k, n]);
        let at = a.transpose().unwrap().contiguous().unwrap();
        let bt = b.transpose().unwrap().contiguous().unwrap();
        let (av, bv) = (
            a.to_vec_exact::<f32>().unwrap(),
            b.to_vec_exact::<f32>().unwrap(),
        );
        let expected: Vec<f32> = (0..m * n)
            .map(|i| {
                let (row, column) = (i / n, i % n);
                (0..k)
                    .map(|j| av[(row * k + j) as usize] * bv[(j * n + column) as usize])
                    .sum()
            })
            .collect();
        let products = [
            a.matmul(&b).unwrap(),
            at.transpose().unwrap().matmul(&b).unwrap(),
            a.matmul(bt.transpose().unwrap()).unwrap(),
            at.transpose()
                .unwrap()
                .matmul(bt.transpose().unwrap())
                .unwrap(),
        ];
        for product in products {
            for (x, y) in product.to_vec_exact::<f32>().unwrap().iter().zip(&expected) {
                assert!((x - y).abs() < 1e-5, "{x} is not {y}");
            }
        }
    }
}
