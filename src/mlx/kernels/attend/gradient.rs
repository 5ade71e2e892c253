//! The gradient of attention: the weights of a block of queries are computed again, not kept.

use super::{BLOCK, Given, exponentials, gather, gather_turned, score, take};
use crate::mlx::kernels::product::{Left, Out, Right, multiply};
use crate::mlx::kernels::{View, summed};

/// The gradient of a head of keys and values and of the queries that share it.
///
/// # Safety
/// As of [`backward`](super::backward).
#[inline(always)]
pub(super) unsafe fn gradient<const FUSED: bool>(
    given: &Given,
    dy: &View,
    [by_q, by_k, by_v]: [&View; 3],
    b: usize,
    kv: usize,
    scratch: &mut [f32],
) {
    let s = given.sizes;
    let group = s.heads / s.kv_heads;
    let mut rest = scratch;
    let turned_keys = take(&mut rest, s.wide * s.wide_keys);
    let turned_values = take(&mut rest, s.wide * s.wide_keys);
    let weights = take(&mut rest, BLOCK * s.wide_keys);
    let grads = take(&mut rest, BLOCK * s.wide_keys);
    let keys = take(&mut rest, s.keys * s.wide);
    let (sum_k, sum_v) = (
        take(&mut rest, s.keys * s.wide),
        take(&mut rest, s.keys * s.wide),
    );
    let [q, d, back] = [(); 3].map(|()| take(&mut rest, BLOCK * s.wide));
    sum_k.fill(0.0);
    sum_v.fill(0.0);
    // SAFETY: the caller's promise; the scratch has the sizes that are multiplied.
    unsafe {
        gather_turned(&given.k, b, kv, &s, turned_keys);
        gather_turned(&given.v, b, kv, &s, turned_values);
        gather(&given.k, [b, 0, kv], s.dim, s.wide, 1.0, keys);
        for head in kv * group..(kv + 1) * group {
            for first in (0..s.queries).step_by(BLOCK) {
                let n = BLOCK.min(s.queries - first);
                let seen = given.limit(first + n - 1);
                // 1. The weights again, and the gradient by them.
                gather(
                    &given.q,
                    [b, first, head],
                    s.dim,
                    s.wide,
                    given.scale,
                    &mut q[..n * s.wide],
                );
                gather(
                    dy,
                    [b, first, head],
                    s.dim,
                    s.wide,
                    1.0,
                    &mut d[..n * s.wide],
                );
                score::<FUSED>(&s, n, seen, q, turned_keys, weights);
                score::<FUSED>(&s, n, seen, d, turned_values, grads);
                let rows = weights.chunks_exact_mut(s.wide_keys);
                let rows = rows.zip(grads.chunks_exact_mut(s.wide_keys)).take(n);
                for (i, (weights, grads)) in rows.enumerate() {
                    let limit = given.limit(first + i);
                    let (weights, unseen) = weights.split_at_mut(limit);
                    unseen.fill(0.0);
                    let (grads, unseen) = grads.split_at_mut(limit);
                    unseen.fill(0.0);
                    given.hide([b, head, first + i], weights);
                    let share = 1.0 / exponentials(weights);
                    weights.iter_mut().for_each(|w| *w *= share);
                    let mean = summed(limit, |i| weights[i] * grads[i]);
                    for (g, w) in grads.iter_mut().zip(weights.iter()) {
                        *g = w * (*g - mean);
                    }
                }
                // 2. From the scores to queries and keys, and from the weights to values.
                multiply::<FUSED>(
                    [n, s.wide, seen],
                    Left(grads.as_ptr(), s.wide_keys, 1),
                    Right(keys.as_ptr(), s.wide),
                    Out(back.as_mut_ptr(), s.wide),
                    false,
                );
                for (i, y) in back.chunks_exact(s.wide).take(n).enumerate() {
                    let row = by_q.row([b, first + i, head]);
                    let place = std::slice::from_raw_parts_mut(row, s.dim);
                    place
                        .iter_mut()
                        .zip(y)
                        .for_each(|(to, y)| *to = y * given.scale);
                }
                for (scores, right, sum) in
                    [(&*grads, &*q, &mut *sum_k), (&*weights, &*d, &mut *sum_v)]
                {
                    multiply::<FUSED>(
                        [seen, s.wide, n],
                        Left(scores.as_ptr(), 1, s.wide_keys),
                        Right(right.as_ptr(), s.wide),
                        Out(sum.as_mut_ptr(), s.wide),
                        true,
                    );
                }
            }
        }
        for (sum, by) in [(sum_k, by_k), (sum_v, by_v)] {
            for (i, sum) in sum.chunks_exact(s.wide).enumerate() {
                let place = std::slice::from_raw_parts_mut(by.row([b, i, kv]), s.dim);
                place.copy_from_slice(&sum[..s.dim]);
            }
        }
    }
}
