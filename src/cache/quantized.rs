//! A cache in few bits: every token is kept, in less memory.

use super::full::Full;
use super::store::Store;
use super::{Mask, Offsets, Past};
use crate::error::{Error, Result};
use crate::mlx::Array;
use crate::mlx::quantized::{Format, quantize};

/// A [`Full`] cache whose keys and values are packed as MLX packs weights.
#[derive(Clone, Debug)]
pub struct Quantized {
    pub(super) inner: Full,
    pub(super) format: Format,
}

impl Quantized {
    /// # Errors
    /// Bits or groups that MLX does not pack.
    pub fn new(bits: i32, group_size: i32) -> Result<Self> {
        if ![2, 3, 4, 5, 6, 8].contains(&bits) {
            return Err(Error::setting("bits", bits, "2, 3, 4, 5, 6 or 8"));
        }
        if ![32, 64, 128].contains(&group_size) {
            return Err(Error::setting("group_size", group_size, "32, 64 or 128"));
        }
        Ok(Self {
            inner: Full::default(),
            format: Format::new("affine", Some(group_size), Some(bits)),
        })
    }

    pub(super) fn update_and_fetch(&mut self, new: &Store) -> Result<Past> {
        let mut packed = Vec::with_capacity(6);
        for array in new.arrays() {
            packed.extend(self.pack(array)?);
        }
        let used = self.inner.append(&Store::of(packed))?;
        Ok(Past::Packed(used, self.format.clone()))
    }

    /// Packed numbers, scales and biases.
    fn pack(&self, array: &Array) -> Result<Vec<Array>> {
        let (size, group) = (array.dim(-1), self.format.group_size);
        if size % group != 0 {
            let found = format!("{group}, heads of {size} features");
            let expected = "a divisor of the head size; for smaller heads a cache of another kind";
            return Err(Error::setting("group_size", found, expected));
        }
        quantize(array, &self.format)
    }

    pub(super) fn offsets(&self) -> Offsets {
        self.inner.offsets()
    }

    pub(super) fn make_mask(&self, n: i32, window: Option<i32>) -> Result<Mask> {
        self.inner.make_mask(n, window)
    }
}
