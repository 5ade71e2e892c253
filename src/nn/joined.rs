//! Several linear maps of one input as one product.

use super::linear::{Linear, linear};
use super::matrix::Matrix;
use crate::error::Result;
use crate::mlx::{self, Array, slice};
use mlx_rs::ops;

/// Linear maps whose rows stand in one matrix. At every token that is decoded a product costs about
/// as much as it takes to start it, so one in the place of three is worth a copy of the weights.
///
/// It is a copy: whoever changes the weights takes the maps apart again.
#[derive(Clone, Debug)]
pub struct Joined {
    /// `[sum of out, in]`
    weight: Array,
    /// `[sum of out]`
    bias: Option<Array>,
    /// How many outputs each map has.
    sizes: Vec<i32>,
}

impl Joined {
    /// Maps of one input as one. `None` for those with adapters or in few bits, and where some have a
    /// bias and some have none.
    pub fn of(maps: &[&Linear]) -> Result<Option<Self>> {
        let mut weights = Vec::new();
        for map in maps {
            match (&map.weight, &map.lora) {
                (Matrix::Plain(weight), None) => weights.push(weight.clone()),
                _ => return Ok(None),
            }
        }
        let biases: Vec<Array> = maps.iter().filter_map(|map| map.bias.clone()).collect();
        if !biases.is_empty() && biases.len() < maps.len() {
            return Ok(None);
        }
        let weight = ops::concatenate(&weights, 0)?;
        let bias = match biases.is_empty() {
            true => None,
            false => Some(ops::concatenate(&biases, 0)?),
        };
        mlx::eval([&weight].into_iter().chain(&bias))?;
        Ok(Some(Self {
            weight,
            bias,
            sizes: weights.iter().map(|weight| weight.dim(0)).collect(),
        }))
    }

    /// What each of the maps gives.
    ///
    /// # Shapes
    /// - x: `[.., in]`
    /// - returns: `[.., out]` of each map
    pub fn forward(&self, x: &Array) -> Result<Vec<Array>> {
        let y = linear(x, &self.weight, self.bias.as_ref())?;
        let mut shape = y.shape().to_vec();
        let (last, mut start) = (shape.len() - 1, vec![0; shape.len()]);
        let parts = self.sizes.iter().map(|size| {
            shape[last] = start[last] + size;
            let part = slice(&y, &start, &shape);
            start[last] += size;
            part
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::to_f32;

    fn map(rows: i32, bias: bool) -> Linear {
        let values = |n: i32| (0..n).map(|i| (i * 7 % 5) as f32 - 1.5);
        let weight = Array::from_iter(values(rows * 3), &[rows, 3]);
        Linear::new(
            weight,
            bias.then(|| Array::from_iter(values(rows), &[rows])),
        )
    }

    #[test]
    fn joined_maps_give_what_each_gives() {
        let x = Array::from_slice(&[1.0f32, -2.0, 0.5, 3.0, 0.0, 1.0], &[2, 1, 3]);
        for bias in [false, true] {
            let maps = [map(2, bias), map(4, bias)];
            let joined = Joined::of(&[&maps[0], &maps[1]]).unwrap().unwrap();
            for (part, map) in joined.forward(&x).unwrap().iter().zip(&maps) {
                let alone = map.forward(&x).unwrap();
                assert_eq!(part.shape(), alone.shape());
                assert_eq!(to_f32(part).unwrap(), to_f32(&alone).unwrap());
            }
        }
        assert!(
            Joined::of(&[&map(2, true), &map(2, false)])
                .unwrap()
                .is_none()
        );
    }
}
