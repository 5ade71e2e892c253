//! Arrays from the nested lists of a script, and back.

use super::convert;
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype, from_bytes, values};
use crate::tensor::to_bool;
use rhai::{Array as List, Dynamic};

/// A tensor from a number, a boolean, a list of them, or lists of lists.
///
/// # Errors
/// A ragged list, by row; a value that is no number.
pub fn from_value(value: &Dynamic) -> Result<Array> {
    if let Some(tensor) = value.read_lock::<Tensor>() {
        return Ok(tensor.array());
    }
    let flat = Flat::of(value)?;
    let shape = flat.shape.clone();
    let has_float = flat.floats;
    Ok(if flat.bools == flat.values.len() && flat.bools > 0 {
        let bits: Vec<bool> = flat.values.iter().map(|v| *v != 0.0).collect();
        Array::from_slice(&bits, &shape)
    } else if has_float || flat.values.is_empty() {
        let values: Vec<f32> = flat.values.iter().map(|v| *v as f32).collect();
        Array::from_slice(&values, &shape)
    } else if flat.integers.iter().all(|v| i32::try_from(*v).is_ok()) {
        let values: Vec<i32> = flat.values.iter().map(|v| *v as i32).collect();
        Array::from_slice(&values, &shape)
    } else {
        Array::from_slice(&flat.integers, &shape)
    })
}

/// The same of an element type. Numbers of `float64` do not pass through `float32`.
pub fn from_value_as(value: &Dynamic, dtype: Dtype) -> Result<Array> {
    if dtype == Dtype::Float64 && !value.is::<Tensor>() {
        let flat = Flat::of(value)?;
        let bytes: Vec<u8> = flat.values.iter().flat_map(|v| v.to_ne_bytes()).collect();
        return from_bytes(&bytes, &flat.shape, dtype);
    }
    Ok(from_value(value)?.as_dtype(dtype)?)
}

/// Nested lists on their way into one.
#[derive(Default)]
struct Flat {
    shape: Vec<i32>,
    values: Vec<f64>,
    /// The same where they are whole: an `f64` does not hold every `i64`.
    integers: Vec<i64>,
    floats: bool,
    bools: usize,
}

impl Flat {
    fn of(value: &Dynamic) -> Result<Self> {
        let mut flat = Self::default();
        flat.collect(value, 0, "")?;
        Ok(flat)
    }

    fn collect(&mut self, value: &Dynamic, depth: usize, path: &str) -> Result<()> {
        let Some(list) = value.read_lock::<List>() else {
            if depth < self.shape.len() {
                let found = format!("{} at [{path}]", convert::brief(value));
                let expected = format!("a list of {}, as the rows before", self.shape[depth]);
                return Err(Error::value("ragged list", found, &expected));
            }
            return self.number(value, path);
        };
        let length = list.len() as i32;
        if depth == self.shape.len() {
            if !self.values.is_empty() {
                let found = format!("a list at [{path}]");
                return Err(Error::value("ragged list", found, "a number, as before"));
            }
            self.shape.push(length);
        } else if self.shape[depth] != length {
            return Err(Error::value(
                "ragged list",
                format!("{length} values in row [{path}]"),
                &format!("{}, as in the rows before", self.shape[depth]),
            ));
        }
        for (i, item) in list.iter().enumerate() {
            let inner = if path.is_empty() {
                i.to_string()
            } else {
                format!("{path}, {i}")
            };
            self.collect(item, depth + 1, &inner)?;
        }
        Ok(())
    }

    fn number(&mut self, value: &Dynamic, path: &str) -> Result<()> {
        let (number, whole) = if let Ok(bit) = value.as_bool() {
            self.bools += 1;
            (f64::from(u8::from(bit)), i64::from(bit))
        } else if let Ok(whole) = value.as_int() {
            (whole as f64, whole)
        } else if let Ok(float) = value.as_float() {
            self.floats = true;
            (float, float as i64)
        } else {
            let found = format!("{} at [{path}]", convert::kind(value));
            return Err(Error::value("tensor", found, "numbers or booleans"));
        };
        self.values.push(number);
        self.integers.push(whole);
        Ok(())
    }
}

/// The values as numbers in lists of lists, or one number.
pub fn to_list(a: &Array) -> Result<Dynamic> {
    Ok(nest(a.shape(), &mut values(a)?.into_iter()))
}

/// The one value of an array.
pub fn to_value(a: &Array) -> Result<Dynamic> {
    match a.size() {
        1 => Ok(values(a)?.pop().unwrap_or_default()),
        _ => Err(Error::shape("item", "one element", a.shape())),
    }
}

/// The values in order.
fn values(a: &Array) -> Result<Vec<Dynamic>> {
    Ok(match a.dtype() {
        _ if a.size() == 0 => Vec::new(),
        Dtype::Bool => items(to_bool(a)?, Dynamic::from),
        Dtype::Complex64 => {
            let found = "complex numbers";
            return Err(Error::value(
                "to_array",
                found,
                "real numbers; take real or imag first",
            ));
        }
        d if d.is_float() => items(values::floats(a)?, Dynamic::from),
        _ => items(values::integers(a)?, Dynamic::from),
    })
}

fn items<T>(values: Vec<T>, f: impl Fn(T) -> Dynamic) -> Vec<Dynamic> {
    values.into_iter().map(f).collect()
}

fn nest(shape: &[i32], values: &mut impl Iterator<Item = Dynamic>) -> Dynamic {
    match shape.split_first() {
        None => values.next().unwrap_or_default(),
        Some((size, inner)) => (0..*size)
            .map(|_| nest(inner, values))
            .collect::<List>()
            .into(),
    }
}
