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

/// How many neighbours are summed up before a search of a large vocabulary; most sizes of
/// vocabularies are a multiple of it.
const BLOCK: i32 = 128;

/// From so many places on, blocks are searched before places: running sums of everything cost more
/// than all else of a draw.
const LARGE: i32 = 4096;

/// The first place whose cumulative probability exceeds the row's number.
///
/// # Shapes
/// - probabilities: f32 `[B, N]`; they need not sum to 1
/// - returns: `uint32` `[B, 1]`
pub fn invert(probabilities: &Array, chances: &[Chance]) -> Result<Array> {
    let numbers: Vec<f32> = chances.iter().map(|chance| chance.draw).collect();
    let numbers = Array::from_slice(&numbers, &[numbers.len() as i32, 1]);
    let (rows, places) = (probabilities.dim(0), probabilities.dim(1));
    if places < LARGE || places % BLOCK != 0 {
        let cumulative = probabilities.cumsum(-1, false, true)?;
        // The number is scaled by the sum, which rounding keeps from being 1: a number near 1
        // would otherwise pass the end.
        let target = cumulative.max_axis(-1, true)?.multiply(&numbers)?;
        return Ok(indexing::argmax_axis(&cumulative.gt(&target)?, -1, true)?);
    }
    // 1. The block.
    let blocks = probabilities.reshape(&[rows, places / BLOCK, BLOCK])?;
    let sums = blocks.sum_axis(-1, false)?;
    let cumulative = sums.cumsum(-1, false, true)?;
    let target = cumulative.max_axis(-1, true)?.multiply(&numbers)?;
    let block = indexing::argmax_axis(&cumulative.gt(&target)?, -1, true)?;
    let of_block = |a: &Array| indexing::take_along_axis(a, &block, -1);
    let before = of_block(&cumulative)?.subtract(of_block(&sums)?)?;
    // 2. The place in it. Rounding must lead neither past its end nor to a place without
    // probability at its beginning.
    let inside = indexing::take_along_axis(&blocks, &block.expand_dims(-1)?, 1)?;
    let inside = inside.squeeze_axes(&[1])?.cumsum(-1, false, true)?;
    let most = inside
        .max_axis(-1, true)?
        .multiply(Array::from_f32(1.0 - f32::EPSILON))?;
    let rest = ops::minimum(target.subtract(&before)?, &most)?;
    let rest = ops::maximum(&rest, Array::from_f32(0.0))?;
    let place = indexing::argmax_axis(&inside.gt(&rest)?, -1, true)?;
    let size = Array::from_int(BLOCK).as_dtype(Dtype::Uint32)?;
    Ok(block.multiply(&size)?.add(&place)?)
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

    /// Where sums are of many, only the place near a border may differ.
    #[test]
    fn blocks_lead_to_the_same_places() {
        let places = 2 * LARGE;
        let mut host = Host::new(3);
        let weight = |i: i32| match i % 3 == 0 {
            true => 0.0,
            false => host.uniform() + 0.01,
        };
        let weights: Vec<f32> = (0..places).map(weight).collect();
        let p = Array::from_slice(&weights, &[1, places]);
        let total: f64 = weights.iter().map(|w| f64::from(*w)).sum();
        for n in 0..200 {
            let draw = match n {
                0 => 0.0,
                1 => 1.0 - f32::EPSILON,
                _ => host.uniform(),
            };
            let place = invert(&p, &[Chance { draw, xtc: 0.0 }]).unwrap();
            let place = crate::tensor::to_i32(&place).unwrap()[0] as usize;
            assert!(weights[place] > 0.0);
            let before: f64 = weights[..place].iter().map(|w| f64::from(*w)).sum();
            let (from, to) = (before, before + f64::from(weights[place]));
            let target = f64::from(draw) * total;
            let close = 1e-5 * total;
            assert!(
                from - close <= target && target <= to + close,
                "{draw}: {place}"
            );
        }
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
