//! `silu(gate) * up`, and its gradient.

use super::{Place, View, in_parts};
use crate::mlx::rows::exp;
use pulp::{Arch, NullaryFnOnce};

/// Numbers of one part.
const PART: usize = 1 << 14;

/// `y = gate * sigmoid(gate) * up`.
///
/// # Safety
/// Inputs gate and up and output y are f32 of one size, in order, y apart from the others.
pub(in crate::mlx) unsafe extern "C" fn forward(
    inputs: *const View,
    _: usize,
    outputs: *const View,
    _: *const f32,
) {
    // SAFETY: the caller's promise; each part writes its own numbers.
    let (gate, up, y) = unsafe {
        let y = Place((*outputs).numbers_mut().as_mut_ptr());
        ((*inputs).numbers(), (*inputs.add(1)).numbers(), y)
    };
    in_parts(gate.len(), PART, gate.len(), |part| {
        // SAFETY: as above.
        let y = unsafe { y.rows(&part, 1) };
        let (gate, up) = (&gate[part.clone()], &up[part]);
        Arch::new().dispatch(Forward { gate, up, y });
    });
}

/// With `s = sigmoid(gate)`: `dy up s (1 + gate (1 - s))` and `dy gate s`.
///
/// # Safety
/// Inputs gate, up and dy and both outputs are f32 of one size, in order, the outputs apart from the
/// others.
pub(in crate::mlx) unsafe extern "C" fn backward(
    inputs: *const View,
    _: usize,
    outputs: *const View,
    _: *const f32,
) {
    // SAFETY: the caller's promise; each part writes its own numbers.
    let ([gate, up, dy], [by_gate, by_up]) = unsafe {
        (
            [0, 1, 2].map(|i| (*inputs.add(i)).numbers()),
            [0, 1].map(|i| Place((*outputs.add(i)).numbers_mut().as_mut_ptr())),
        )
    };
    in_parts(gate.len(), PART, gate.len(), |part| {
        // SAFETY: as above.
        let (by_gate, by_up) = unsafe { (by_gate.rows(&part, 1), by_up.rows(&part, 1)) };
        let given = [&gate[part.clone()], &up[part.clone()], &dy[part]];
        let grads = [by_gate, by_up];
        Arch::new().dispatch(Backward { given, grads });
    });
}

struct Forward<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    y: &'a mut [f32],
}

impl NullaryFnOnce for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for ((y, g), u) in self.y.iter_mut().zip(self.gate).zip(self.up) {
            *y = g * sigmoid(*g) * u;
        }
    }
}

struct Backward<'a> {
    given: [&'a [f32]; 3],
    grads: [&'a mut [f32]; 2],
}

impl NullaryFnOnce for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let ([gate, up, dy], [by_gate, by_up]) = (self.given, self.grads);
        let grads = by_gate.iter_mut().zip(by_up);
        let given = gate.iter().zip(up).zip(dy);
        for ((by_gate, by_up), ((g, u), dy)) in grads.zip(given) {
            let s = sigmoid(*g);
            *by_gate = dy * u * s * (1.0 + g * (1.0 - s));
            *by_up = dy * g * s;
        }
    }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}
