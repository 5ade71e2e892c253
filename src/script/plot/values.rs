//! What a script gives to be drawn, as numbers.

use crate::error::{Error, Result, nearest};
use crate::plot::{Bar, Grid, Series};
use crate::script::convert::brief;
use crate::script::settings::float;
use crate::script::tensor::Tensor;
use crate::tensor::to_f32;
use rhai::{Array as List, Dynamic, Map};

/// A number, a boolean as 0 or 1, or nothing, which is a gap.
fn number(value: &Dynamic) -> Option<f64> {
    if value.is_unit() {
        return Some(f64::NAN);
    }
    if let Some(tensor) = value.read_lock::<Tensor>().filter(|t| t.0.size() == 1) {
        return to_f32(&tensor.0).ok()?.first().copied().map(f64::from);
    }
    float(value).or_else(|| value.as_bool().ok().map(|bit| f64::from(u8::from(bit))))
}

/// The elements of a tensor of any shape, or of a list.
pub fn numbers(what: &'static str, value: &Dynamic) -> Result<Vec<f64>> {
    if let Some(tensor) = value.read_lock::<Tensor>() {
        let values = to_f32(&tensor.0)?.into_iter();
        return Ok(values.map(f64::from).collect());
    }
    let expected = "a list or tensor of numbers";
    let Some(list) = value.read_lock::<List>() else {
        return Err(Error::value(what, brief(value), expected));
    };
    let items = list.iter().enumerate();
    let item = |(i, item): (usize, &Dynamic)| {
        let found = || format!("{} at [{i}]", brief(item));
        number(item).ok_or_else(|| Error::value(what, found(), expected))
    };
    items.map(item).collect()
}

/// Points of one curve: y in their order, or pairs of x and y.
fn points(value: &Dynamic) -> Result<Vec<(f64, f64)>> {
    if let Some(tensor) = value.read_lock::<Tensor>() {
        let shape = tensor.0.shape();
        let values = numbers("series", value)?;
        return match shape {
            [_] => Ok(in_order(values)),
            [_, 2] => Ok(values
                .chunks_exact(2)
                .map(|pair| (pair[0], pair[1]))
                .collect()),
            _ => Err(Error::shape("series", "[n], or [n, 2] for pairs", shape)),
        };
    }
    let list = value.read_lock::<List>();
    if !list.is_some_and(|list| list.iter().any(|item| item.is::<List>())) {
        return Ok(in_order(numbers("series", value)?));
    }
    let wrong = |i: usize, item: &Dynamic| {
        let found = format!("{} at [{i}]", brief(item));
        Error::value("series", found, "pairs [x, y] of numbers throughout")
    };
    let list = value.read_lock::<List>();
    let items = list.iter().flat_map(|list| list.iter()).enumerate();
    let pair = |(i, item): (usize, &Dynamic)| {
        let pair = item.read_lock::<List>().ok_or_else(|| wrong(i, item))?;
        let numbers: Option<Vec<f64>> = pair.iter().map(number).collect();
        match numbers.as_deref() {
            Some([x, y]) => Ok((*x, *y)),
            _ => Err(wrong(i, item)),
        }
    };
    items.map(pair).collect()
}

fn in_order(values: Vec<f64>) -> Vec<(f64, f64)> {
    let values = values.into_iter().enumerate();
    values.map(|(i, y)| (i as f64, y)).collect()
}

/// One curve, or a map of named ones.
pub fn series(value: &Dynamic) -> Result<Vec<Series>> {
    match value.read_lock::<Map>() {
        Some(map) => map
            .iter()
            .map(|(name, value)| Ok(Series::named(name.as_str(), points(value)?)))
            .collect(),
        None => Ok(vec![Series::named("", points(value)?)]),
    }
}

/// Whether a value is a table: a list of maps, such as a trainer's metrics.
pub fn is_table(value: &Dynamic) -> bool {
    let list = value.read_lock::<List>();
    list.is_some_and(|list| list.first().is_some_and(|row| row.is::<Map>()))
}

/// The column `y` of a table over its column `x`, if it has one of that name, or else in the order
/// of the rows. A row without it is a gap.
///
/// # Errors
/// A name that no row has.
pub fn column(table: &Dynamic, x: &str, y: &str) -> Result<Series> {
    let list = table.read_lock::<List>();
    let rows: Vec<Map> = list
        .iter()
        .flat_map(|list| list.iter())
        .filter_map(|row| row.read_lock::<Map>().map(|map| map.clone()))
        .collect();
    let has = |name: &str| rows.iter().any(|row| row.contains_key(name));
    if !has(y) {
        let names = || {
            rows.iter()
                .flat_map(|row| row.keys())
                .map(|name| name.as_str())
        };
        let found = format!("{y:?}, which no row of the table has");
        let expected = match nearest(y, names()) {
            Some(name) => format!("the name of a column, such as \"{name}\""),
            None => {
                let mut names: Vec<&str> = names().collect();
                names.sort_unstable();
                names.dedup();
                format!("the name of a column: {}", names.join(", "))
            }
        };
        return Err(Error::setting("y", found, &expected));
    }
    let of = |row: &Map, name: &str| row.get(name).and_then(number).unwrap_or(f64::NAN);
    let by_x = has(x);
    let points = rows.iter().enumerate().map(|(i, row)| {
        let x = if by_x { of(row, x) } else { i as f64 };
        (x, of(row, y))
    });
    Ok(Series::named(y, points.collect()))
}

/// A matrix: a tensor of two axes, or a list of rows of one length.
pub fn grid(value: &Dynamic) -> Result<Grid> {
    if let Some(tensor) = value.read_lock::<Tensor>() {
        let &[rows, columns] = tensor.0.shape() else {
            let shape = tensor.0.shape();
            return Err(Error::shape("heat map", "[rows, columns]", shape));
        };
        let values = numbers("heat map", value)?;
        return Grid::new(rows as usize, columns as usize, values);
    }
    let Some(list) = value.read_lock::<List>() else {
        let expected = "a tensor of shape [rows, columns], or a list of rows";
        return Err(Error::value("heat map", brief(value), expected));
    };
    let rows: Result<Vec<Vec<f64>>> = list
        .iter()
        .map(|row| numbers("row of a heat map", row))
        .collect();
    let rows = rows?;
    let columns = rows.first().map_or(0, Vec::len);
    if let Some((i, row)) = rows
        .iter()
        .enumerate()
        .find(|(_, row)| row.len() != columns)
    {
        let found = format!("{} values in row {i}", row.len());
        let expected = format!("{columns}, as in row 0");
        return Err(Error::value("heat map", found, &expected));
    }
    Grid::new(rows.len(), columns, rows.concat())
}

/// Bars: a map of names, `[name, value]` pairs in an order of their own, or values with numbers
/// for names.
pub fn bars(value: &Dynamic) -> Result<Vec<Bar>> {
    let wrong = |name: &str, value: &Dynamic| {
        let found = format!("{} for {name}", brief(value));
        Error::value("bars", found, "a number for each name")
    };
    let bar = |name: &str, value: &Dynamic| match value.is::<Tensor>() {
        true => match numbers("bars", value)?.as_slice() {
            [value] => Ok(Bar::named(name, *value)),
            _ => Err(wrong(name, value)),
        },
        false => Ok(Bar::named(
            name,
            number(value).ok_or_else(|| wrong(name, value))?,
        )),
    };
    if let Some(map) = value.read_lock::<Map>() {
        return map.iter().map(|(name, value)| bar(name, value)).collect();
    }
    let list = value.read_lock::<List>();
    let is_pair = |item: &Dynamic| item.read_lock::<List>().is_some_and(|pair| pair.len() == 2);
    match list {
        Some(list) if !list.is_empty() && list.iter().all(is_pair) => {
            let pairs = list.iter().filter_map(|item| item.read_lock::<List>());
            pairs
                .map(|pair| bar(&pair[0].to_string(), &pair[1]))
                .collect()
        }
        _ => {
            let values = numbers("bars", value)?.into_iter().enumerate();
            Ok(values
                .map(|(i, value)| Bar::named(i.to_string(), value))
                .collect())
        }
    }
}
