//! A cache that keeps every token; all rows are equally long.

use super::store::{STEP, Store, room};
use super::{Mask, Offsets};
use crate::error::Result;
use crate::tensor::mask::{MaskOptions, causal_mask};

/// Buffers `[B, H, capacity, D]` of which the first `offset` tokens are in use.
#[derive(Clone, Debug, Default)]
pub struct Full {
    pub(super) store: Option<Store>,
    pub(super) offset: i32,
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

    /// A cache of what was kept elsewhere.
    pub(super) fn of(store: Option<Store>, offset: i32) -> Self {
        Self {
            store,
            offset,
            reserve: 0,
        }
    }

    pub fn capacity(&self) -> i32 {
        self.store.as_ref().map_or(0, Store::length)
    }

    /// Makes room for the tokens of `new`.
    fn grow(&mut self, new: &Store) -> Result<Store> {
        let n = new.length();
        let Some(old) = self.store.take() else {
            let block = (n + STEP - 1) / STEP * STEP;
            let length = if n <= self.reserve {
                self.reserve
            } else {
                block
            };
            return new.zeros(new.rows(), room(length));
        };
        if self.offset + n <= old.length() {
            return Ok(old);
        }
        let block = (n + STEP - 1) / STEP * STEP;
        // As in mlx-lm, buffers are cut to what is in use unless that is a number of whole blocks.
        let used = match self.offset % STEP {
            0 => old.clone(),
            _ => old.part(0, self.offset)?,
        };
        let more = room(used.length() + block) - used.length();
        Store::behind(&[&used, &old.zeros(old.rows(), more)?])
    }

    /// Appends tokens and gives all that are in use.
    pub(super) fn append(&mut self, new: &Store) -> Result<Store> {
        if let Some(old) = &self.store {
            old.check_like(new)?;
        }
        let room = self.grow(new)?;
        let store = room.write(new, self.offset)?;
        self.offset += new.length();
        let used = store.part(0, self.offset)?;
        self.store = Some(store);
        Ok(used)
    }

    /// The tokens in use.
    pub(super) fn used(&self) -> Result<Option<Store>> {
        let part = |store: &Store| store.part(0, self.offset);
        self.store.as_ref().map(part).transpose()
    }

    pub(super) fn offsets(&self) -> Offsets {
        Offsets::Same(self.offset)
    }

    pub(super) fn make_mask(&self, n: i32, window: Option<i32>) -> Result<Mask> {
        match window {
            Some(_) => {
                let options = MaskOptions {
                    offset: self.offset,
                    window,
                    ..MaskOptions::default()
                };
                Ok(Mask::Array(causal_mask(n, &options)?))
            }
            None if n == 1 => Ok(Mask::None),
            None => Ok(Mask::Causal),
        }
    }

    pub(super) fn filter(&mut self, rows: &[i32]) -> Result<()> {
        if let Some(store) = &self.store {
            self.store = Some(store.take_rows(rows)?);
        }
        Ok(())
    }

    pub(super) fn trim(&mut self, n: i32) -> i32 {
        let removed = n.min(self.offset);
        self.offset -= removed;
        removed
    }
}
