//! Rotary position embedding (<https://arxiv.org/abs/2104.09864>), and how it is stretched to
//! texts longer than those of the training.

use super::rms_norm::RmsNorm;
use crate::error::Result;
use crate::mlx::{Array, Dtype, device, host, slice};
use crate::tensor::{dims4, scalar};
use mlx_rs::ops;
use std::f64::consts::PI;

/// Where the first token of a forward stands in its sequence.
#[derive(Clone, Debug)]
pub enum Position {
    /// All rows alike.
    Same(i32),
    /// One `int32` for each row, `[B]`; negative for padding.
    PerRow(Array),
}

impl Position {
    /// The position `n` tokens further on.
    pub fn after(&self, n: i32) -> Result<Self> {
        match self {
            Self::Same(offset) => Ok(Self::Same(offset + n)),
            Self::PerRow(offsets) => Ok(Self::PerRow(offsets.add(Array::from_int(n))?)),
        }
    }
}

/// How the frequencies are stretched, with the names of `config.json`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scaling {
    /// Not at all.
    Default,
    /// Positions divided by a factor.
    Linear { factor: f64 },
    /// By wavelength, as in Llama 3.1.
    Llama3 {
        factor: f64,
        low_freq_factor: f64,
        high_freq_factor: f64,
        original_max_position_embeddings: f64,
    },
    /// By the number of turns within the trained length (<https://arxiv.org/abs/2309.00071>).
    Yarn {
        factor: f64,
        original_max_position_embeddings: f64,
        beta_fast: f64,
        beta_slow: f64,
        /// What queries and keys are multiplied by.
        attention_factor: f64,
        /// Whether the range of features between the two betas has whole ends.
        truncate: bool,
    },
}

/// Up to so many tokens are rotated by a table with MLX's operations on a CPU.
const FEW: i32 = 8;

/// Rotates pairs of features by angles that grow with the position; the two halves of a head
/// form the pairs ("non-traditional" in MLX), as in Qwen3.
#[derive(Clone, Debug)]
pub struct Rope {
    /// Size of a head.
    dims: i32,
    base: f32,
    /// What positions are multiplied by.
    scale: f32,
    /// `[D / 2]`: the length of a turn, divided by 2 pi, where it does not follow from the base.
    periods: Option<Array>,
    /// What the rotated features are multiplied by.
    magnitude: f64,
}

impl Rope {
    /// A rotation of heads of `dims` features, to the base `rope_theta`.
    pub fn new(dims: i32, theta: f64, scaling: Scaling) -> Self {
        let plain = Self {
            dims,
            base: theta as f32,
            scale: 1.0,
            periods: None,
            magnitude: 1.0,
        };
        let with = |stretch: &dyn Fn(usize, f64) -> f64| {
            let periods: Vec<f32> = (0..dims as usize / 2)
                .map(|i| (i, theta.powf(2.0 * i as f64 / f64::from(dims))))
                .map(|(i, period)| stretch(i, period) as f32)
                .collect();
            Some(Array::from_slice(&periods, &[dims / 2]))
        };
        match scaling {
            Scaling::Default => plain,
            Scaling::Linear { factor } => Self {
                scale: (1.0 / factor) as f32,
                ..plain
            },
            Scaling::Llama3 { .. } => Self {
                periods: with(&|_, period| llama3(period, scaling)),
                ..plain
            },
            Scaling::Yarn {
                factor,
                attention_factor,
                ..
            } => {
                let ramp = yarn_ramp(dims, theta, scaling);
                Self {
                    periods: with(&|i, period| {
                        let (kept, stretched) = (1.0 / period, 1.0 / (factor * period));
                        1.0 / (stretched * ramp(i) + kept * (1.0 - ramp(i)))
                    }),
                    magnitude: attention_factor,
                    ..plain
                }
            }
        }
    }

    /// The rotation of `l` tokens at a position, made once for all layers.
    ///
    /// On a CPU, MLX computes sines and cosines of every position anew in each call, in some
    /// fifteen operations; with a table for all layers five are left, or one loop of our own.
    pub fn rotation(&self, position: &Position, l: i32) -> Result<Rotation> {
        let table = match device::current() {
            device::Kind::Gpu => None,
            device::Kind::Cpu => Some(self.table(position, l)?),
        };
        Ok(Rotation {
            rope: self.clone(),
            position: position.clone(),
            table,
        })
    }

    fn table(&self, position: &Position, l: i32) -> Result<Table> {
        let angles = self.angles(position, l)?;
        let whole = |part: Array, negative: bool| -> Result<Array> {
            let part = part.multiply(Array::from_f32(self.magnitude as f32))?;
            let first = if negative {
                part.negative()?
            } else {
                part.clone()
            };
            Ok(ops::concatenate(&[first, part], -1)?)
        };
        Ok(Table {
            cosines: whole(angles.cos()?, false)?,
            sines: whole(angles.sin()?, true)?,
        })
    }

    /// # Shapes
    /// - returns: f32 `[L, D / 2]`, or `[B, 1, L, D / 2]`
    fn angles(&self, position: &Position, l: i32) -> Result<Array> {
        let half = self.dims / 2;
        let frequencies = match &self.periods {
            Some(periods) => Array::from_f32(self.scale).divide(periods)?,
            None => {
                let frequency = |i: i32| {
                    let power = -2.0 * f64::from(i) / f64::from(self.dims);
                    (f64::from(self.base).powf(power) * f64::from(self.scale)) as f32
                };
                Array::from_iter((0..half).map(frequency), &[half])
            }
        };
        let range = |first: i32| Array::from_iter((first..first + l).map(|i| i as f32), &[l, 1]);
        let positions = match position {
            Position::Same(offset) => range(*offset),
            Position::PerRow(offsets) => {
                let rows = offsets.as_dtype(Dtype::Float32)?.reshape(&[-1, 1, 1, 1])?;
                rows.add(range(0))?
            }
        };
        Ok(positions.multiply(&frequencies)?)
    }

    /// # Shapes
    /// - x: `[B, H, L, D]`
    /// - returns: `[B, H, L, D]`
    fn fused(&self, x: &Array, position: &Position) -> Result<Array> {
        let scaled = match self.magnitude == 1.0 {
            true => x.clone(),
            false => x.multiply(scalar(self.magnitude, x)?)?,
        };
        // MLX takes one of the two.
        let base = self.periods.is_none().then_some(self.base);
        let (dims, scale, periods) = (self.dims, self.scale, self.periods.as_ref());
        Ok(match position {
            Position::Same(offset) => {
                mlx_rs::fast::rope(&scaled, dims, false, base, scale, *offset, periods)?
            }
            Position::PerRow(offsets) => {
                mlx_rs::fast::rope_dynamic(&scaled, dims, false, base, scale, offsets, periods)?
            }
        })
    }
}

/// The rotation of some tokens.
#[derive(Clone, Debug)]
pub struct Rotation {
    rope: Rope,
    position: Position,
    /// On a CPU.
    table: Option<Table>,
}

/// Cosines and sines in f32, `[L, D]` or `[B, 1, L, D]` each; the first half of the sines is negative.
#[derive(Clone, Debug)]
struct Table {
    cosines: Array,
    sines: Array,
}

impl Rotation {
    /// # Shapes
    /// - x: `[B, H, L, D]`
    /// - returns: `[B, H, L, D]`
    pub fn apply(&self, x: &Array) -> Result<Array> {
        let [b, h, l, d] = dims4(x, "queries or keys")?;
        let Some(Table { cosines, sines }) = self.table.as_ref().filter(|_| l <= FEW) else {
            return self.rope.fused(x, &self.position);
        };
        let first = slice(x, &[0; 4], &[b, h, l, d / 2])?;
        let second = slice(x, &[0, 0, 0, d / 2], &[b, h, l, d])?;
        let swapped = ops::concatenate(&[second, first], -1)?;
        let turned = x.multiply(cosines)?.add(swapped.multiply(sines)?)?;
        Ok(turned.as_dtype(x.dtype())?)
    }

    /// Heads as a projection gives them, normalised one by one where there is a norm, rotated, and
    /// brought before the tokens.
    ///
    /// # Shapes
    /// - x: `[B, L, H, D]`
    /// - returns: `[B, H, L, D]`
    pub fn of_heads(&self, x: &Array, norm: Option<&RmsNorm>) -> Result<Array> {
        let forward = [0, 2, 1, 3];
        if let Some(Table { cosines, sines }) = &self.table {
            let weighs = norm.map(|norm| (&norm.weight, norm.eps));
            if let Some(turned) = host::turn(x, weighs, cosines, sines)? {
                return Ok(turned.transpose_axes(&forward)?);
            }
        }
        let heads = match norm {
            Some(norm) => norm.forward(x)?,
            None => x.clone(),
        };
        self.apply(&heads.transpose_axes(&forward)?)
    }

    /// The rotation of the last of `l` tokens.
    pub fn of_last(&self, l: i32) -> Result<Self> {
        let last = |table: &Array| -> Result<Array> {
            let mut start = vec![0; table.ndim()];
            if let Some(axis) = table.ndim().checked_sub(2) {
                start[axis] = l - 1;
            }
            slice(table, &start, table.shape())
        };
        let of_last = |table: &Table| -> Result<Table> {
            Ok(Table {
                cosines: last(&table.cosines)?,
                sines: last(&table.sines)?,
            })
        };
        Ok(Self {
            rope: self.rope.clone(),
            position: self.position.after(l - 1)?,
            table: self.table.as_ref().map(of_last).transpose()?,
        })
    }
}

/// Long periods are stretched, short ones kept, those between in between.
fn llama3(period: f64, scaling: Scaling) -> f64 {
    let Scaling::Llama3 {
        factor,
        low_freq_factor,
        high_freq_factor,
        original_max_position_embeddings: trained,
    } = scaling
    else {
        return period;
    };
    let wavelength = 2.0 * PI * period;
    if wavelength < trained / high_freq_factor {
        period
    } else if wavelength > trained / low_freq_factor {
        period * factor
    } else {
        let smooth =
            (trained / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
        1.0 / ((1.0 - smooth) / (period * factor) + smooth / period)
    }
}

/// How much each pair of features is stretched: 0 for those that turn often within the trained
/// length, 1 for those that turn seldom.
fn yarn_ramp(dims: i32, theta: f64, scaling: Scaling) -> impl Fn(usize) -> f64 {
    let (mut low, mut high) = (0.0, 0.0);
    if let Scaling::Yarn {
        original_max_position_embeddings: trained,
        beta_fast,
        beta_slow,
        truncate,
        ..
    } = scaling
    {
        let dims = f64::from(dims);
        // The feature that turns so many times within the trained length.
        let feature = |turns: f64| dims * (trained / (turns * 2.0 * PI)).ln() / (2.0 * theta.ln());
        (low, high) = (feature(beta_fast), feature(beta_slow));
        if truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        (low, high) = (low.max(0.0), high.min(dims - 1.0));
    }
    if low == high {
        high += 0.001;
    }
    move |i| ((i as f64 - low) / (high - low)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::to_f32;

    fn periods(rope: &Rope) -> Vec<f32> {
        to_f32(rope.periods.as_ref().unwrap()).unwrap()
    }

    /// Both from mlx-lm 0.32.2, heads of 8, base 10,000.
    #[test]
    fn a_table_rotates_as_mlx_does() {
        let llama3 = Scaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 128.0,
        };
        let x = Array::from_iter(
            (0..2 * 3 * 4 * 8).map(|i| (i % 17) as f32 - 8.0),
            &[2, 3, 4, 8],
        );
        let rows = Array::from_slice(&[-2i32, 500], &[2]);
        for scaling in [Scaling::Default, Scaling::Linear { factor: 4.0 }, llama3] {
            let rope = Rope::new(8, 1e4, scaling);
            for position in [
                Position::Same(0),
                Position::Same(900),
                Position::PerRow(rows.clone()),
            ] {
                let rotation = rope.rotation(&position, 4).unwrap();
                let by_table = rotation.apply(&x).unwrap();
                let by_kernel = rope.fused(&x, &position).unwrap();
                let off = by_table.subtract(&by_kernel).unwrap().abs().unwrap();
                let off = crate::tensor::to_f32(&off.max(false).unwrap()).unwrap()[0];
                assert!(off < 2e-3, "{scaling:?}, {position:?}: {off}");
                let last = slice(&x, &[0, 0, 3, 0], &[2, 3, 4, 8]).unwrap();
                let last = rotation.of_last(4).unwrap().apply(&last).unwrap();
                let expected = slice(&by_table, &[0, 0, 3, 0], &[2, 3, 4, 8]).unwrap();
                assert_eq!(
                    crate::tensor::to_f32(&last).unwrap(),
                    crate::tensor::to_f32(&expected).unwrap()
                );
            }
        }
    }

    #[test]
    fn periods_are_stretched_as_in_mlx_lm() {
        let yarn = Scaling::Yarn {
            factor: 4.0,
            original_max_position_embeddings: 64.0,
            beta_fast: 32.0,
            beta_slow: 1.0,
            attention_factor: 1.138_629,
            truncate: true,
        };
        let got = periods(&Rope::new(8, 1e4, yarn));
        for (got, expected) in got.iter().zip([1.0, 16.0, 400.0, 4000.0]) {
            assert!((got / expected - 1.0).abs() < 1e-5, "{got} {expected}");
        }
        let llama3 = Scaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 128.0,
        };
        let got = periods(&Rope::new(8, 1e4, llama3));
        for (got, expected) in got.iter().zip([1.0, 23.3912, 800.0, 8000.0]) {
            assert!((got / expected - 1.0).abs() < 1e-5, "{got} {expected}");
        }
    }
}
