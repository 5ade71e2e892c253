//! Names of element types, as MLX and safetensors spell them.

use crate::error::{Error, Result, nearest};
use crate::mlx::Dtype;

const NAMES: [(&str, Dtype); 14] = [
    ("bool", Dtype::Bool),
    ("uint8", Dtype::Uint8),
    ("uint16", Dtype::Uint16),
    ("uint32", Dtype::Uint32),
    ("uint64", Dtype::Uint64),
    ("int8", Dtype::Int8),
    ("int16", Dtype::Int16),
    ("int32", Dtype::Int32),
    ("int64", Dtype::Int64),
    ("float16", Dtype::Float16),
    ("bfloat16", Dtype::Bfloat16),
    ("float32", Dtype::Float32),
    ("float64", Dtype::Float64),
    ("complex64", Dtype::Complex64),
];

/// The name of an element type.
pub fn name(dtype: Dtype) -> &'static str {
    NAMES
        .iter()
        .find(|(_, d)| *d == dtype)
        .map_or("unknown", |(name, _)| name)
}

/// The element type of a name.
///
/// # Errors
/// An unknown name; the error lists the known ones.
pub fn parse(text: &str) -> Result<Dtype> {
    if let Some((_, dtype)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Ok(*dtype);
    }
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    let hint = nearest(text, names.iter().copied())
        .map(|name| format!("`{name}`, or one of "))
        .unwrap_or_default();
    Err(Error::value(
        "dtype",
        text,
        &format!("{hint}{}", names.join(", ")),
    ))
}
