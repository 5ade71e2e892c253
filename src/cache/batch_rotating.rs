//! A cache of bounded size whose rows have different lengths.

use super::batch::{check_list, joined, of_rows, only_while_empty};
use super::rotating::{Rotating, check_max_size};
use super::store::{STEP, Store};
use super::{Mask, Offsets};
use crate::error::{Error, Result};
use crate::mlx::{Array, ops};
use mlx_rs::ops::broadcast_to;

/// A ring of `max_size` tokens for each row, all written at one place.
///
/// Rows are padded on the left; once the ring has gone round, padding is overwritten like old
/// tokens, and its count falls below 0.
#[derive(Clone, Debug)]
pub struct BatchRotating {
    pub(super) store: Option<Store>,
    pub(super) left_padding: Vec<i32>,
    /// The position of each row's next token.
    pub(super) offset: Vec<i32>,
    pub(super) max_size: i32,
    /// All tokens that ever came, padding included.
    pub(super) total: i32,
    /// Where the next token is written.
    pub(super) index: i32,
    /// Whether the ring has gone round.
    pub(super) rotated: bool,
    /// The position at which each row will be at its end, while its tokens are padded on the
    /// right.
    pub(super) ends: Option<Vec<i32>>,
}

impl BatchRotating {
    /// An empty cache for rows with so much padding on their left.
    pub fn new(max_size: i32, left_padding: Vec<i32>) -> Result<Self> {
        check_max_size(max_size)?;
        check_list("left_padding", &left_padding, left_padding.len().max(1))?;
        Ok(Self {
            store: None,
            offset: left_padding.iter().map(|pad| -pad).collect(),
            left_padding,
            max_size,
            total: 0,
            index: 0,
            rotated: false,
            ends: None,
        })
    }

    pub(super) fn update_and_fetch(&mut self, new: &Store) -> Result<Store> {
        if new.rows() as usize != self.left_padding.len() {
            let expected = format!("{} rows", self.left_padding.len());
            return Err(Error::shape("keys", expected, new.arrays()[0].shape()));
        }
        if let Some(old) = &self.store {
            old.check_like(new)?;
        }
        match new.length() {
            1 => self.write(new),
            _ => self.append(new),
        }
    }

    fn capacity(&self) -> i32 {
        self.store.as_ref().map_or(0, Store::length)
    }

    /// Puts the oldest token first.
    fn sort(&mut self) -> Result<()> {
        if let (true, Some(store)) = (self.rotated, &self.store) {
            let sorted = store.rolled(-self.index)?;
            self.index = sorted.length();
            self.store = Some(sorted);
            self.rotated = false;
        }
        Ok(())
    }

    fn shift_padding(&mut self, by: i32) {
        self.left_padding.iter_mut().for_each(|pad| *pad += by);
    }

    /// How far each row's padding on the right must move to be on its left.
    fn surplus(&self) -> Vec<i32> {
        match &self.ends {
            None => vec![0; self.offset.len()],
            Some(ends) => {
                let both = self.offset.iter().zip(ends);
                both.map(|(offset, end)| (offset - end).max(0)).collect()
            }
        }
    }

    /// Moves padding on the right to the left.
    fn roll_padding(&mut self) -> Result<()> {
        let surplus = self.surplus();
        if let Some(store) = &self.store {
            self.store = Some(store.rolled_rows(&surplus)?);
        }
        for (row, by) in surplus.iter().enumerate() {
            self.left_padding[row] += by;
            self.offset[row] -= by;
        }
        Ok(())
    }

    /// Appends a block of tokens.
    fn append(&mut self, new: &Store) -> Result<Store> {
        let store = match self.store {
            None => new.clone(),
            Some(_) => {
                self.sort()?;
                if let Some(store) = &self.store {
                    self.store = Some(store.part(0, self.index)?);
                }
                // Padding must not push out tokens.
                self.roll_padding()?;
                let excess = (self.index - self.max_size + 1).max(0);
                self.shift_padding(-excess);
                match &self.store {
                    Some(old) => Store::behind(&[&old.part(excess, old.length())?, new])?,
                    None => new.clone(),
                }
            }
        };
        self.advance(new.length());
        self.index = store.length();
        self.store = Some(store.clone());
        Ok(store)
    }

    fn advance(&mut self, n: i32) {
        self.offset.iter_mut().for_each(|offset| *offset += n);
        self.total += n;
    }

    /// Writes one token of each row into the ring.
    fn write(&mut self, new: &Store) -> Result<Store> {
        if self.ends.is_some() {
            return Err(Error::Unsupported(
                "tokens padded on the right are in this cache; call `finalize()` before single \
                 tokens follow"
                    .into(),
            ));
        }
        let mut store = match self.store.take() {
            None => new.zeros(new.rows(), STEP.min(self.max_size))?,
            Some(old) if self.total >= old.length() && old.length() < self.max_size => {
                self.index = self.total;
                let room = STEP.min(self.max_size - self.total);
                Store::behind(&[&old, &old.zeros(old.rows(), room)?])?
            }
            Some(old) => old,
        };
        let excess = store.length() - self.max_size;
        if excess > 0 {
            store = store.part(excess, store.length())?;
            self.index = self.max_size;
            self.shift_padding(-excess);
        }
        if self.index == self.max_size {
            self.rotated = true;
            self.index = 0;
        }
        if self.rotated {
            self.shift_padding(-1);
        }
        let store = store.write(new, self.index)?;
        self.advance(1);
        self.index += 1;
        let used = store.part(0, self.total.min(store.length()))?;
        self.store = Some(store);
        Ok(used)
    }

    pub(super) fn offsets(&self) -> Offsets {
        let both = self.offset.iter().zip(self.surplus());
        Offsets::PerRow(both.map(|(offset, extra)| offset - extra).collect())
    }

    pub fn size(&self) -> i32 {
        self.total.min(self.max_size)
    }

    pub(super) fn is_trimmable(&self) -> bool {
        self.total < self.max_size
    }

    pub(super) fn trim(&mut self, n: i32) -> i32 {
        let removed = n.min(self.total);
        self.total -= removed;
        self.index -= removed;
        self.offset.iter_mut().for_each(|offset| *offset -= removed);
        removed
    }

    /// # Shapes
    /// - returns: bool `[B, 1, n, tokens]`
    pub(super) fn make_mask(&self, n: i32, window: Option<i32>) -> Result<Mask> {
        let window = window.unwrap_or(self.max_size);
        let offset = self.total.min(self.max_size - 1);
        // A block is put behind the sorted ring, which is then as long as its buffer.
        let length = match self.rotated && n > 1 {
            true => self.capacity(),
            false => self.index,
        };
        let excess = (length - self.max_size + i32::from(n > 1)).max(0);
        let rotated = n == 1 && (self.rotated || self.index >= self.max_size);
        let shift = excess + i32::from(rotated);
        let padded = self.left_padding.iter().zip(self.surplus());
        let first: Vec<i32> = padded.map(|(pad, extra)| pad + extra - shift).collect();
        let rows = first.len() as i32;
        let keys = Array::arange::<_, i32>(None, offset + n, None)?.reshape(&[1, 1, 1, -1])?;
        let queries = Array::arange::<_, i32>(offset, offset + n, None)?.reshape(&[1, 1, n, 1])?;
        let seen = queries
            .ge(&keys)?
            .logical_and(queries.lt(&keys.add(Array::from_int(window))?)?)?;
        let real = keys.ge(Array::from_slice(&first, &[rows, 1, 1, 1]))?;
        let mask = seen.logical_and(&real)?;
        let mask = broadcast_to(&mask, &[rows, 1, n, offset + n])?;
        if !rotated {
            return Ok(Mask::Array(mask));
        }
        let index = if self.index >= self.max_size {
            0
        } else {
            self.index
        };
        ops::roll(&mask, &[index + 1], Some(&[-1])).map(Mask::Array)
    }

    pub(super) fn prepare(
        &mut self,
        left: Option<&[i32]>,
        lengths: Option<&[i32]>,
        right: Option<&[i32]>,
    ) -> Result<()> {
        let rows = self.left_padding.len();
        if let Some(left) = left {
            check_list("left_padding", left, rows)?;
            only_while_empty(self.store.is_none())?;
        }
        let padded = right.filter(|right| right.iter().any(|n| *n > 0));
        if let Some(right) = padded {
            check_list("right_padding", right, rows)?;
            let expected = "the number of real tokens of each row, beside `right_padding`";
            let lengths = lengths.ok_or_else(|| Error::setting("lengths", "nothing", expected))?;
            check_list("lengths", lengths, rows)?;
        }
        for (row, pad) in left.unwrap_or_default().iter().enumerate() {
            self.left_padding[row] += pad;
            self.offset[row] -= pad;
        }
        if let (Some(_), Some(lengths)) = (padded, lengths) {
            let both = self.offset.iter().zip(lengths);
            self.ends = Some(both.map(|(offset, length)| offset + length).collect());
        }
        Ok(())
    }

    pub(super) fn finalize(&mut self) -> Result<()> {
        self.roll_padding()?;
        self.ends = None;
        Ok(())
    }

    pub(super) fn filter(&mut self, rows: &[i32]) -> Result<()> {
        if let Some(store) = &self.store {
            self.store = Some(store.take_rows(rows)?);
        }
        self.offset = of_rows(&self.offset, rows);
        self.left_padding = of_rows(&self.left_padding, rows);
        self.ends = self.ends.as_ref().map(|ends| of_rows(ends, rows));
        Ok(())
    }

    /// Adds the rows of another cache of the same size.
    pub(super) fn extend(&mut self, other: &Self) -> Result<()> {
        if self.max_size != other.max_size {
            let found = format!("{} and {}", self.max_size, other.max_size);
            return Err(Error::value("extend", found, "caches of one max_size"));
        }
        let mut other = other.clone();
        if self.rotated != other.rotated || self.index != other.index {
            self.sort()?;
            other.sort()?;
        }
        let Some(like) = self.store.clone().or(other.store.clone()) else {
            self.offset = joined(&self.offset, &other.offset);
            self.left_padding = joined(&self.left_padding, &other.left_padding);
            return Ok(());
        };
        let (index, room) = (
            self.index.max(other.index),
            self.capacity().max(other.capacity()),
        );
        let widened = |batch: &Self| -> Result<(Store, Vec<i32>)> {
            let shift = index - batch.index;
            let store = match &batch.store {
                Some(store) => store.clone(),
                None => like.zeros(batch.offset.len() as i32, 0)?,
            };
            let store = store.padded(shift, room - store.length() - shift)?;
            Ok((
                store,
                batch.left_padding.iter().map(|p| p + shift).collect(),
            ))
        };
        let ((a, left_a), (b, left_b)) = (widened(self)?, widened(&other)?);
        a.check_heads(&b)?;
        self.store = Some(Store::below(&[&a, &b])?);
        self.left_padding = joined(&left_a, &left_b);
        self.offset = joined(&self.offset, &other.offset);
        self.index = index;
        self.total = self.total.max(other.total);
        Ok(())
    }

    /// One row without its padding, the oldest token first.
    pub(super) fn extract(&self, row: i32) -> Result<Rotating> {
        let mut single = Rotating::new(self.max_size, 0)?;
        let Some(store) = &self.store else {
            return Ok(single);
        };
        let own = store.take_rows(&[row])?;
        let (own, stop) = match self.rotated {
            true => (own.rolled(-self.index)?, own.length()),
            false => (own, self.index),
        };
        let padding = self.left_padding[row as usize].clamp(0, stop);
        let own = own.part(padding, stop)?.contiguous()?;
        single.index = own.length();
        // A row may so far have nothing but padding.
        single.offset = self.offset[row as usize].max(0);
        single.store = Some(own);
        Ok(single)
    }

    /// The rows of single caches of one size.
    pub(super) fn merge(parts: &[&Rotating]) -> Result<Self> {
        let max_size = parts.first().map_or(1, |part| part.max_size);
        if let Some(other) = parts.iter().find(|part| part.max_size != max_size) {
            let found = format!("{max_size} and {}", other.max_size);
            return Err(Error::value("merge", found, "caches of one max_size"));
        }
        if let Some(part) = parts.iter().find(|part| part.keep > 0) {
            let found = format!("keep = {}", part.keep);
            return Err(Error::value("merge", found, "rings with `keep` 0"));
        }
        let length = parts.iter().map(|part| part.size()).max().unwrap_or(0);
        let Some(like) = parts.iter().find_map(|part| part.store.as_ref()) else {
            return Self::new(max_size, vec![0; parts.len()]);
        };
        let mut stores = Vec::new();
        for part in parts {
            let gap = length - part.size();
            stores.push(match &part.store {
                None => like.zeros(1, length)?,
                Some(store) => {
                    like.check_heads(store)?;
                    let ordered = part.in_order(store)?;
                    let recent = ordered.part(ordered.length() - part.size(), ordered.length())?;
                    recent.padded(gap, 0)?
                }
            });
        }
        let rows = || {
            parts
                .iter()
                .zip(&stores)
                .flat_map(|(part, store)| (0..store.rows()).map(move |_| part))
        };
        let padding = rows().map(|part| length - part.size()).collect();
        let mut merged = Self::new(max_size, padding)?;
        merged.offset = rows().map(|part| part.offset).collect();
        merged.store = Some(Store::below(&stores.iter().collect::<Vec<_>>())?);
        merged.index = length;
        merged.total = length;
        Ok(merged)
    }
}
