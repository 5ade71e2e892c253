//! The rows of all layers at once, as a batch of completions needs them.

use super::{Batch, Cache, Full, LayerCache};
use crate::error::{Error, Result};

/// Keeps the given rows in every layer. Where no row is padded any more, the mask goes too.
pub fn select(cache: &mut Cache, rows: &[i32]) -> Result<()> {
    for layer in cache {
        layer.filter(rows)?;
        drop_padding(layer);
    }
    Ok(())
}

/// A batch without padding is a full cache, which needs no mask.
fn drop_padding(layer: &mut LayerCache) {
    if let LayerCache::Batch(batch) = layer
        && batch.left_padding.iter().all(|pad| *pad == 0)
        && batch.right_padding.is_none()
    {
        *layer = LayerCache::Full(std::mem::take(&mut batch.inner));
    }
}

/// One cache of several that were filled apart: rows one below another, the shorter ones padded
/// on the left. Where all are equally long no padding is needed, and no mask ever after.
///
/// # Errors
/// Caches of different depth, or of a kind that cannot be padded.
pub fn join(parts: &[Cache]) -> Result<Cache> {
    let layers = parts.first().map_or(0, Vec::len);
    if let Some(other) = parts.iter().find(|part| part.len() != layers) {
        let found = format!("caches of {layers} and {} layers", other.len());
        return Err(Error::value("join", found, "caches of one model"));
    }
    let layer = |layer: usize| join_layer(&parts.iter().map(|p| &p[layer]).collect::<Vec<_>>());
    (0..layers).map(layer).collect()
}

fn join_layer(parts: &[&LayerCache]) -> Result<LayerCache> {
    let padded = |layer: &&LayerCache| -> Result<_> {
        match layer {
            LayerCache::Batch(batch) => Ok((batch.inner.clone(), batch.left_padding.clone())),
            LayerCache::Full(full) => {
                let rows = layer.rows().unwrap_or(1) as usize;
                Ok((full.clone(), vec![0; rows]))
            }
            other => Err(Error::value(
                "join",
                format!("a {} cache", other.kind()),
                "full caches",
            )),
        }
    };
    let parts: Vec<(Full, Vec<i32>)> = parts.iter().map(padded).collect::<Result<_>>()?;
    let parts: Vec<(&Full, Vec<i32>)> = parts.iter().map(|(f, p)| (f, p.clone())).collect();
    let mut joined = LayerCache::Batch(Batch::merge(&parts)?);
    drop_padding(&mut joined);
    Ok(joined)
}

/// Takes tokens from the end of every layer.
///
/// # Errors
/// A cache that cannot be trimmed; nothing is taken then.
pub fn truncate(cache: &mut Cache, n: i32) -> Result<()> {
    if let Some(layer) = cache.iter_mut().find(|layer| !layer.is_trimmable()) {
        return layer.trim(n).map(drop);
    }
    cache
        .iter_mut()
        .try_for_each(|layer| layer.trim(n).map(drop))
}
