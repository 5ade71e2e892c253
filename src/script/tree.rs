//! Lists and maps of tensors, nested as a script likes, as one list of arrays and back.

use super::convert;
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::mlx::Array;
use rhai::{Array as List, Dynamic, Map};

/// The same form with every tensor replaced, in order: lists as they are, maps by key.
pub fn rebuild(value: &Dynamic, visit: &mut dyn FnMut(&Array) -> Result<Array>) -> Result<Dynamic> {
    let mut tensor = |array: &Array| Ok(Dynamic::from(Tensor::new(visit(array)?)));
    replace(value, &mut tensor)
}

/// The same form with anything in place of every tensor, in the order of [`rebuild`].
pub fn replace(
    value: &Dynamic,
    visit: &mut dyn FnMut(&Array) -> Result<Dynamic>,
) -> Result<Dynamic> {
    if let Some(tensor) = value.read_lock::<Tensor>() {
        return visit(&tensor.0);
    }
    if let Some(list) = value.read_lock::<List>() {
        let list: Result<List> = list.iter().map(|item| replace(item, visit)).collect();
        return Ok(list?.into());
    }
    if let Some(map) = value.read_lock::<Map>() {
        let fields = map.iter();
        let map: Result<Map> = fields
            .map(|(name, item)| Ok((name.clone(), replace(item, visit)?)))
            .collect();
        return Ok(map?.into());
    }
    let expected = "tensors, or lists and maps of tensors";
    Err(Error::value("argument", convert::kind(value), expected))
}

/// Visits every tensor, in the order of [`rebuild`].
pub fn each(value: &Dynamic, visit: &mut dyn FnMut(&Array)) -> Result<()> {
    let keep = &mut |array: &Array| {
        visit(array);
        Ok(array.clone())
    };
    rebuild(value, keep).map(|_| ())
}

/// Every tensor, in the order of [`rebuild`].
pub fn leaves(value: &Dynamic) -> Result<Vec<Array>> {
    let mut list = Vec::new();
    each(value, &mut |array| list.push(array.clone()))?;
    Ok(list)
}

/// Every tensor, whatever stands beside them.
pub fn tensors_in(value: &Dynamic) -> Vec<Array> {
    if let Some(tensor) = value.read_lock::<Tensor>() {
        return vec![tensor.array()];
    }
    if let Some(list) = value.read_lock::<List>() {
        return list.iter().flat_map(tensors_in).collect();
    }
    match value.read_lock::<Map>() {
        Some(map) => map.values().flat_map(tensors_in).collect(),
        None => Vec::new(),
    }
}

/// Refuses a tree whose lists and maps are not those of `like`.
///
/// # Errors
/// The place where they differ, and what is there.
pub fn check_form(value: &Dynamic, like: &Dynamic, place: &str) -> Result<()> {
    if let (Some(value), Some(like)) = (value.read_lock::<List>(), like.read_lock::<List>()) {
        if value.len() != like.len() {
            let expected = format!("{}, as the parameters", like.len());
            return Err(Error::value(
                place,
                format!("{} entries", value.len()),
                &expected,
            ));
        }
        let mut pairs = value.iter().zip(like.iter()).enumerate();
        return pairs.try_for_each(|(i, (v, l))| check_form(v, l, &format!("{place}[{i}]")));
    }
    if let (Some(value), Some(like)) = (value.read_lock::<Map>(), like.read_lock::<Map>()) {
        if !value.keys().eq(like.keys()) {
            let names = |map: &Map| map.keys().map(|k| format!("`{k}`")).collect::<Vec<_>>();
            let expected = format!("{}, as the parameters", names(&like).join(", "));
            return Err(Error::value(place, names(&value).join(", "), &expected));
        }
        let mut pairs = value.iter().zip(like.values());
        return pairs.try_for_each(|((key, v), l)| check_form(v, l, &format!("{place}.{key}")));
    }
    match value.is::<Tensor>() && like.is::<Tensor>() {
        true => Ok(()),
        false => {
            let kind = |value: &Dynamic| match value {
                value if value.is::<Tensor>() => "a tensor".into(),
                value if value.is_array() => "a list".into(),
                value if value.is_map() => "a map".into(),
                value => convert::kind(value),
            };
            let expected = format!("{}, as in the parameters", kind(like));
            Err(Error::value(place, kind(value), &expected))
        }
    }
}

/// The form of `value` with other tensors, given in order.
pub fn with_leaves(value: &Dynamic, arrays: &[Array]) -> Result<Dynamic> {
    let mut next = arrays.iter();
    rebuild(value, &mut |array| Ok(next.next().unwrap_or(array).clone()))
}
