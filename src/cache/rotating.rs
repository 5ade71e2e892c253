//! A cache of bounded size: the first tokens and the most recent ones.

use super::store::{STEP, Store};
use super::{Mask, Offsets};
use crate::error::{Error, Result};
use crate::mlx::{Array, ops};
use crate::tensor::mask::{MaskOptions, causal_mask};

/// A ring of `max_size` tokens whose first `keep` are never overwritten.
///
/// Single tokens are written into the ring in place, so the stored order is not that of time; a
/// block of tokens is appended to all that its first one may see, so that the buffer may for a
/// moment hold `max_size - 1` tokens more than the block.
#[derive(Clone, Debug)]
pub struct Rotating {
    pub(super) store: Option<Store>,
    /// All tokens that ever came, which is the position of the next.
    pub(super) offset: i32,
    pub(super) max_size: i32,
    pub(super) keep: i32,
    /// Where the next token is written.
    pub(super) index: i32,
}

/// An error for a ring without a token.
pub(super) fn check_max_size(max_size: i32) -> Result<()> {
    match max_size >= 1 {
        true => Ok(()),
        false => Err(Error::setting("max_size", max_size, "at least 1")),
    }
}

impl Rotating {
    /// # Errors
    /// A size below 1, or `keep` that leaves no room for other tokens.
    pub fn new(max_size: i32, keep: i32) -> Result<Self> {
        check_max_size(max_size)?;
        if !(0..max_size).contains(&keep) {
            let expected = format!("at least 0, and below max_size ({max_size})");
            return Err(Error::setting("keep", keep, &expected));
        }
        Ok(Self {
            store: None,
            offset: 0,
            max_size,
            keep,
            index: 0,
        })
    }

    pub(super) fn update_and_fetch(&mut self, new: &Store) -> Result<Store> {
        if let Some(old) = &self.store {
            old.check_like(new)?;
        }
        match new.length() {
            1 => self.write(new),
            _ => self.append(new),
        }
    }

    /// Without the `n` oldest tokens behind the first `keep`.
    fn without_oldest(&self, store: &Store, n: i32) -> Result<Store> {
        if n <= 0 {
            return Ok(store.clone());
        }
        let recent = store.part(n + self.keep, store.length())?;
        match self.keep {
            0 => Ok(recent),
            keep => Store::behind(&[&store.part(0, keep)?, &recent]),
        }
    }

    /// What is held, the oldest first.
    pub(super) fn in_order(&self, store: &Store) -> Result<Store> {
        let length = store.length();
        if self.index == length {
            Ok(store.clone())
        } else if self.index < self.offset {
            let first = store.part(0, self.keep)?;
            let old = store.part(self.index, length)?;
            let new = store.part(self.keep, self.index)?;
            Store::behind(&[&first, &old, &new])
        } else {
            store.part(0, self.index)
        }
    }

    /// Appends a block of tokens.
    fn append(&mut self, new: &Store) -> Result<Store> {
        let store = match self.store.take() {
            None => new.clone(),
            Some(old) => {
                let ordered = self.in_order(&old)?;
                // The first of the new tokens sees `max_size - 1` before it.
                let excess = ordered.length() - self.max_size + 1;
                Store::behind(&[&self.without_oldest(&ordered, excess)?, new])?
            }
        };
        self.offset += new.length();
        self.index = store.length();
        self.store = Some(store.clone());
        Ok(store)
    }

    /// Writes one token into the ring.
    fn write(&mut self, new: &Store) -> Result<Store> {
        let mut store = match self.store.take() {
            None => new.zeros(new.rows(), STEP.min(self.max_size))?,
            Some(old) if self.offset >= old.length() && old.length() < self.max_size => {
                self.index = self.offset;
                let room = STEP.min(self.max_size - self.offset);
                Store::behind(&[&old, &old.zeros(old.rows(), room)?])?
            }
            Some(old) => old,
        };
        let excess = store.length() - self.max_size;
        if excess > 0 {
            store = self.without_oldest(&store, excess)?;
            self.index = self.max_size;
        }
        if self.index == self.max_size {
            self.index = self.keep;
        }
        let store = store.write(new, self.index)?;
        self.offset += 1;
        self.index += 1;
        let used = store.part(0, self.offset.min(store.length()))?;
        self.store = Some(store);
        Ok(used)
    }

    pub(super) fn offsets(&self) -> Offsets {
        Offsets::Same(self.offset)
    }

    pub fn size(&self) -> i32 {
        self.offset.min(self.max_size)
    }

    pub(super) fn filter(&mut self, rows: &[i32]) -> Result<()> {
        if let Some(store) = &self.store {
            self.store = Some(store.take_rows(rows)?);
        }
        Ok(())
    }

    pub(super) fn is_trimmable(&self) -> bool {
        self.offset < self.max_size
    }

    pub(super) fn trim(&mut self, n: i32) -> i32 {
        let removed = n.min(self.offset);
        self.offset -= removed;
        self.index -= removed;
        removed
    }

    pub(super) fn make_mask(&self, n: i32, window: Option<i32>) -> Result<Mask> {
        if n > 1 {
            let window = window.unwrap_or(self.max_size);
            let offset = self.offset.min(self.max_size - 1);
            if offset + n <= window {
                return Ok(Mask::Causal);
            }
            let options = MaskOptions {
                offset,
                window: Some(window),
                ..MaskOptions::default()
            };
            return Ok(Mask::Array(causal_mask(n, &options)?));
        }
        match window {
            Some(window) if self.offset >= window && self.max_size > window => {
                self.window_mask(window).map(Mask::Array)
            }
            _ => Ok(Mask::None),
        }
    }

    /// The last `window` tokens, the next one included, where they will lie in the ring.
    ///
    /// # Shapes
    /// - returns: bool `[tokens]`
    fn window_mask(&self, window: i32) -> Result<Array> {
        let index = if self.index >= self.max_size {
            0
        } else {
            self.index
        };
        let size = (self.offset + 1).min(self.max_size);
        let recent = (0..size).map(|i| i >= size - window);
        let mask = Array::from_iter(recent, &[size]);
        ops::roll(&mask, &[index + 1], None)
    }
}
