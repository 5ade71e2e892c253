//! Keys and values of past tokens, one file per policy.
//!
//! A cache owns its offset, which is the position of the next token, and its mask. It is an
//! argument of `forward`, never a field of a model; without one, `forward` is the training case.
//! What is stored in which order, and every mask, is as in mlx-lm 0.32.2, but what would corrupt a
//! cache in silence there is an error here.

mod batch;
mod batch_rotating;
mod file;
mod full;
mod past;
mod quantized;
mod rotating;
mod rows;
mod shared;
mod store;

pub use batch::Batch;
pub use batch_rotating::BatchRotating;
pub use file::{load, save};
pub use full::Full;
pub use past::{Mask, Past};
pub use quantized::Quantized;
pub use rotating::Rotating;
pub use rows::{join, select, truncate};
pub use shared::Shared;

use crate::error::{Error, Result};
use crate::mlx::Array;
use crate::nn::Position;
use store::Store;

/// The past of one attention layer.
#[derive(Clone, Debug)]
pub enum LayerCache {
    Full(Full),
    Rotating(Rotating),
    Quantized(Quantized),
    Batch(Batch),
    BatchRotating(BatchRotating),
    Shared(Shared),
}

/// The past of all layers of a model.
pub type Cache = Vec<LayerCache>;

/// How much of the past is kept, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Kind {
    /// Everything.
    #[default]
    Full,
    /// The first `keep` tokens and the latest, `max_size` in all.
    Rotating { max_size: i32, keep: i32 },
    /// Everything, in few bits.
    Quantized { bits: i32, group_size: i32 },
}

impl Kind {
    /// An empty cache of this kind for one layer, with room for `reserve` tokens where it grows.
    ///
    /// # Errors
    /// A setting out of its range.
    pub fn layer(self, reserve: i32) -> Result<LayerCache> {
        match self {
            Self::Full => Ok(LayerCache::full(reserve)),
            Self::Rotating { max_size, keep } => LayerCache::rotating(max_size, keep),
            Self::Quantized { bits, group_size } => LayerCache::quantized(bits, group_size),
        }
    }

    /// Empty caches for the layers of a model.
    ///
    /// # Errors
    /// A setting out of its range.
    pub fn cache(self, layers: usize, reserve: i32) -> Result<Cache> {
        (0..layers).map(|_| self.layer(reserve)).collect()
    }
}

/// The position of the next token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offsets {
    /// All rows alike.
    Same(i32),
    /// One for each row; negative for padding.
    PerRow(Vec<i32>),
}

/// Empty caches that keep everything, with room for `reserve` tokens before they grow.
pub fn full(layers: usize, reserve: i32) -> Cache {
    (0..layers).map(|_| LayerCache::full(reserve)).collect()
}

/// The arrays of every layer, to evaluate so that nothing is left to compute.
pub fn state(cache: &Cache) -> Vec<Array> {
    cache.iter().flat_map(LayerCache::state).collect()
}

/// The same expression for the cache of every kind.
macro_rules! each {
    ($self:expr, $cache:ident => $value:expr) => {
        match $self {
            LayerCache::Full($cache) => $value,
            LayerCache::Rotating($cache) => $value,
            LayerCache::Quantized($cache) => $value,
            LayerCache::Batch($cache) => $value,
            LayerCache::BatchRotating($cache) => $value,
            LayerCache::Shared($cache) => $value,
        }
    };
}

impl LayerCache {
    /// Keeps every token; room for `reserve` before it grows (0: the usual step).
    pub fn full(reserve: i32) -> Self {
        Self::Full(Full::new(reserve))
    }

    /// Keeps the first `keep` and the latest tokens, `max_size` in all.
    ///
    /// # Errors
    /// Sizes out of their range.
    pub fn rotating(max_size: i32, keep: i32) -> Result<Self> {
        Rotating::new(max_size, keep).map(Self::Rotating)
    }

    /// Keeps every token in few bits.
    ///
    /// # Errors
    /// A format that MLX does not have.
    pub fn quantized(bits: i32, group_size: i32) -> Result<Self> {
        Quantized::new(bits, group_size).map(Self::Quantized)
    }

    /// Keeps every token of rows that are padded on the left.
    ///
    /// # Errors
    /// No row, or negative padding.
    pub fn batch(left_padding: Vec<i32>) -> Result<Self> {
        Batch::new(left_padding).map(Self::Batch)
    }

    /// Keeps the latest `max_size` tokens of rows that are padded on the left.
    ///
    /// # Errors
    /// No row, negative padding, or a size below 1.
    pub fn batch_rotating(max_size: i32, left_padding: Vec<i32>) -> Result<Self> {
        BatchRotating::new(max_size, left_padding).map(Self::BatchRotating)
    }

    /// Prompts of these lengths that so many completions share, for training.
    ///
    /// # Errors
    /// A length or a count below 1, or not one of each for every prompt.
    pub fn shared(lengths: Vec<i32>, counts: Vec<i32>) -> Result<Self> {
        Shared::new(lengths, counts).map(Self::Shared)
    }

    /// The name of the kind in scripts and files.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Full(_) => "full",
            Self::Rotating(_) => "rotating",
            Self::Quantized(_) => "quantized",
            Self::Batch(_) => "batch",
            Self::BatchRotating(_) => "batch_rotating",
            Self::Shared(_) => "shared",
        }
    }

    /// Appends the keys and values of new tokens and gives all that they may attend to.
    ///
    /// # Shapes
    /// - keys, values: `[B, H, L, D]`
    ///
    /// # Errors
    /// Shapes that do not fit what is there; nothing is changed then.
    pub fn update_and_fetch(&mut self, keys: &Array, values: &Array) -> Result<Past> {
        let new = Store::new(keys, values)?;
        let used = match self {
            Self::Quantized(cache) => return cache.update_and_fetch(&new),
            Self::Full(cache) => cache.append(&new),
            Self::Rotating(cache) => cache.update_and_fetch(&new),
            Self::Batch(cache) => cache.update_and_fetch(&new),
            Self::BatchRotating(cache) => cache.update_and_fetch(&new),
            Self::Shared(cache) => cache.update_and_fetch(&new),
        };
        let (keys, values) = used?.pair();
        Ok(Past::Plain(keys, values))
    }

    /// Where the next token of each row stands.
    pub fn offsets(&self) -> Offsets {
        each!(self, cache => cache.offsets())
    }

    /// The same, for rotary embeddings.
    pub fn position(&self) -> Position {
        match self.offsets() {
            Offsets::Same(offset) => Position::Same(offset),
            Offsets::PerRow(list) => {
                Position::PerRow(Array::from_slice(&list, &[list.len() as i32]))
            }
        }
    }

    /// The mask for `n` new tokens, to be asked before they are appended. With a window a token
    /// sees at most so many, itself included.
    pub fn make_mask(&self, n: i32, window: Option<i32>) -> Result<Mask> {
        if n < 1 {
            return Err(Error::value("mask", format!("{n} tokens"), "at least one"));
        }
        if let Some(window) = window.filter(|window| *window < 1) {
            return Err(Error::value(
                "mask",
                format!("window {window}"),
                "at least 1",
            ));
        }
        each!(self, cache => cache.make_mask(n, window))
    }

    fn store(&self) -> Option<&Store> {
        match self {
            Self::Full(cache) => cache.store.as_ref(),
            Self::Rotating(cache) => cache.store.as_ref(),
            Self::Quantized(cache) => cache.inner.store.as_ref(),
            Self::Batch(cache) => cache.inner.store.as_ref(),
            Self::BatchRotating(cache) => cache.store.as_ref(),
            Self::Shared(cache) => cache.store.as_ref(),
        }
    }

    /// The arrays to evaluate so that nothing is left to compute.
    pub fn state(&self) -> Vec<Array> {
        self.store()
            .map(|s| s.arrays().to_vec())
            .unwrap_or_default()
    }

    /// How many tokens are held, padding included.
    pub fn size(&self) -> i32 {
        match self {
            Self::Full(cache) => cache.offset,
            Self::Rotating(cache) => cache.size(),
            Self::Quantized(cache) => cache.inner.offset,
            Self::Batch(cache) => cache.inner.offset,
            Self::BatchRotating(cache) => cache.size(),
            Self::Shared(_) => self.capacity(),
        }
    }

    /// For how many tokens there is room before memory is asked for.
    pub fn capacity(&self) -> i32 {
        self.store().map_or(0, Store::length)
    }

    /// Bytes of the buffers.
    pub fn nbytes(&self) -> usize {
        self.store().map_or(0, Store::nbytes)
    }

    /// Padding at the start of each row, of the kinds that have some.
    pub fn left_padding(&self) -> Option<&[i32]> {
        match self {
            Self::Batch(cache) => Some(&cache.left_padding),
            Self::BatchRotating(cache) => Some(&cache.left_padding),
            _ => None,
        }
    }

    /// How many rows there are, if that is known yet.
    pub fn rows(&self) -> Option<i32> {
        if let Self::Shared(cache) = self {
            return cache.store.as_ref().map(|_| cache.rows());
        }
        let padded = self.left_padding().map(|list| list.len() as i32);
        padded.or_else(|| self.store().map(Store::rows))
    }

    /// Whether tokens can be taken from the end: not from a ring that has gone round, since what
    /// they overwrote is gone.
    pub fn is_trimmable(&self) -> bool {
        match self {
            Self::Rotating(cache) => cache.is_trimmable(),
            Self::BatchRotating(cache) => cache.is_trimmable(),
            _ => true,
        }
    }

    /// Removes up to `n` tokens from the end, and says how many.
    ///
    /// # Errors
    /// A negative number; a ring that has gone round.
    pub fn trim(&mut self, n: i32) -> Result<i32> {
        if n < 0 {
            return Err(Error::value("trim", n, "at least 0 tokens"));
        }
        self.check_settled("trim")?;
        if !self.is_trimmable() {
            return Err(Error::Unsupported(format!(
                "a ring that has gone round cannot be trimmed: what its last {} tokens overwrote \
                 is gone; use a larger `max_size`, or a full cache",
                self.size()
            )));
        }
        Ok(match self {
            Self::Full(cache) => cache.trim(n),
            Self::Rotating(cache) => cache.trim(n),
            Self::Quantized(cache) => cache.inner.trim(n),
            Self::Batch(cache) => cache.inner.trim(n),
            Self::BatchRotating(cache) => cache.trim(n),
            Self::Shared(_) => return Err(self.lacks("trim")),
        })
    }

    /// An error while padding on the right is announced and not yet moved.
    fn check_settled(&self, what: &str) -> Result<()> {
        let waits = match self {
            Self::Batch(cache) => cache.right_padding.is_some(),
            Self::BatchRotating(cache) => cache.ends.is_some(),
            _ => false,
        };
        match waits {
            false => Ok(()),
            true => Err(Error::Unsupported(format!(
                "this cache waits for `finalize()`; call it before `{what}`"
            ))),
        }
    }

    fn unlike(&self, what: &str, other: &Self) -> Error {
        let found = format!("a {} cache and a {} cache", self.kind(), other.kind());
        Error::value(what, found, "caches of one kind that has rows with padding")
    }

    fn lacks(&self, what: &str) -> Error {
        Error::Unsupported(format!(
            "a {} cache has no `{what}`; the kinds with rows of their own are `cache::batch` and \
             `cache::batch_rotating`",
            self.kind()
        ))
    }

    fn check_rows(&self, rows: &[i32]) -> Result<()> {
        let count = self.rows().unwrap_or(1);
        if rows.is_empty() {
            return Err(Error::value("rows", "none", "at least one"));
        }
        match rows.iter().find(|row| !(0..count).contains(*row)) {
            Some(row) => Err(Error::value("row", row, &format!("0 to {}", count - 1))),
            None => Ok(()),
        }
    }

    /// Keeps the given rows, in the given order; a row may be named several times.
    ///
    /// # Errors
    /// No row, or one that is not there.
    pub fn filter(&mut self, rows: &[i32]) -> Result<()> {
        self.check_rows(rows)?;
        match self {
            Self::Full(cache) => cache.filter(rows),
            Self::Quantized(cache) => cache.inner.filter(rows),
            Self::Rotating(cache) => cache.filter(rows),
            Self::Batch(cache) => cache.filter(rows),
            Self::BatchRotating(cache) => cache.filter(rows),
            Self::Shared(_) => Err(self.lacks("filter")),
        }
    }

    /// Adds the rows of another cache.
    ///
    /// # Errors
    /// Caches of different kinds or sizes.
    pub fn extend(&mut self, other: &Self) -> Result<()> {
        self.check_settled("extend")?;
        other.check_settled("extend")?;
        match (&mut *self, other) {
            (Self::Batch(cache), Self::Batch(other)) => cache.extend(other),
            (Self::BatchRotating(cache), Self::BatchRotating(other)) => cache.extend(other),
            _ => Err(self.unlike("extend", other)),
        }
    }

    /// One row as a cache of its own, without padding.
    ///
    /// # Errors
    /// A row that is not there; a kind without rows of its own.
    pub fn extract(&self, row: i32) -> Result<Self> {
        self.check_rows(&[row])?;
        self.check_settled("extract")?;
        match self {
            Self::Batch(cache) => cache.extract(row).map(Self::Full),
            Self::BatchRotating(cache) => cache.extract(row).map(Self::Rotating),
            _ => Err(self.lacks("extract")),
        }
    }

    /// Announces padding: on the left of an empty cache, or on the right of the tokens to come,
    /// with the number of real ones.
    ///
    /// # Errors
    /// Not one number for each row; left padding of a cache that is not empty.
    pub fn prepare(
        &mut self,
        left_padding: Option<&[i32]>,
        lengths: Option<&[i32]>,
        right_padding: Option<&[i32]>,
    ) -> Result<()> {
        match self {
            Self::Batch(cache) => cache.prepare(left_padding, right_padding),
            Self::BatchRotating(cache) => cache.prepare(left_padding, lengths, right_padding),
            _ => Err(self.lacks("prepare")),
        }
    }

    /// Moves announced padding on the right to the left.
    pub fn finalize(&mut self) -> Result<()> {
        match self {
            Self::Batch(cache) => cache.finalize(),
            Self::BatchRotating(cache) => cache.finalize(),
            _ => Ok(()),
        }
    }

    /// One batch of single caches, the shorter ones padded on the left.
    ///
    /// # Errors
    /// No cache, caches of different kinds, or kinds that cannot be padded.
    pub fn merge(list: &[&Self]) -> Result<Self> {
        let Some(first) = list.first() else {
            return Err(Error::value("merge", "no cache", "at least one"));
        };
        let mixed = |other: &&Self| first.unlike("merge", other);
        match first {
            Self::Full(_) => {
                let fulls = list.iter().map(|one| match one {
                    Self::Full(cache) => Ok((cache, vec![0; one.rows().unwrap_or(1) as usize])),
                    other => Err(mixed(other)),
                });
                let fulls: Vec<(&Full, Vec<i32>)> = fulls.collect::<Result<_>>()?;
                Batch::merge(&fulls).map(Self::Batch)
            }
            Self::Rotating(_) => {
                let rings = list.iter().map(|one| match one {
                    Self::Rotating(cache) => Ok(cache),
                    other => Err(mixed(other)),
                });
                let rings: Vec<&Rotating> = rings.collect::<Result<_>>()?;
                BatchRotating::merge(&rings).map(Self::BatchRotating)
            }
            other => Err(Error::value(
                "merge",
                format!("a {} cache", other.kind()),
                "full or rotating caches",
            )),
        }
    }
}
