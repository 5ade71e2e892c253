//! Values between Rhai and the native rooms.

use super::docs::friendly;
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype};
use crate::tensor::to_i32;
use rhai::{Array as List, Dynamic, INT, Map};
use serde_json::Value;

/// JSON as a script's value.
pub fn from_json(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(b) => (*b).into(),
        Value::Number(n) => match n.as_i64() {
            Some(i) => i.into(),
            None => n.as_f64().unwrap_or(f64::NAN).into(),
        },
        Value::String(text) => text.into(),
        Value::Array(list) => list.iter().map(from_json).collect::<List>().into(),
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (name.as_str().into(), from_json(value)))
            .collect::<Map>()
            .into(),
    }
}

/// A script's value as JSON.
///
/// # Errors
/// A value that JSON has no form for, such as a function.
pub fn to_json(value: &Dynamic) -> Result<Value> {
    if let Some(list) = value.read_lock::<List>() {
        return list.iter().map(to_json).collect();
    }
    if let Some(map) = value.read_lock::<Map>() {
        let fields = map.iter();
        return fields
            .map(|(name, value)| Ok((name.to_string(), to_json(value)?)))
            .collect();
    }
    if let Some(tensor) = value.read_lock::<Tensor>() {
        return to_json(&super::lists::to_list(&tensor.0)?);
    }
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(b) = value.as_bool() {
        return Ok(b.into());
    }
    if let Ok(i) = value.as_int() {
        return Ok(i.into());
    }
    if let Ok(f) = value.as_float() {
        return Ok(f.into());
    }
    if value.is_string() || value.is_char() {
        return Ok(value.to_string().into());
    }
    Err(Error::value(
        "value",
        kind(value),
        "data: numbers, text, lists, maps",
    ))
}

/// Token ids from a list or an integer tensor.
pub fn ids(value: &Dynamic) -> Result<Vec<i32>> {
    if let Some(tensor) = value.read_lock::<Tensor>() {
        if tensor.0.dtype().is_float() {
            return Err(Error::value("token ids", "a float tensor", "integers"));
        }
        return to_i32(&tensor.0);
    }
    let Some(list) = value.read_lock::<List>() else {
        return Err(Error::value("token ids", kind(value), "a list or a tensor"));
    };
    list.iter().map(id).collect()
}

fn id(value: &Dynamic) -> Result<i32> {
    let number = value
        .as_int()
        .map_err(|found| Error::value("token id", found, "a whole number"))?;
    i32::try_from(number).map_err(|_| Error::value("token id", number, "a token id"))
}

/// A batch of token ids: a tensor `[B, L]` or `[L]`, a list, or a list of equally long lists.
///
/// # Shapes
/// - returns: `int32` `[B, L]`
pub fn id_batch(value: &Dynamic) -> Result<Array> {
    let array = match value.read_lock::<Tensor>() {
        Some(tensor) => tensor.array(),
        None => super::lists::from_value(value)?,
    };
    if array.size() == 0 {
        return Err(Error::value("token ids", "none", "at least one"));
    }
    if array.dtype().is_float() || array.dtype() == Dtype::Bool {
        return Err(Error::value(
            "token ids",
            "numbers that are not whole",
            "whole numbers",
        ));
    }
    let array = array.as_dtype(Dtype::Int32)?;
    match array.ndim() {
        1 => Ok(array.expand_dims(0)?),
        2 => Ok(array),
        _ => Err(Error::shape("token ids", "[L] or [B, L]", array.shape())),
    }
}

/// Axes as MLX wants them.
pub fn axes(list: &List) -> Result<Vec<i32>> {
    list.iter()
        .map(|value| {
            value
                .as_int()
                .ok()
                .and_then(|number| i32::try_from(number).ok())
                .ok_or_else(|| Error::value("list", brief(value), "whole numbers"))
        })
        .collect()
}

/// A whole number as MLX wants it.
pub fn int(value: INT) -> Result<i32> {
    i32::try_from(value).map_err(|_| Error::value("number", value, "one that fits 32 bits"))
}

/// The type of a value in the words of the scripts.
pub fn kind(value: &Dynamic) -> String {
    friendly(value.type_name())
}

/// A value and its type, for errors: `3 (integer)`.
pub fn found(value: &Dynamic) -> String {
    let (text, kind) = (brief(value), kind(value));
    match text == kind {
        true => kind,
        false => format!("{text} ({kind})"),
    }
}

/// A short text of a value, for errors.
pub fn brief(value: &Dynamic) -> String {
    // Rhai writes the name of the Rust type where a type is ours, and nothing for `()`.
    let text = match value.is_variant() || value.is_unit() {
        true => return kind(value),
        false => value.to_string(),
    };
    if text.chars().count() > 40 {
        text.chars().take(39).chain(['…']).collect()
    } else {
        text
    }
}
