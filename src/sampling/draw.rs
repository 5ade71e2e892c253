//! The draw: one number for each row inverts its cumulative distribution.

use crate::error::Result;
use crate::mlx::random::Host;
use crate::mlx::{Array, Dtype};
use mlx_rs::ops::{self, indexing};

/// One row's random numbers for one draw, in `[0, 1)`: made on the host, so that a row depends on
/// its own seed only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance {
    /// Which token.
    pub draw: f32,
    /// Whether the top choices are excluded.
    pub xtc: f32,
}

impl Chance {
    /// Two independent numbers of 23 bits each, from the next 64 of a generator; the first is the
    /// one that [`Host::uniform`] would give.
    pub fn next(host: &mut Host) -> Self {
        let bits = host.next_u64();
        let unit = |bits: u64| (bits & 0x7f_ffff) as f32 / (1u64 << 23) as f32;
        Self {
            draw: unit(bits >> 41),
            xtc: unit(bits >> 18),
        }
    }
}

/// What was drawn: ids and their log-probabilities, `[B]` each.
#[derive(Clone, Debug)]
pub struct Draw {
    /// `int32` `[B]`
    pub tokens: Array,
    /// f32 `[B]`: under the model at the sampling temperature, without filters, penalties or bias.
    pub logprobs: Array,
}

/// The first place whose cumulative probability exceeds the row's number.
///
/// The number is scaled by the sum, which rounding keeps from being 1: a number near 1 would
/// otherwise pass the end.
///
/// # Shapes
/// - probabilities: f32 `[B, N]`
/// - returns: `uint32` `[B, 1]`
pub fn invert(probabilities: &Array, chances: &[Chance]) -> Result<Array> {
    let numbers: Vec<f32> = chances.iter().map(|chance| chance.draw).collect();
    let numbers = Array::from_slice(&numbers, &[numbers.len() as i32, 1]);
    let cumulative = probabilities.cumsum(-1, false, true)?;
    let target = cumulative.max_axis(-1, true)?.multiply(&numbers)?;
    Ok(indexing::argmax_axis(&cumulative.gt(&target)?, -1, true)?)
}

/// Draws from probabilities that are there already; they need not sum to 1.
///
/// # Shapes
/// - probabilities: f32 `[B, V]`
/// - returns: `int32` `[B]`
pub fn draw_from(probabilities: &Array, chances: &[Chance]) -> Result<Array> {
    let places = invert(probabilities, chances)?;
    Ok(places.squeeze_axes(&[-1])?.as_dtype(Dtype::Int32)?)
}

/// Probabilities of ids in a row of the whole vocabulary, 0 for the others.
///
/// # Shapes
/// - ids: `[B, N]`
/// - probabilities: f32 `[B, N]`, or one number
/// - returns: f32 `[B, V]`
pub fn spread(ids: &Array, probabilities: &Array, vocab: i32) -> Result<Array> {
    let nothing = ops::zeros_dtype(&[ids.dim(0), vocab], Dtype::Float32)?;
    let probabilities = ops::broadcast_to(probabilities, ids.shape())?;
    Ok(indexing::put_along_axis(&nothing, ids, &probabilities, -1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_two_numbers_of_one_stream() {
        let (mut one, mut other) = (Host::new(5), Host::new(5));
        let (mut sum, mut product) = (0.0, 0.0);
        let n = 20_000;
        for _ in 0..n {
            let chance = Chance::next(&mut one);
            assert_eq!(chance.draw, other.uniform());
            assert!((0.0..1.0).contains(&chance.xtc));
            sum += f64::from(chance.xtc);
            product += (f64::from(chance.xtc) - 0.5) * (f64::from(chance.draw) - 0.5);
        }
        // Standard errors 0.002 and 0.0006: five of them.
        assert!((sum / f64::from(n) - 0.5).abs() < 0.01);
        assert!((product / f64::from(n)).abs() < 0.003);
    }

    #[test]
    fn numbers_at_both_ends_draw_what_is_possible() {
        let p = Array::from_slice(&[0.0f32, 0.25, 0.75, 0.0], &[1, 4]);
        let at = |draw| {
            let index = invert(&p, &[Chance { draw, xtc: 0.0 }]).unwrap();
            crate::tensor::to_i32(&index).unwrap()[0]
        };
        assert_eq!(
            [at(0.0), at(0.24), at(0.25), at(1.0 - f32::EPSILON)],
            [1, 1, 2, 2]
        );
    }
}
