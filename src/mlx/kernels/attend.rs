//! Attention, and its gradient, a block of queries at a time: no matrix of all scores is kept.
//!
//! Each head of keys and values, with the queries that share it, is one part of the work. What a part
//! needs is copied in order first, so that strides of the inputs do not matter afterwards.

mod gradient;

use super::product::{Left, Out, Right, is_fused, multiply};
use super::{LANES, View, in_parts, summed};
use crate::mlx::rows::exp;
use gradient::gradient;
use pulp::{Arch, NullaryFnOnce};
use std::cell::RefCell;

/// Queries of one block.
const BLOCK: usize = 48;

/// Up to so many queries of a head are answered without copies of the keys.
const FEW: usize = 4;

/// Scores below the largest by more than this have no weight.
const LEAST: f32 = -87.0;

thread_local! {
    /// Memory for the copies, kept for the next call.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// What both directions are given.
struct Given {
    q: View,
    k: View,
    v: View,
    mask: Option<View>,
    scale: f32,
    causal: bool,
    sizes: Sizes,
}

#[derive(Clone, Copy)]
struct Sizes {
    rows: usize,
    queries: usize,
    heads: usize,
    keys: usize,
    kv_heads: usize,
    dim: usize,
    /// Keys and size of a head, rounded up to whole vectors.
    wide_keys: usize,
    wide: usize,
}

impl Given {
    /// # Safety
    /// Inputs q `[B, L, H, D]`, k and v `[B, S, K, D]`, f32, the numbers of a head in order, and
    /// perhaps a mask `[B, H, L, S]` of bytes, in order but for repeated sizes of 1. `rest` inputs come
    /// after them. Numbers: scale, and whether a query sees the keys before it only.
    unsafe fn new(inputs: *const View, count: usize, rest: usize, numbers: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            let [q, k, v] = [0, 1, 2].map(|i| *inputs.add(i));
            let ([rows, queries, heads, dim], [_, keys, kv_heads, _]) = (q.dims(), k.dims());
            Self {
                q,
                k,
                v,
                mask: (count - rest > 3).then(|| *inputs.add(3)),
                scale: *numbers,
                causal: *numbers.add(1) != 0.0,
                sizes: Sizes {
                    rows,
                    queries,
                    heads,
                    keys,
                    kv_heads,
                    dim,
                    wide_keys: keys.next_multiple_of(LANES),
                    wide: dim.next_multiple_of(LANES),
                },
            }
        }
    }

    /// How many keys a query may see.
    fn limit(&self, query: usize) -> usize {
        match self.causal {
            true => self.sizes.keys - self.sizes.queries + query + 1,
            false => self.sizes.keys,
        }
    }

    /// Works on every row and head of keys, with memory of `size` numbers.
    fn in_heads(&self, size: usize, dy: Option<View>, outputs: &[View]) {
        let s = self.sizes;
        // The scores weigh more than their number: each costs 2 D products.
        let worth = s.rows * s.heads * s.queries * s.keys * s.dim / 16;
        let fused = is_fused();
        in_parts(s.rows * s.kv_heads, 1, worth, |part| {
            SCRATCH.with_borrow_mut(|scratch| {
                if scratch.len() < size {
                    scratch.resize(size, 0.0);
                }
                let scratch = &mut scratch[..size];
                let at = [part.start / s.kv_heads, part.start % s.kv_heads];
                match fused {
                    true => Arch::new().dispatch(Head::<true> {
                        given: self,
                        dy,
                        outputs,
                        at,
                        scratch,
                    }),
                    false => Arch::new().dispatch(Head::<false> {
                        given: self,
                        dy,
                        outputs,
                        at,
                        scratch,
                    }),
                }
            });
        });
    }

    /// Lowers the scores of what a query may not see to the lowest number, as MLX does.
    ///
    /// # Safety
    /// As of [`Given::new`]; indices within the sizes.
    #[inline(always)]
    unsafe fn hide(&self, [b, h, query]: [usize; 3], scores: &mut [f32]) {
        let Some(mask) = &self.mask else { return };
        let at = |axis: usize, i: usize| match mask.shape[axis] {
            1 => 0,
            _ => i as i64 * mask.strides[axis],
        };
        let start = (at(0, b) + at(1, h) + at(2, query)) as usize;
        let step = at(3, 1) as usize;
        let bytes = mask.data.cast::<u8>();
        for (i, score) in scores.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            if unsafe { *bytes.add(start + i * step) } == 0 {
                *score = f32::MIN;
            }
        }
    }
}

/// The mean of the values, weighted by the softmax of the scores.
///
/// # Safety
/// Inputs as [`Given::new`] demands; the output is f32 `[B, L, H, D]`, in order, apart from them.
pub(in crate::mlx) unsafe extern "C" fn forward(
    inputs: *const View,
    count: usize,
    outputs: *const View,
    numbers: *const f32,
) {
    // SAFETY: the caller's promise.
    let (given, out) = unsafe { (Given::new(inputs, count, 0, numbers), *outputs) };
    let s = given.sizes;
    let size = match s.queries <= FEW {
        true => s.wide_keys + s.wide,
        false => (s.wide + BLOCK) * s.wide_keys + (s.keys + 2 * BLOCK) * s.wide,
    };
    given.in_heads(size, None, &[out]);
}

/// With `P` the weights, `dP = dO v^T` and `dS = P (dP - sum(P dP))`: `dS k`, `dS^T q` and `P^T dO`.
///
/// # Safety
/// Inputs as [`Given::new`] demands, then dO as q in order; the outputs are f32, as q, k and v, in
/// order, apart from the inputs.
pub(in crate::mlx) unsafe extern "C" fn backward(
    inputs: *const View,
    count: usize,
    outputs: *const View,
    numbers: *const f32,
) {
    // SAFETY: the caller's promise; each head writes its own numbers.
    unsafe {
        let given = Given::new(inputs, count, 1, numbers);
        let dy = *inputs.add(count - 1);
        let outputs = [0, 1, 2].map(|i| *outputs.add(i));
        let s = given.sizes;
        let size = (2 * s.wide + 2 * BLOCK) * s.wide_keys + (3 * s.keys + 3 * BLOCK) * s.wide;
        given.in_heads(size, Some(dy), &outputs);
    }
}

/// A head of keys and values, with the queries that share it.
struct Head<'a, const FUSED: bool> {
    given: &'a Given,
    /// In the backward direction.
    dy: Option<View>,
    outputs: &'a [View],
    /// Which row, and which head.
    at: [usize; 2],
    scratch: &'a mut [f32],
}

impl<const FUSED: bool> NullaryFnOnce for Head<'_, FUSED> {
    type Output = ();

    // In one piece with what calls it, which has the vector instructions.
    #[inline(always)]
    fn call(self) {
        let (given, [b, kv], scratch) = (self.given, self.at, self.scratch);
        // SAFETY: `forward` and `backward` were promised what these ask for; each head writes its own
        // numbers.
        unsafe {
            match (self.dy, self.outputs) {
                (Some(dy), [q, k, v]) => gradient::<FUSED>(given, &dy, [q, k, v], b, kv, scratch),
                (None, [out]) if given.sizes.queries <= FEW => few(given, out, b, kv, scratch),
                (None, [out]) => many::<FUSED>(given, out, b, kv, scratch),
                _ => {}
            }
        }
    }
}

/// Cuts the first numbers off.
fn take<'a>(rest: &mut &'a mut [f32], size: usize) -> &'a mut [f32] {
    let (first, others) = std::mem::take(rest).split_at_mut(size);
    *rest = others;
    first
}

/// Copies the rows of a head to rows of `wide` numbers, filled up with zeros, times a factor.
///
/// # Safety
/// The indices are within the view.
#[inline(always)]
unsafe fn gather(
    from: &View,
    [b, first, head]: [usize; 3],
    dim: usize,
    wide: usize,
    factor: f32,
    to: &mut [f32],
) {
    for (i, to) in to.chunks_exact_mut(wide).enumerate() {
        // SAFETY: the caller's promise.
        let row = unsafe { std::slice::from_raw_parts(from.row([b, first + i, head]), dim) };
        let (numbers, rest) = to.split_at_mut(dim);
        numbers
            .iter_mut()
            .zip(row)
            .for_each(|(to, x)| *to = x * factor);
        rest.fill(0.0);
    }
}

/// Copies the rows of a head to columns, filled up with zeros.
///
/// # Safety
/// The head is within the view.
#[inline(always)]
unsafe fn gather_turned(from: &View, b: usize, head: usize, s: &Sizes, to: &mut [f32]) {
    for key in 0..s.wide_keys {
        if key >= s.keys {
            (0..s.dim).for_each(|i| to[i * s.wide_keys + key] = 0.0);
            continue;
        }
        // SAFETY: the caller's promise.
        let row = unsafe { std::slice::from_raw_parts(from.row([b, key, head]), s.dim) };
        for (i, x) in row.iter().enumerate() {
            to[i * s.wide_keys + key] = *x;
        }
    }
}

/// Turns scores to their exponentials, relative to the largest; their sum. A row that is not a number
/// somewhere is so everywhere.
#[inline(always)]
fn exponentials(scores: &mut [f32]) -> f32 {
    let mut most = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = scores.as_chunks::<LANES>();
    for block in blocks {
        for (most, x) in most.iter_mut().zip(block) {
            *most = if *x > *most { *x } else { *most };
        }
    }
    let top = rest
        .iter()
        .chain(&most)
        .fold(f32::NEG_INFINITY, |top, x| top.max(*x));
    for x in scores.iter_mut() {
        let below = *x - top;
        let e = exp(below);
        *x = if below < LEAST { 0.0 } else { e };
    }
    summed(scores.len(), |i| scores[i])
}

/// The answers of a few queries: a pass over the keys and one over the values, where they lie.
///
/// # Safety
/// As of [`forward`].
#[inline(always)]
unsafe fn few(given: &Given, out: &View, b: usize, kv: usize, scratch: &mut [f32]) {
    let s = given.sizes;
    let group = s.heads / s.kv_heads;
    let (scores, answer) = scratch.split_at_mut(s.wide_keys);
    for (head, query) in (0..group).flat_map(|i| (0..s.queries).map(move |l| (kv * group + i, l))) {
        let scores = &mut scores[..given.limit(query)];
        let answer = &mut answer[..s.dim];
        // SAFETY: the caller's promise.
        unsafe {
            let q = std::slice::from_raw_parts(given.q.row([b, query, head]), s.dim);
            for (i, score) in scores.iter_mut().enumerate() {
                let key = std::slice::from_raw_parts(given.k.row([b, i, kv]), s.dim);
                *score = given.scale * summed(s.dim, |i| q[i] * key[i]);
            }
            given.hide([b, head, query], scores);
            let sum = exponentials(scores);
            answer.fill(0.0);
            for (i, weight) in scores.iter().enumerate() {
                let value = std::slice::from_raw_parts(given.v.row([b, i, kv]), s.dim);
                answer
                    .iter_mut()
                    .zip(value)
                    .for_each(|(y, v)| *y += weight * v);
            }
            let place = std::slice::from_raw_parts_mut(out.row([b, query, head]), s.dim);
            place
                .iter_mut()
                .zip(answer)
                .for_each(|(to, y)| *to = *y / sum);
        }
    }
}

/// The answers of many queries, a block at a time.
///
/// # Safety
/// As of [`forward`].
#[inline(always)]
unsafe fn many<const FUSED: bool>(
    given: &Given,
    out: &View,
    b: usize,
    kv: usize,
    scratch: &mut [f32],
) {
    let s = given.sizes;
    let group = s.heads / s.kv_heads;
    let mut rest = scratch;
    let keys = take(&mut rest, s.wide * s.wide_keys);
    let values = take(&mut rest, s.keys * s.wide);
    let scores = take(&mut rest, BLOCK * s.wide_keys);
    let (q, y) = (
        take(&mut rest, BLOCK * s.wide),
        take(&mut rest, BLOCK * s.wide),
    );
    let mut sums = [0.0; BLOCK];
    // SAFETY: the caller's promise; the scratch has the sizes that are multiplied.
    unsafe {
        gather_turned(&given.k, b, kv, &s, keys);
        gather(&given.v, [b, 0, kv], s.dim, s.wide, 1.0, values);
        for head in kv * group..(kv + 1) * group {
            for first in (0..s.queries).step_by(BLOCK) {
                let n = BLOCK.min(s.queries - first);
                gather(
                    &given.q,
                    [b, first, head],
                    s.dim,
                    s.wide,
                    given.scale,
                    &mut q[..n * s.wide],
                );
                let seen = given.limit(first + n - 1);
                score::<FUSED>(&s, n, seen, q, keys, scores);
                for (i, scores) in scores.chunks_exact_mut(s.wide_keys).take(n).enumerate() {
                    let (own, others) = scores.split_at_mut(given.limit(first + i));
                    given.hide([b, head, first + i], own);
                    sums[i] = exponentials(own);
                    others.fill(0.0);
                }
                multiply::<FUSED>(
                    [n, s.wide, seen],
                    Left(scores.as_ptr(), s.wide_keys, 1),
                    Right(values.as_ptr(), s.wide),
                    Out(y.as_mut_ptr(), s.wide),
                    false,
                );
                for (i, y) in y.chunks_exact(s.wide).take(n).enumerate() {
                    let row = out.row([b, first + i, head]);
                    let place = std::slice::from_raw_parts_mut(row, s.dim);
                    place
                        .iter_mut()
                        .zip(y)
                        .for_each(|(to, y)| *to = y / sums[i]);
                }
            }
        }
    }
}

/// Products of `n` rows with the first `seen` columns.
///
/// # Safety
/// The lists have the sizes that are multiplied.
#[inline(always)]
unsafe fn score<const FUSED: bool>(
    s: &Sizes,
    n: usize,
    seen: usize,
    rows: &[f32],
    columns: &[f32],
    scores: &mut [f32],
) {
    // SAFETY: the caller's promise.
    unsafe {
        multiply::<FUSED>(
            [n, seen.next_multiple_of(LANES), s.dim],
            Left(rows.as_ptr(), s.wide, 1),
            Right(columns.as_ptr(), s.wide_keys),
            Out(scores.as_mut_ptr(), s.wide_keys),
            false,
        );
    }
}
