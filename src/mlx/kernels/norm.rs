//! Root-mean-square normalisation of rows, and its gradient.

use super::{Place, View, in_parts, summed};
use pulp::{Arch, NullaryFnOnce};

/// Numbers of one part.
const PART: usize = 1 << 14;

/// `y = x / sqrt(mean(x^2) + eps) * weight`.
///
/// # Safety
/// Inputs x `[.., E]` and weight `[E]` and output y `[.., E]` are f32, in order, y apart from the
/// others; one number, eps.
pub(in crate::mlx) unsafe extern "C" fn forward(
    inputs: *const View,
    _: usize,
    outputs: *const View,
    numbers: *const f32,
) {
    // SAFETY: the caller's promise; each part writes its own rows.
    let (x, weight, y, eps) = unsafe {
        let y = Place((*outputs).numbers_mut().as_mut_ptr());
        ((*inputs).numbers(), (*inputs.add(1)).numbers(), y, *numbers)
    };
    let width = weight.len();
    in_parts(x.len() / width, PART / width, x.len(), |part| {
        // SAFETY: as above.
        let y = unsafe { y.rows(&part, width) };
        let x = &x[part.start * width..part.end * width];
        Arch::new().dispatch(Forward { x, weight, y, eps });
    });
}

/// With `r = 1 / sqrt(mean(x^2) + eps)` and `g = weight dy`: `r g - x r^3 mean(g x)`, and the sum of
/// `dy x r` over the rows.
///
/// # Safety
/// Inputs x `[.., E]`, weight `[E]` and dy `[.., E]` and the outputs, as x and as weight, are f32, in
/// order, the outputs apart from the others; one number, eps.
pub(in crate::mlx) unsafe extern "C" fn backward(
    inputs: *const View,
    _: usize,
    outputs: *const View,
    numbers: *const f32,
) {
    // SAFETY: the caller's promise; each part writes its own rows.
    let ([x, weight, dy], by_x, by_weight, eps) = unsafe {
        (
            [0, 1, 2].map(|i| (*inputs.add(i)).numbers()),
            Place((*outputs).numbers_mut().as_mut_ptr()),
            (*outputs.add(1)).numbers_mut(),
            *numbers,
        )
    };
    let (width, rows) = (weight.len(), x.len() / weight.len());
    let per = (PART / width).max(1);
    // One sum for each part, and then their sum in order.
    let mut sums = vec![0.0; rows.div_ceil(per) * width];
    let place = Place(sums.as_mut_ptr());
    in_parts(rows, per, x.len(), |part| {
        // SAFETY: as above, and of the sums the part has a row.
        let (by_x, sums) = unsafe {
            let own = part.start / per..part.start / per + 1;
            (by_x.rows(&part, width), place.rows(&own, width))
        };
        let range = part.start * width..part.end * width;
        let (x, dy) = (&x[range.clone()], &dy[range]);
        Arch::new().dispatch(Backward {
            given: [x, weight, dy],
            grads: [by_x, sums],
            eps,
        });
    });
    by_weight.fill(0.0);
    for part in sums.chunks_exact(width) {
        by_weight
            .iter_mut()
            .zip(part)
            .for_each(|(sum, x)| *sum += x);
    }
}

struct Forward<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    y: &'a mut [f32],
    eps: f32,
}

impl NullaryFnOnce for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let width = self.weight.len();
        let rows = self.x.chunks_exact(width);
        for (x, y) in rows.zip(self.y.chunks_exact_mut(width)) {
            row(x, self.weight, self.eps, y);
        }
    }
}

struct Backward<'a> {
    given: [&'a [f32]; 3],
    grads: [&'a mut [f32]; 2],
    eps: f32,
}

impl NullaryFnOnce for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let ([x, weight, dy], [by_x, sums]) = (self.given, self.grads);
        let width = weight.len();
        let rows = x.chunks_exact(width).zip(dy.chunks_exact(width));
        for ((x, dy), by_x) in rows.zip(by_x.chunks_exact_mut(width)) {
            row_gradient(x, weight, dy, self.eps, by_x, sums);
        }
    }
}

/// A row, normalised.
#[inline(always)]
pub(super) fn row(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
    let r = reciprocal(x, eps);
    for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
        *y = x * r * w;
    }
}

/// The gradient by a row, and that by the weight, added to a sum.
#[inline(always)]
pub(super) fn row_gradient(
    x: &[f32],
    weight: &[f32],
    dy: &[f32],
    eps: f32,
    by_x: &mut [f32],
    by_weight: &mut [f32],
) {
    let width = x.len();
    let (dy, weight) = (&dy[..width], &weight[..width]);
    let r = reciprocal(x, eps);
    let mean = summed(width, |i| weight[i] * dy[i] * x[i]) / width as f32;
    let back = r * r * r * mean;
    for ((by_x, x), (dy, w)) in by_x.iter_mut().zip(x).zip(dy.iter().zip(weight)) {
        *by_x = r * w * dy - x * back;
    }
    for ((sum, x), dy) in by_weight.iter_mut().zip(x).zip(dy) {
        *sum += dy * x * r;
    }
}

#[inline(always)]
fn reciprocal(x: &[f32], eps: f32) -> f32 {
    let square = summed(x.len(), |i| x[i] * x[i]) / x.len() as f32;
    1.0 / (square + eps).sqrt()
}
