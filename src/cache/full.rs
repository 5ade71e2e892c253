//! A cache that keeps every token; all rows are equally long.

use super::{LayerCache, Mask};
use crate::error::Result;
use crate::mlx::{Array, slice, slice_update};
use crate::nn::Position;
use crate::tensor::dims4;
use mlx_rs::ops;

/// By how many tokens the buffers grow, as in mlx-lm.
const STEP: i32 = 256;

/// Buffers `[B, H, capacity, D]` of which the first `offset` tokens are in use.
#[derive(Clone, Debug, Default)]
pub struct Full {
    buffers: Option<(Array, Array)>,
    offset: i32,
    reserve: i32,
}

impl Full {
    /// An empty cache with room for `reserve` tokens before it grows (0: the usual step).
    pub fn new(reserve: i32) -> Self {
        Self {
            reserve,
            ..Self::default()
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.buffers.as_ref().map_or(0, |(k, _)| k.dim(0) as usize)
    }

    fn capacity(&self) -> i32 {
        self.buffers.as_ref().map_or(0, |(k, _)| k.dim(2))
    }

    /// Makes room for `n` more tokens, in zeros of the keys' own dtype.
    fn grow(&mut self, n: i32, keys: &Array, values: &Array) -> Result<()> {
        let needed = self.offset + n;
        if needed <= self.capacity() {
            return Ok(());
        }
        let target = if needed <= self.reserve {
            self.reserve
        } else {
            (needed + STEP - 1) / STEP * STEP
        };
        let wider = |old: Option<&Array>, like: &Array| -> Result<Array> {
            let [b, h, _, d] = dims4(like, "keys or values")?;
            let zeros = |length| ops::zeros_dtype(&[b, h, length, d], like.dtype());
            Ok(match old {
                None => zeros(target)?,
                Some(old) => {
                    let used = slice(old, &[0; 4], &[b, h, self.offset, d])?;
                    ops::concatenate(&[used, zeros(target - self.offset)?], 2)?
                }
            })
        };
        let (old_k, old_v) = match &self.buffers {
            Some((k, v)) => (Some(k), Some(v)),
            None => (None, None),
        };
        self.buffers = Some((wider(old_k, keys)?, wider(old_v, values)?));
        Ok(())
    }

    /// The tokens in use, `[B, H, offset, D]` each.
    fn used(&self) -> Result<Option<(Array, Array)>> {
        let part = |a: &Array| -> Result<Array> {
            let [b, h, _, d] = dims4(a, "cache")?;
            slice(a, &[0; 4], &[b, h, self.offset, d])
        };
        self.buffers
            .as_ref()
            .map(|(k, v)| Ok((part(k)?, part(v)?)))
            .transpose()
    }

    /// The rows of several caches one after another, each padded on the left to `length` tokens.
    pub(super) fn join(parts: &[&Self], length: i32) -> Result<Self> {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for part in parts {
            let gap = length - part.offset;
            if let Some((k, v)) = part.used()? {
                keys.push(pad_left(&k, gap)?);
                values.push(pad_left(&v, gap)?);
            }
        }
        let buffers = if keys.is_empty() {
            None
        } else {
            Some((ops::concatenate(&keys, 0)?, ops::concatenate(&values, 0)?))
        };
        Ok(Self {
            buffers,
            offset: length,
            reserve: parts.iter().map(|part| part.reserve).max().unwrap_or(0),
        })
    }
}

fn pad_left(a: &Array, gap: i32) -> Result<Array> {
    if gap == 0 {
        return Ok(a.clone());
    }
    let [b, h, _, d] = dims4(a, "cache")?;
    let zeros = ops::zeros_dtype(&[b, h, gap, d], a.dtype())?;
    Ok(ops::concatenate(&[&zeros, a], 2)?)
}

impl LayerCache for Full {
    fn position(&self) -> Position {
        Position::Same(self.offset)
    }

    fn update_and_fetch(&mut self, keys: &Array, values: &Array) -> Result<(Array, Array)> {
        let [b, h, n, d] = dims4(keys, "keys")?;
        let [_, _, _, dv] = dims4(values, "values")?;
        self.grow(n, keys, values)?;
        let end = self.offset + n;
        let (k, v) = self
            .buffers
            .take()
            .unwrap_or((keys.clone(), values.clone()));
        let start = [0, 0, self.offset, 0];
        let k = slice_update(&k, keys, &start, &[b, h, end, d])?;
        let v = slice_update(&v, values, &start, &[b, h, end, dv])?;
        let fetched = (
            slice(&k, &[0; 4], &[b, h, end, d])?,
            slice(&v, &[0; 4], &[b, h, end, dv])?,
        );
        self.buffers = Some((k, v));
        self.offset = end;
        Ok(fetched)
    }

    fn mask(&self, n: i32) -> Result<Mask> {
        Ok(if n == 1 { Mask::None } else { Mask::Causal })
    }

    fn select(&mut self, rows: &[i32]) -> Result<()> {
        if let Some((k, v)) = &self.buffers {
            let index = Array::from_slice(rows, &[rows.len() as i32]);
            self.buffers = Some((k.take_axis(&index, 0)?, v.take_axis(&index, 0)?));
        }
        Ok(())
    }

    fn trim(&mut self, n: i32) -> i32 {
        let removed = n.clamp(0, self.offset);
        self.offset -= removed;
        removed
    }

    fn size(&self) -> i32 {
        self.offset
    }

    fn contents(&self) -> (&Full, Vec<i32>) {
        (self, vec![0; self.rows()])
    }

    fn state(&self) -> Vec<Array> {
        self.buffers
            .iter()
            .flat_map(|(k, v)| [k.clone(), v.clone()])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::to_f32;

    /// `[1, 1, n, 1]` with the numbers from `first` on.
    fn tokens(first: i32, n: i32) -> Array {
        Array::from_iter((first..first + n).map(|x| x as f32), &[1, 1, n, 1])
    }

    #[test]
    fn tokens_come_back_in_order_across_growth() {
        let mut cache = Full::new(0);
        let mut total = 0;
        for n in [1, 256, 1, 255, 300] {
            let (k, v) = cache
                .update_and_fetch(&tokens(total, n), &tokens(-total, n))
                .unwrap();
            total += n;
            assert_eq!(k.shape(), [1, 1, total, 1]);
            assert_eq!(v.shape(), [1, 1, total, 1]);
            let expected: Vec<f32> = (0..total).map(|x| x as f32).collect();
            assert_eq!(to_f32(&k).unwrap(), expected);
        }
        assert_eq!(cache.trim(2), 2);
        let (k, _) = cache
            .update_and_fetch(&tokens(5, 1), &tokens(5, 1))
            .unwrap();
        assert_eq!(k.shape(), [1, 1, total - 1, 1]);
        assert_eq!(*to_f32(&k).unwrap().last().unwrap(), 5.0);
    }

    #[test]
    fn a_reserve_is_taken_at_once_and_rows_can_repeat() {
        let mut cache = Full::new(10);
        let two = Array::from_slice(&[1.0f32, 2.0], &[2, 1, 1, 1]);
        cache.update_and_fetch(&two, &two).unwrap();
        assert_eq!(cache.capacity(), 10);
        cache.select(&[1, 1, 0]).unwrap();
        let (k, _) = cache.used().unwrap().unwrap();
        assert_eq!(to_f32(&k).unwrap(), [2.0, 2.0, 1.0]);
    }
}
