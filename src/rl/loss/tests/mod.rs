//! Values that a reader can check, and properties that hold for any.

mod entropy;
mod gradients;
mod invariance;
mod values;

use super::*;
use crate::error::Result;
use crate::mlx::autograd;
use crate::tensor::{item, to_f32};

pub fn matrix<const B: usize, const T: usize>(rows: [[f32; T]; B]) -> Array {
    let flat: Vec<f32> = rows.into_iter().flatten().collect();
    Array::from_slice(&flat, &[B as i32, T as i32])
}

pub fn list(values: &[f32]) -> Array {
    Array::from_slice(values, &[values.len() as i32])
}

pub fn of(loss_type: LossType) -> LossSettings {
    LossSettings {
        loss_type,
        ..LossSettings::default()
    }
}

/// Three rows of 5, 3 and 4 tokens whose ratios stand on either side of the clip.
pub struct Batch {
    pub logprobs: Array,
    pub old: Array,
    pub reference: Array,
    pub entropies: Array,
    pub advantages: Array,
    pub mask: Array,
}

impl Batch {
    pub fn new() -> Self {
        Self {
            logprobs: matrix([
                [-0.5, -1.2, -0.3, -2.0, -0.9],
                [-1.1, -0.4, -0.7, -0.6, -0.8],
                [-0.25, -1.75, -0.95, -0.15, -1.3],
            ]),
            old: matrix([
                [-1.0, -0.8, -0.4, -2.6, -1.3],
                [-1.7, 0.5, -0.1, -0.8, -0.9],
                [-0.35, -1.45, -1.2, -0.2, -2.0],
            ]),
            reference: matrix([
                [-0.7, -1.1, -0.35, -2.3, -0.5],
                [-0.8, -0.55, -1.1, -0.8, -0.8],
                [-0.85, -1.55, -0.9, -0.25, -1.6],
            ]),
            entropies: matrix([
                [0.1, 2.0, 0.3, 1.4, 0.5],
                [0.7, 0.2, 0.9, 9.0, 9.0],
                [1.1, 1.2, 0.15, 0.6, 9.0],
            ]),
            advantages: list(&[1.2, -0.8, 0.5]),
            mask: matrix([
                [1.0, 1.0, 1.0, 1.0, 1.0],
                [1.0, 1.0, 1.0, 0.0, 0.0],
                [1.0, 1.0, 1.0, 1.0, 0.0],
            ]),
        }
    }

    pub fn on_policy(&self) -> LossInputs<'_> {
        LossInputs {
            max_completion_length: Some(8),
            ..LossInputs::new(&self.logprobs, &self.advantages, &self.mask)
        }
    }

    pub fn inputs(&self) -> LossInputs<'_> {
        LossInputs {
            old_logprobs: Some(&self.old),
            ref_logprobs: Some(&self.reference),
            entropies: Some(&self.entropies),
            ..self.on_policy()
        }
    }
}

#[track_caller]
pub fn value(inputs: &LossInputs, settings: &LossSettings) -> f32 {
    item(&loss(inputs, settings).unwrap().0).unwrap()
}

#[track_caller]
pub fn metric(inputs: &LossInputs, settings: &LossSettings, name: &str) -> f32 {
    let (_, watched) = loss(inputs, settings).unwrap();
    let found = watched.iter().find(|(known, _)| known == name);
    item(&found.unwrap_or_else(|| panic!("no {name}")).1).unwrap()
}

/// The gradient by the log-probabilities.
#[track_caller]
pub fn gradient(inputs: &LossInputs, settings: &LossSettings) -> Vec<f32> {
    let f = |a: &[Array]| {
        let logprobs = &a[0];
        let inputs = LossInputs {
            logprobs,
            ..*inputs
        };
        Ok(vec![loss(&inputs, settings)?.0])
    };
    let leaves = [inputs.logprobs.clone()];
    to_f32(&autograd::value_and_grad(f, &leaves).unwrap().1[0]).unwrap()
}

#[track_caller]
pub fn close(got: f32, expected: f32) {
    let off = (got - expected).abs();
    assert!(
        off <= 2e-6 * expected.abs().max(1.0),
        "{got}, not {expected}"
    );
}

#[track_caller]
pub fn all_close(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len());
    for (a, b) in got.iter().zip(expected) {
        close(*a, *b);
    }
}

#[track_caller]
pub fn message<T: std::fmt::Debug>(outcome: Result<T>) -> String {
    outcome.unwrap_err().to_string()
}
