//! A cache whose rows have different lengths: shorter ones are padded on the left.

use super::full::Full;
use super::store::Store;
use super::{Mask, Offsets};
use crate::error::{Error, Result};
use crate::tensor::mask::{MaskOptions, causal_mask};

/// A [`Full`] cache and, for each row, how many of its first tokens are padding.
///
/// The position of a row is its own number of real tokens, not the width of the batch: rotary
/// embeddings depend on it.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(super) inner: Full,
    pub(super) left_padding: Vec<i32>,
    /// Padding on the right of the tokens that come next, until [`finalize`](Self::finalize).
    pub(super) right_padding: Option<Vec<i32>>,
}

/// An error if there is not one number of at least 0 for each row.
pub(super) fn check_list(name: &str, list: &[i32], rows: usize) -> Result<()> {
    if list.len() != rows {
        let expected = format!("{rows} numbers, one for each row");
        return Err(Error::setting(name, format!("{list:?}"), &expected));
    }
    match list.iter().find(|n| **n < 0) {
        Some(n) => Err(Error::setting(name, n, "numbers of at least 0")),
        None => Ok(()),
    }
}

/// An error for padding on the left of what is already there.
pub(super) fn only_while_empty(is_empty: bool) -> Result<()> {
    match is_empty {
        true => Ok(()),
        false => Err(Error::Unsupported(
            "left padding can only be added to an empty cache; tokens that are padded on the right \
             are announced by `right_padding`"
                .into(),
        )),
    }
}

/// Two lists, one after the other.
pub(super) fn joined(a: &[i32], b: &[i32]) -> Vec<i32> {
    [a, b].concat()
}

/// The entries of some rows.
pub(super) fn of_rows(list: &[i32], rows: &[i32]) -> Vec<i32> {
    rows.iter().map(|row| list[*row as usize]).collect()
}

impl Batch {
    /// An empty cache for rows with so much padding on their left.
    pub fn new(left_padding: Vec<i32>) -> Result<Self> {
        check_list("left_padding", &left_padding, left_padding.len().max(1))?;
        Ok(Self::of(Full::default(), left_padding))
    }

    pub(super) fn of(inner: Full, left_padding: Vec<i32>) -> Self {
        Self {
            inner,
            left_padding,
            right_padding: None,
        }
    }

    pub(super) fn update_and_fetch(&mut self, new: &Store) -> Result<Store> {
        if new.rows() as usize != self.left_padding.len() {
            let expected = format!("{} rows", self.left_padding.len());
            return Err(Error::shape("keys", expected, new.arrays()[0].shape()));
        }
        self.inner.append(new)
    }

    pub(super) fn offsets(&self) -> Offsets {
        let size = self.inner.offset;
        Offsets::PerRow(self.left_padding.iter().map(|pad| size - pad).collect())
    }

    pub(super) fn make_mask(&self, n: i32, window: Option<i32>) -> Result<Mask> {
        let options = MaskOptions {
            offset: self.inner.offset,
            window,
            left_padding: Some(self.left_padding.clone()),
            ..MaskOptions::default()
        };
        Ok(Mask::Array(causal_mask(n, &options)?))
    }

    pub(super) fn prepare(&mut self, left: Option<&[i32]>, right: Option<&[i32]>) -> Result<()> {
        let rows = self.left_padding.len();
        if let Some(left) = left {
            check_list("left_padding", left, rows)?;
            only_while_empty(self.inner.store.is_none())?;
        }
        if let Some(right) = right {
            check_list("right_padding", right, rows)?;
        }
        if let Some(left) = left {
            let both = self.left_padding.iter_mut().zip(left);
            both.for_each(|(pad, more)| *pad += more);
        }
        if let Some(right) = right.filter(|right| right.iter().any(|n| *n > 0)) {
            self.right_padding = Some(right.to_vec());
        }
        Ok(())
    }

    /// Moves padding that came on the right of the tokens to their left.
    pub(super) fn finalize(&mut self) -> Result<()> {
        let Some(right) = self.right_padding.take() else {
            return Ok(());
        };
        if let Some(store) = &self.inner.store {
            self.inner.store = Some(store.rolled_rows(&right)?);
        }
        let both = self.left_padding.iter_mut().zip(right);
        both.for_each(|(pad, more)| *pad += more);
        Ok(())
    }

    /// Keeps rows, and drops the padding that all of them have.
    pub(super) fn filter(&mut self, rows: &[i32]) -> Result<()> {
        self.inner.filter(rows)?;
        self.left_padding = of_rows(&self.left_padding, rows);
        self.right_padding = self
            .right_padding
            .as_ref()
            .map(|right| of_rows(right, rows));
        let common = self.left_padding.iter().copied().min().unwrap_or(0);
        // Some of it may still be to come.
        let common = common.min(self.inner.offset);
        if let (true, Some(store)) = (common > 0, &self.inner.store) {
            self.inner.store = Some(store.part(common, store.length())?);
            self.inner.offset -= common;
            self.left_padding.iter_mut().for_each(|pad| *pad -= common);
        }
        Ok(())
    }

    /// Adds the rows of another cache; the shorter of the two is padded on the left.
    pub(super) fn extend(&mut self, other: &Self) -> Result<()> {
        let length = self.inner.offset.max(other.inner.offset);
        let room = self.inner.capacity().max(other.inner.capacity());
        let Some(like) = self.inner.store.as_ref().or(other.inner.store.as_ref()) else {
            self.left_padding = joined(&self.left_padding, &other.left_padding);
            return Ok(());
        };
        let widened = |batch: &Self| batch.widened(length, room, like);
        let ((a, left_a), (b, left_b)) = (widened(self)?, widened(other)?);
        a.check_heads(&b)?;
        let store = Store::below(&[&a, &b])?;
        self.inner = Full::of(Some(store), length);
        self.left_padding = joined(&left_a, &left_b);
        Ok(())
    }

    /// Buffers for `room` tokens whose last one in use is the `length`th, and their padding.
    fn widened(&self, length: i32, room: i32, like: &Store) -> Result<(Store, Vec<i32>)> {
        let shift = length - self.inner.offset;
        let store = match &self.inner.store {
            Some(store) => store.clone(),
            None => like.zeros(self.left_padding.len() as i32, 0)?,
        };
        let store = store.padded(shift, room - store.length() - shift)?;
        let padding = self.left_padding.iter().map(|pad| pad + shift).collect();
        Ok((store, padding))
    }

    /// One row without its padding.
    pub(super) fn extract(&self, row: i32) -> Result<Full> {
        let Some(store) = &self.inner.store else {
            return Ok(Full::default());
        };
        let padding = self.left_padding[row as usize].min(self.inner.offset);
        let own = store.take_rows(&[row])?.part(padding, self.inner.offset)?;
        Ok(Full::of(
            Some(own.contiguous()?),
            self.inner.offset - padding,
        ))
    }

    /// The rows of several caches one below another, the shorter ones padded on the left: for each
    /// its rows' tokens and their own padding. An empty cache counts as one row.
    pub(super) fn merge(parts: &[(&Full, Vec<i32>)]) -> Result<Self> {
        let length = parts.iter().map(|(part, _)| part.offset).max().unwrap_or(0);
        let like = parts.iter().find_map(|(part, _)| part.store.as_ref());
        let (mut stores, mut left_padding) = (Vec::new(), Vec::new());
        for (part, padding) in parts {
            let gap = length - part.offset;
            left_padding.extend(padding.iter().map(|pad| pad + gap));
            match (part.used()?, like) {
                (Some(used), _) => stores.push(used.padded(gap, 0)?),
                (None, Some(like)) => stores.push(like.zeros(padding.len() as i32, gap)?),
                (None, None) => {}
            }
        }
        if length == 0 {
            return Ok(Self::of(Full::default(), vec![0; left_padding.len()]));
        }
        let stores: Vec<&Store> = stores.iter().collect();
        stores
            .windows(2)
            .try_for_each(|pair| pair[0].check_heads(pair[1]))?;
        let inner = Full::of(Some(Store::below(&stores)?), length);
        Ok(Self::of(inner, left_padding))
    }
}
