//! Keys and values of past tokens: one trait, one file per policy.
//!
//! A cache owns its offset, which is the position of the next token, and its mask. It is an
//! argument of `forward`, never a field of a model; without one, `forward` is the training case.

mod batch;
mod full;

pub use batch::Batch;
pub use full::Full;

use crate::error::{Error, Result};
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

    /// What is held, and how much of the start of each row is padding.
    fn contents(&self) -> (&Full, Vec<i32>);

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
///
/// # Errors
/// Caches of different depth.
pub fn merge(parts: &[Cache]) -> Result<Cache> {
    let layers = parts.first().map_or(0, Vec::len);
    if let Some(other) = parts.iter().find(|part| part.len() != layers) {
        let found = format!("caches of {layers} and {} layers", other.len());
        return Err(Error::value("merge", found, "caches of one model"));
    }
    (0..layers)
        .map(|layer| {
            let of_layer: Vec<_> = parts.iter().map(|part| part[layer].contents()).collect();
            merge_layer(&of_layer)
        })
        .collect()
}

fn merge_layer(parts: &[(&Full, Vec<i32>)]) -> Result<Box<dyn LayerCache>> {
    let longest = parts.iter().map(|(full, _)| full.size()).max().unwrap_or(0);
    let padding: Vec<i32> = parts
        .iter()
        .flat_map(|(full, padding)| padding.iter().map(|pad| pad + longest - full.size()))
        .collect();
    let fulls: Vec<&Full> = parts.iter().map(|(full, _)| *full).collect();
    let joined = Full::join(&fulls, longest)?;
    Ok(if padding.iter().all(|pad| *pad == 0) {
        Box::new(joined)
    } else {
        Box::new(Batch::new(joined, padding))
    })
}
