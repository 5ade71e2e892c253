//! Keys and values of past tokens: one trait, one file per policy.
//!
//! A cache owns its offset, which is the position of the next token, and its mask. It is an
//! argument of `forward`, never a field of a model; without one, `forward` is the training case.

mod batch;
mod full;

pub use batch::Batch;
pub use full::Full;

use crate::error::Result;
use crate::mlx::Array;
use crate::nn::Position;

/// Which positions a block of new tokens may attend to.
#[derive(Clone, Debug)]
pub enum Mask {
    /// All of them: one new token and no padding.
    None,
    /// Those before it, aligned at the end; MLX has a fast path for it.
    Causal,
    /// As the bool array says, true = may attend.
    Array(Array),
}

/// The past of one attention layer.
pub trait LayerCache {
    /// Where the next tokens stand.
    fn position(&self) -> Position;

    /// Appends the keys and values of new tokens and returns all that they attend to.
    ///
    /// # Shapes
    /// - keys, values: `[B, H, L, D]`
    /// - returns: two arrays `[B, H, offset + L, D]`
    fn update_and_fetch(&mut self, keys: &Array, values: &Array) -> Result<(Array, Array)>;

    /// The mask for `n` new tokens, to be asked before they are appended.
    fn mask(&self, n: i32) -> Result<Mask>;

    /// Keeps the given rows, in the given order; a row may be named several times.
    fn select(&mut self, rows: &[i32]) -> Result<()>;

    /// Removes up to `n` tokens from the end and returns how many.
    fn trim(&mut self, n: i32) -> i32;

    /// How many tokens are held.
    fn size(&self) -> i32;

    /// The arrays to evaluate so that nothing is left to compute.
    fn state(&self) -> Vec<Array>;
}

/// The past of all layers of a model.
pub type Cache = Vec<Box<dyn LayerCache>>;

/// Empty caches that keep everything, with room for `reserve` tokens before they grow.
pub fn full(layers: usize, reserve: i32) -> Cache {
    (0..layers)
        .map(|_| Box::new(Full::new(reserve)) as Box<dyn LayerCache>)
        .collect()
}

/// Keeps the given rows in every layer.
pub fn select(cache: &mut Cache, rows: &[i32]) -> Result<()> {
    cache.iter_mut().try_for_each(|layer| layer.select(rows))
}

/// The arrays of every layer.
pub fn state(cache: &Cache) -> Vec<Array> {
    cache.iter().flat_map(|layer| layer.state()).collect()
}

/// One cache of several that were filled apart: rows one after another, the shorter ones padded
/// on the left. Where all are equally long no padding is needed, and no mask ever after.
pub fn merge(parts: Vec<Vec<Full>>) -> Result<Cache> {
    let lengths: Vec<i32> = parts
        .iter()
        .map(|part| part.first().map_or(0, LayerCache::size))
        .collect();
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let layers = parts.first().map_or(0, Vec::len);
    let equal = lengths.iter().all(|length| *length == longest);
    let mut padding = Vec::new();
    for (part, length) in parts.iter().zip(&lengths) {
        let rows = part.first().map_or(0, Full::rows);
        padding.extend(std::iter::repeat_n(longest - length, rows));
    }
    let mut merged: Cache = Vec::with_capacity(layers);
    for layer in 0..layers {
        let of_layer: Vec<&Full> = parts.iter().map(|part| &part[layer]).collect();
        let joined = Full::join(&of_layer, longest)?;
        merged.push(if equal {
            Box::new(joined)
        } else {
            Box::new(Batch::new(joined, padding.clone()))
        });
    }
    Ok(merged)
}
