//! Heads normalised and turned by their position, and the gradient.

use super::norm::{row, row_gradient};
use super::{Place, View, in_parts};
use pulp::{Arch, NullaryFnOnce};
use std::ops::Range;

/// Tokens of one part.
const PART: usize = 32;

/// What both directions are given.
struct Given<'a> {
    x: &'a [f32],
    weight: Option<&'a [f32]>,
    cosines: &'a [f32],
    sines: &'a [f32],
    eps: f32,
    /// Tokens of a row, heads, size of a head.
    sizes: [usize; 3],
}

impl<'a> Given<'a> {
    /// # Safety
    /// Inputs x `[B, L, H, D]`, weight `[D]` or nothing, and two tables `[L, D]` or `[B, 1, L, D]` are
    /// f32, in order; one number, eps. `rest` inputs come after them.
    unsafe fn new(inputs: *const View, count: usize, rest: usize, numbers: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            let [_, l, h, d] = (*inputs).dims();
            let tables = count - rest - 2;
            Self {
                x: (*inputs).numbers(),
                weight: (tables == 2).then(|| (*inputs.add(1)).numbers()),
                cosines: (*inputs.add(tables)).numbers(),
                sines: (*inputs.add(tables + 1)).numbers(),
                eps: *numbers,
                sizes: [l, h, d],
            }
        }
    }

    fn tokens(&self) -> usize {
        let [_, h, d] = self.sizes;
        self.x.len() / (h * d)
    }

    /// Cosines and sines of a token, counted over all rows.
    #[inline(always)]
    fn angles(&self, token: usize) -> (&'a [f32], &'a [f32]) {
        let [l, _, d] = self.sizes;
        // One table for all rows, or one for each.
        let at = match self.cosines.len() == l * d {
            true => token % l * d,
            false => token * d,
        };
        (&self.cosines[at..at + d], &self.sines[at..at + d])
    }
}

/// `n * cosines + exchanged(n) * sines`, `n` being x normalised.
///
/// # Safety
/// Inputs as `Given` demands, an output as x and apart from them.
pub(in crate::mlx) unsafe extern "C" fn forward(
    inputs: *const View,
    count: usize,
    outputs: *const View,
    numbers: *const f32,
) {
    // SAFETY: the caller's promise; each part writes its own tokens.
    let (given, y) = unsafe {
        let y = Place((*outputs).numbers_mut().as_mut_ptr());
        (Given::new(inputs, count, 0, numbers), y)
    };
    let [_, h, d] = given.sizes;
    in_parts(given.tokens(), PART, given.x.len(), |part| {
        // SAFETY: as above.
        let y = unsafe { y.rows(&part, h * d) };
        let given = &given;
        Arch::new().dispatch(Forward { given, part, y });
    });
}

/// The same turned back, and through the normalisation.
///
/// # Safety
/// Inputs as `Given` demands and dy as x; outputs as x and, where there is a weight, as that; f32, in
/// order, apart from the others.
pub(in crate::mlx) unsafe extern "C" fn backward(
    inputs: *const View,
    count: usize,
    outputs: *const View,
    numbers: *const f32,
) {
    // SAFETY: the caller's promise; each part writes its own tokens.
    let (given, dy, by_x) = unsafe {
        let by_x = Place((*outputs).numbers_mut().as_mut_ptr());
        let dy = (*inputs.add(count - 1)).numbers();
        (Given::new(inputs, count, 1, numbers), dy, by_x)
    };
    let ([_, h, d], tokens) = (given.sizes, given.tokens());
    // One sum for each part, and then their sum in order.
    let mut sums = vec![0.0; tokens.div_ceil(PART) * d];
    let place = Place(sums.as_mut_ptr());
    in_parts(tokens, PART, given.x.len(), |part| {
        // SAFETY: as above, and of the sums the part has a row.
        let (by_x, sums) = unsafe {
            let own = part.start / PART..part.start / PART + 1;
            (by_x.rows(&part, h * d), place.rows(&own, d))
        };
        Arch::new().dispatch(Backward {
            given: &given,
            dy,
            part,
            grads: [by_x, sums],
        });
    });
    if given.weight.is_some() {
        // SAFETY: with a weight there is a second output, as the weight.
        let by_weight = unsafe { (*outputs.add(1)).numbers_mut() };
        by_weight.fill(0.0);
        for part in sums.chunks_exact(d) {
            by_weight
                .iter_mut()
                .zip(part)
                .for_each(|(sum, x)| *sum += x);
        }
    }
}

struct Forward<'a> {
    given: &'a Given<'a>,
    part: Range<usize>,
    y: &'a mut [f32],
}

impl NullaryFnOnce for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let given = self.given;
        let [_, h, d] = given.sizes;
        let mut normed = vec![0.0; d];
        for (token, y) in self.part.zip(self.y.chunks_exact_mut(h * d)) {
            let (cosines, sines) = given.angles(token);
            let heads = given.x[token * h * d..][..h * d].chunks_exact(d);
            for (x, y) in heads.zip(y.chunks_exact_mut(d)) {
                let n = match given.weight {
                    Some(weight) => {
                        row(x, weight, given.eps, &mut normed);
                        &normed
                    }
                    None => x,
                };
                turned(n, cosines, sines, y);
            }
        }
    }
}

struct Backward<'a> {
    given: &'a Given<'a>,
    dy: &'a [f32],
    part: Range<usize>,
    grads: [&'a mut [f32]; 2],
}

impl NullaryFnOnce for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (given, [by_x, sums]) = (self.given, self.grads);
        let [_, h, d] = given.sizes;
        let mut back = vec![0.0; d];
        for (token, by_x) in self.part.zip(by_x.chunks_exact_mut(h * d)) {
            let (cosines, sines) = given.angles(token);
            let range = token * h * d..(token + 1) * h * d;
            let heads = given.x[range.clone()].chunks_exact(d);
            let heads = heads.zip(self.dy[range].chunks_exact(d));
            for ((x, dy), by_x) in heads.zip(by_x.chunks_exact_mut(d)) {
                match given.weight {
                    Some(weight) => {
                        turned_back(dy, cosines, sines, &mut back);
                        row_gradient(x, weight, &back, given.eps, by_x, sums);
                    }
                    None => turned_back(dy, cosines, sines, by_x),
                }
            }
        }
    }
}

#[inline(always)]
fn turned(n: &[f32], cosines: &[f32], sines: &[f32], y: &mut [f32]) {
    let half = n.len() / 2;
    let (n1, n2) = n.split_at(half);
    let (c1, c2) = cosines.split_at(half);
    let (s1, s2) = sines.split_at(half);
    let (y1, y2) = y.split_at_mut(half);
    for i in 0..half {
        y1[i] = n1[i] * c1[i] + n2[i] * s1[i];
        y2[i] = n2[i] * c2[i] + n1[i] * s2[i];
    }
}

/// The transposed of [`turned`].
#[inline(always)]
fn turned_back(dy: &[f32], cosines: &[f32], sines: &[f32], by: &mut [f32]) {
    let half = dy.len() / 2;
    let (d1, d2) = dy.split_at(half);
    let (c1, c2) = cosines.split_at(half);
    let (s1, s2) = sines.split_at(half);
    let (b1, b2) = by.split_at_mut(half);
    for i in 0..half {
        b1[i] = d1[i] * c1[i] + d2[i] * s2[i];
        b2[i] = d2[i] * c2[i] + d1[i] * s1[i];
    }
}
