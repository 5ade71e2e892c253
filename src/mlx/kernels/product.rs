//! Products of small matrices that lie in the cache of a core.

use super::LANES;
#[cfg(target_arch = "x86_64")]
use pulp::Arch;
/// A matrix: where it lies, and the steps from row to row and from column to column.
#[derive(Clone, Copy)]
pub(super) struct Left(pub *const f32, pub usize, pub usize);

/// A matrix whose rows lie in order, and the step from row to row.
#[derive(Clone, Copy)]
pub(super) struct Right(pub *const f32, pub usize);

/// A matrix to write to, as [`Right`].
#[derive(Clone, Copy)]
pub(super) struct Out(pub *mut f32, pub usize);

/// Rows that are computed side by side: with sixteen columns they fill the registers.
const ROWS: usize = 6;

/// Whether the processor multiplies and adds in one instruction; `mul_add` is a slow function where
/// it does not.
pub(super) fn is_fused() -> bool {
    #[cfg(target_arch = "x86_64")]
    return !matches!(Arch::new(), Arch::Scalar);
    #[cfg(not(target_arch = "x86_64"))]
    return cfg!(target_arch = "aarch64");
}

/// `out = left right`, or `out += left right`, with `[m, k]` times `[k, n]`; `n` is a multiple of 16.
///
/// # Safety
/// The matrices are there in these sizes, and `out` is apart from the others.
#[inline(always)]
pub(super) unsafe fn multiply<const FUSED: bool>(
    [m, n, k]: [usize; 3],
    left: Left,
    right: Right,
    out: Out,
    add: bool,
) {
    let whole = m / ROWS * ROWS;
    for column in (0..n).step_by(LANES) {
        // SAFETY: the caller's promise; rows and columns stay within `m` and `n`.
        unsafe {
            let right = Right(right.0.add(column), right.1);
            let place = |row: usize| {
                let left = Left(left.0.add(row * left.1), left.1, left.2);
                (left, right, Out(out.0.add(row * out.1 + column), out.1))
            };
            for row in (0..whole).step_by(ROWS) {
                tile::<FUSED, ROWS>(k, place(row), add);
            }
            match m - whole {
                1 => tile::<FUSED, 1>(k, place(whole), add),
                2 => tile::<FUSED, 2>(k, place(whole), add),
                3 => tile::<FUSED, 3>(k, place(whole), add),
                4 => tile::<FUSED, 4>(k, place(whole), add),
                5 => tile::<FUSED, 5>(k, place(whole), add),
                _ => {}
            }
        }
    }
}

/// `M` rows of sixteen columns.
///
/// # Safety
/// As of [`multiply`].
#[inline(always)]
unsafe fn tile<const FUSED: bool, const M: usize>(
    k: usize,
    (left, right, out): (Left, Right, Out),
    add: bool,
) {
    let mut sums = [[0.0f32; LANES]; M];
    // SAFETY: the caller's promise.
    unsafe {
        if add {
            for (row, sums) in sums.iter_mut().enumerate() {
                *sums = out
                    .0
                    .add(row * out.1)
                    .cast::<[f32; LANES]>()
                    .read_unaligned();
            }
        }
        for i in 0..k {
            let factors = right
                .0
                .add(i * right.1)
                .cast::<[f32; LANES]>()
                .read_unaligned();
            for (row, sums) in sums.iter_mut().enumerate() {
                let x = *left.0.add(row * left.1 + i * left.2);
                for (sum, y) in sums.iter_mut().zip(factors) {
                    *sum = match FUSED {
                        true => x.mul_add(y, *sum),
                        false => *sum + x * y,
                    };
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            out.0
                .add(row * out.1)
                .cast::<[f32; LANES]>()
                .write_unaligned(*sums);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_all_sizes_agree_with_the_sum() {
        let value = |i: usize| ((i * 37 + 11) % 23) as f32 / 7.0 - 1.5;
        for m in 1..14 {
            let (n, k) = (32, 5);
            let left: Vec<f32> = (0..m * k).map(value).collect();
            let right: Vec<f32> = (0..k * n).map(|i| value(i + 5)).collect();
            let mut out = vec![1.0; m * n];
            // The left matrix stands on its side.
            let place = Left(left.as_ptr(), 1, m);
            // SAFETY: the lists have these sizes.
            unsafe {
                let right = Right(right.as_ptr(), n);
                multiply::<false>([m, n, k], place, right, Out(out.as_mut_ptr(), n), true);
            }
            for (i, got) in out.iter().enumerate() {
                let terms = (0..k).map(|j| left[j * m + i / n] * right[j * n + i % n]);
                assert!((got - 1.0 - terms.sum::<f32>()).abs() < 1e-5);
            }
        }
    }
}
