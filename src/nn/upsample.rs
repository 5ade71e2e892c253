//! Larger pictures from small ones, by the formulas of `mlx.nn.Upsample`.

use crate::error::{Error, Result};
use crate::mlx::Array;
use crate::tensor::check_size;

/// How values between the given ones are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    Nearest,
    Linear,
    Cubic,
}

/// How an axis is sampled.
#[derive(Clone, Copy, Debug)]
pub struct Upsample {
    pub mode: Interpolation,
    /// The corners keep their values.
    pub align_corners: bool,
    /// Where the result is smaller, all values that fall together count.
    pub antialias: bool,
}

/// One of the values that are summed for each position of an axis: which, and its weight.
struct Tap {
    index: Vec<i32>,
    weight: Vec<f32>,
}

impl Upsample {
    /// Sizes of the axes between multiplied by `scales`.
    ///
    /// # Shapes
    /// - x: `[B, .., C]`, with one axis between for each scale
    /// - returns: `[B, .., C]`, f32 unless the nearest value is taken, as in MLX
    ///
    /// # Errors
    /// A scale that is not positive, or settings that exclude each other.
    pub fn apply(&self, x: &Array, scales: &[f64]) -> Result<Array> {
        if scales.is_empty() || x.ndim() != scales.len() + 2 {
            let expected = "[B, .., C] with one axis between for each scale";
            return Err(Error::shape("input of upsample", expected, x.shape()));
        }
        if self.antialias && (self.align_corners || self.mode == Interpolation::Nearest) {
            let expected = "\"linear\" or \"cubic\" without align_corners";
            return Err(Error::setting("antialias", "true", expected));
        }
        let mut out = x.clone();
        for (i, scale) in scales.iter().enumerate() {
            let axis = i as i32 + 1;
            let size = out.dim(axis);
            let longer = f64::from(size) * scale;
            if !longer.is_finite() || *scale <= 0.0 || longer > f64::from(i32::MAX) {
                return Err(Error::setting(
                    "scale_factor",
                    scale.to_string(),
                    "a positive number",
                ));
            }
            let mut shape = out.shape().to_vec();
            shape[i + 1] = longer as i32;
            check_size(&shape)?;
            out = self.along(&out, axis, size, *scale)?;
        }
        Ok(out)
    }

    fn along(&self, x: &Array, axis: i32, size: i32, scale: f64) -> Result<Array> {
        let length = (scale * f64::from(size)) as i32;
        let take = |index: &[i32]| x.take_axis(Array::from_slice(index, &[length]), axis);
        let taps = match self.mode {
            Interpolation::Nearest => return Ok(take(&nearest(size, length, scale))?),
            Interpolation::Linear if !self.antialias => self.linear(size, length, scale),
            Interpolation::Cubic if !self.antialias => self.cubic(size, length, scale),
            Interpolation::Linear => {
                self.filtered(size, length, scale, 1.0, |x| (1.0 - x).max(0.0))
            }
            Interpolation::Cubic => self.filtered(size, length, scale, 2.0, |x| cubic(-0.5, x)),
        };
        let mut along = vec![1; x.ndim()];
        along[axis as usize] = length;
        let mut sum: Option<Array> = None;
        for tap in &taps {
            let weight = Array::from_slice(&tap.weight, &along);
            let part = take(&tap.index)?.multiply(weight)?;
            sum = Some(match sum {
                Some(sum) => sum.add(part)?,
                None => part,
            });
        }
        sum.ok_or_else(|| Error::shape("input of upsample", "one element or more", x.shape()))
    }

    /// Where the positions of the result lie among those of the input.
    fn places(&self, size: i32, length: i32, scale: f64) -> Vec<f32> {
        let (n, m) = (f64::from(size), f64::from(length));
        let (step, start) = match self.align_corners {
            true => ((n - 1.0) / (m - 1.0).max(1.0), 0.0),
            false => (1.0 / scale, ((m - 1.0) / scale - n + 1.0) / 2.0),
        };
        let place = |i| i as f32 * step as f32 - start as f32;
        (0..length).map(place).collect()
    }

    fn linear(&self, size: i32, length: i32, scale: f64) -> Vec<Tap> {
        let last = (size - 1) as f32;
        let places: Vec<f32> = self.places(size, length, scale);
        let held: Vec<f32> = places.iter().map(|p| p.clamp(0.0, last.max(0.0))).collect();
        let right: Vec<f32> = held.iter().map(|p| p - p.floor()).collect();
        vec![
            Tap {
                index: held.iter().map(|p| p.floor() as i32).collect(),
                weight: right.iter().map(|w| 1.0 - w).collect(),
            },
            Tap {
                index: held.iter().map(|p| p.ceil() as i32).collect(),
                weight: right,
            },
        ]
    }

    fn cubic(&self, size: i32, length: i32, scale: f64) -> Vec<Tap> {
        let places = self.places(size, length, scale);
        let tap = |offset: f32| Tap {
            index: places
                .iter()
                .map(|p| held(p.floor() + offset, size))
                .collect(),
            // OpenCV's constant; the filter below has PIL's.
            weight: places
                .iter()
                .map(|p| cubic(-0.75, (p - p.floor() - offset).abs()))
                .collect(),
        };
        [-1.0, 0.0, 1.0, 2.0].map(tap).into()
    }

    /// Every input within reach of a kernel, which grows where the result is smaller.
    fn filtered(
        &self,
        size: i32,
        length: i32,
        scale: f64,
        radius: f64,
        kernel: impl Fn(f32) -> f32,
    ) -> Vec<Tap> {
        let widening = (1.0 / scale).max(1.0);
        let reach = (radius * widening).ceil() as i32;
        let places = self.places(size, length, scale);
        let weight = |place: f32, offset: i32| {
            let at = place.floor() + offset as f32;
            let inside = (0.0..size as f32).contains(&at);
            if inside {
                kernel((place - at).abs() / widening as f32)
            } else {
                0.0
            }
        };
        let offsets = -reach..=reach;
        let totals: Vec<f32> = places
            .iter()
            .map(|p| offsets.clone().map(|k| weight(*p, k)).sum())
            .collect();
        let tap = |k: i32| Tap {
            index: places
                .iter()
                .map(|p| held(p.floor() + k as f32, size))
                .collect(),
            weight: places
                .iter()
                .zip(&totals)
                .map(|(p, total)| weight(*p, k) / if *total > 0.0 { *total } else { 1.0 })
                .collect(),
        };
        offsets.clone().map(tap).collect()
    }
}

fn nearest(size: i32, length: i32, scale: f64) -> Vec<i32> {
    let ratio = size as f32 / length as f32;
    let whole = scale.fract() == 0.0;
    let place = |i: i32| match (whole, length > size) {
        (true, _) => i / scale as i32,
        (false, true) => ((i as f32 + 0.5) * ratio - 0.5).round_ties_even() as i32,
        (false, false) => (i as f32 * ratio) as i32,
    };
    (0..length).map(|i| place(i).clamp(0, size - 1)).collect()
}

fn held(place: f32, size: i32) -> i32 {
    (place as i32).clamp(0, size - 1)
}

/// The cubic convolution kernel (Keys 1981) at a distance.
fn cubic(a: f32, x: f32) -> f32 {
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x <= 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * a
    } else {
        0.0
    }
}
