//! A cache whose rows have different lengths: shorter ones are padded on the left.

use super::{Full, LayerCache, Mask};
use crate::error::Result;
use crate::mlx::Array;
use crate::nn::Position;
use crate::tensor::mask::{MaskOptions, causal_mask};

/// A [`Full`] cache and, for each row, how many of its first tokens are padding.
///
/// The position of a row is its own number of real tokens, not the width of the batch: rotary
/// embeddings depend on it.
#[derive(Clone, Debug)]
pub struct Batch {
    inner: Full,
    left_padding: Vec<i32>,
}

impl Batch {
    /// `inner` with its padding, one number for each row.
    pub fn new(inner: Full, left_padding: Vec<i32>) -> Self {
        Self {
            inner,
            left_padding,
        }
    }
}

impl LayerCache for Batch {
    fn position(&self) -> Position {
        let size = self.inner.size();
        let offsets: Vec<i32> = self.left_padding.iter().map(|pad| size - pad).collect();
        Position::PerRow(Array::from_slice(&offsets, &[offsets.len() as i32]))
    }

    fn update_and_fetch(&mut self, keys: &Array, values: &Array) -> Result<(Array, Array)> {
        self.inner.update_and_fetch(keys, values)
    }

    fn mask(&self, n: i32) -> Result<Mask> {
        let options = MaskOptions {
            offset: self.inner.size(),
            left_padding: Some(self.left_padding.clone()),
            ..MaskOptions::default()
        };
        Ok(Mask::Array(causal_mask(n, &options)?))
    }

    fn select(&mut self, rows: &[i32]) -> Result<()> {
        self.left_padding = rows
            .iter()
            .map(|row| self.left_padding[*row as usize])
            .collect();
        self.inner.select(rows)
    }

    fn trim(&mut self, n: i32) -> i32 {
        self.inner.trim(n)
    }

    fn size(&self) -> i32 {
        self.inner.size()
    }

    fn contents(&self) -> (&Full, Vec<i32>) {
        (&self.inner, self.left_padding.clone())
    }

    fn state(&self) -> Vec<Array> {
        self.inner.state()
    }
}
