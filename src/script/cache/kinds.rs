//! Which caches settings ask for.

use crate::cache::{self, Kind, LayerCache};
use crate::error::{Error, Result};
use crate::script::convert::{self, int};
use crate::script::settings::Settings;
use rhai::Dynamic;

/// How the caches of a model with heads of this size are to be; `batch` is left to the caller.
///
/// # Errors
/// An unknown kind; settings that the kind does not have.
pub fn kind(s: &mut Settings, head_dim: i32) -> Result<Kind> {
    let mut name = "full".to_string();
    if let Some(given) = s.string("kind")? {
        name = given;
    }
    let max_size = s.integer("max_size")?.map(int).transpose()?;
    let keep = s.integer("keep")?.map(int).transpose()?;
    let bits = s.integer("bits")?.map(int).transpose()?;
    let group_size = s.integer("group_size")?.map(int).transpose()?;
    let unused = |settings: &[(&str, Option<i32>)]| match settings.iter().find(|s| s.1.is_some()) {
        None => Ok(()),
        Some((setting, value)) => {
            let expected = format!("nothing: a {name} cache has no `{setting}`");
            Err(Error::setting(
                *setting,
                value.unwrap_or_default(),
                &expected,
            ))
        }
    };
    let kind = match name.as_str() {
        "full" => {
            let others = [("max_size", max_size), ("keep", keep), ("bits", bits)];
            unused(&others).and(unused(&[("group_size", group_size)]))?;
            Kind::Full
        }
        "rotating" => {
            unused(&[("bits", bits), ("group_size", group_size)])?;
            let expected = "the number of tokens that are kept";
            let max_size =
                max_size.ok_or_else(|| Error::setting("max_size", "nothing", expected))?;
            // The first tokens are looked at by all; mlx-lm keeps four, too.
            let keep = keep.unwrap_or(4.min(max_size - 1).max(0));
            Kind::Rotating { max_size, keep }
        }
        "quantized" => {
            unused(&[("max_size", max_size), ("keep", keep)])?;
            let usual = if head_dim % 64 == 0 { 64 } else { 32 };
            Kind::Quantized {
                bits: bits.unwrap_or(8),
                group_size: group_size.unwrap_or(usual),
            }
        }
        other => {
            let expected = "\"full\", \"rotating\" or \"quantized\"";
            return Err(Error::setting("kind", format!("{other:?}"), expected));
        }
    };
    kind.layer(0)?;
    Ok(kind)
}

/// Padding for each row: a list, or a number of rows without any.
fn padding(value: &Dynamic) -> Result<Vec<i32>> {
    match value.as_int() {
        Ok(rows @ 1..=65536) => Ok(vec![0; rows as usize]),
        Ok(rows) => Err(Error::setting("batch", rows, "at least one row")),
        Err(_) => convert::ids(value),
    }
}

/// The caches that `model.new_cache(settings)` makes.
pub fn new_cache(s: &mut Settings, layers: usize, head_dim: i32) -> Result<cache::Cache> {
    let kind = kind(s, head_dim)?;
    let Some(rows) = s.take("batch") else {
        return kind.cache(layers, 0);
    };
    let rows = padding(&rows)?;
    let layer = || match kind {
        Kind::Full => LayerCache::batch(rows.clone()),
        Kind::Rotating { max_size, keep: _ } => LayerCache::batch_rotating(max_size, rows.clone()),
        Kind::Quantized { .. } => Err(Error::setting(
            "batch",
            "a quantized cache",
            "a full or a rotating one: packed rows cannot be moved",
        )),
    };
    (0..layers).map(|_| layer()).collect()
}
