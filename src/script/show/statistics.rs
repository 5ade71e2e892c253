//! `:summ`: what the numbers of a value are like.

use super::grid::short;
use super::{Grid, Shown, debug, look, model};
use crate::data::Dataset;
use crate::error::Error;
use crate::mlx::values;
use crate::plot::{Histogram, bars};
use crate::script::error::{Answer, raise};
use crate::script::lists;
use crate::script::model::Model;
use crate::script::tensor::Tensor;
use crate::tensor::display::form;
use rhai::{Array as List, Dynamic, Engine, Position};
use serde_json::Value;
use std::collections::HashSet;

/// Bars of the histogram.
const BINS: usize = 32;

/// Statistics of a tensor or of a list of numbers, of a model's weights, of a dataset's columns; of
/// anything else, what it looks like.
///
/// # Errors
/// Those of computing a lazy value.
pub fn summarise(engine: &Engine, value: &Dynamic) -> Answer<Shown> {
    let native = |error| raise(error, Position::NONE);
    if let Some(model) = value.read_lock::<Model>() {
        let grid = model::statistics(&model).map_err(native)?;
        return Ok(Shown::Grid(debug(engine, value)?, grid));
    }
    if let Some(dataset) = value.read_lock::<Dataset>() {
        return Ok(of_dataset(&dataset));
    }
    let numbers = match value.read_lock::<Tensor>() {
        Some(tensor) => Some((*tensor).clone()),
        None => list_of_numbers(value),
    };
    match numbers {
        Some(tensor) => of_tensor(&tensor).map_err(native),
        None => look(engine, value),
    }
}

/// A row for each column: of numbers their spread, of texts that of their lengths in characters.
fn of_dataset(dataset: &Dataset) -> Shown {
    let rows = dataset.types().into_iter().map(|(name, kind)| {
        let fields = dataset
            .rows()
            .iter()
            .filter_map(|row| row.fields.get(&name));
        let fields: Vec<&Value> = fields.filter(|field| !field.is_null()).collect();
        let distinct: HashSet<String> = fields.iter().map(ToString::to_string).collect();
        let measures: Option<Vec<f64>> = fields.iter().map(|field| measure(field)).collect();
        let measures = measures.filter(|values| !values.is_empty());
        let of = |spread: fn(Vec<f64>) -> f64| {
            let values = measures.clone();
            values.map_or(String::new(), |values| short(spread(values)))
        };
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let low = |values: Vec<f64>| values.into_iter().fold(f64::INFINITY, f64::min);
        let high = |values: Vec<f64>| values.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let counts = [fields.len(), distinct.len()].map(|count| count.to_string());
        let kind = match kind {
            "string" => "string (length)",
            other => other,
        };
        let row = [name, kind.to_string()].into_iter().chain(counts);
        row.chain([of(low), of(median), of(mean), of(high)])
            .collect()
    });
    let header = [
        "column", "type", "rows", "distinct", "smallest", "median", "mean", "largest",
    ];
    let grid = Grid::new(&header, rows.collect());
    Shown::Grid(format!("Dataset of {} rows", dataset.rows().len()), grid)
}

/// A number, or the length of a text.
fn measure(field: &Value) -> Option<f64> {
    let length = field.as_str().map(|text| text.chars().count() as f64);
    field.as_f64().or(length)
}

fn list_of_numbers(value: &Dynamic) -> Option<Tensor> {
    let is_list = value
        .read_lock::<List>()
        .is_some_and(|list| !list.is_empty());
    let array = lists::from_value(value).ok().filter(|_| is_list)?;
    Some(Tensor::new(array))
}

fn of_tensor(tensor: &Tensor) -> Result<Shown, Error> {
    let array = &tensor.0;
    let caption = format!("{}, {} bytes", form(array), array.nbytes());
    let all = values::floats(&array.as_dtype(crate::mlx::Dtype::Float32)?)?;
    let finite: Vec<f64> = all.iter().copied().filter(|x| x.is_finite()).collect();
    let (Some(low), Some(high)) = (
        finite.iter().copied().reduce(f64::min),
        finite.iter().copied().reduce(f64::max),
    ) else {
        return Ok(Shown::Text(format!(
            "{caption}\nno finite value among {}",
            all.len()
        )));
    };
    let mean = finite.iter().sum::<f64>() / finite.len() as f64;
    let spread = finite.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / finite.len() as f64;
    let count = |of: fn(&&f64) -> bool| all.iter().filter(of).count().to_string();
    let rows = [
        ("values", all.len().to_string()),
        ("mean", short(mean)),
        ("standard deviation", short(spread.sqrt())),
        ("smallest", short(low)),
        ("median", short(median(finite.clone()))),
        ("largest", short(high)),
        ("zeros", count(|x| **x == 0.0)),
        ("not a number", count(|x| x.is_nan())),
        ("infinite", count(|x| x.is_infinite())),
    ];
    let rows = rows.map(|(name, value)| vec![name.to_string(), value]);
    let mut grid = Grid::new(&["", ""], rows.to_vec());
    grid.note = format!(
        "{} {} {}",
        short(low),
        bars(&Histogram::of(&finite, Some(BINS)).counts),
        short(high)
    );
    Ok(Shown::Grid(caption, grid))
}

fn median(mut values: Vec<f64>) -> f64 {
    let (count, middle) = (values.len(), values.len() / 2);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let lower = below.iter().copied().reduce(f64::max);
    match lower.filter(|_| count.is_multiple_of(2)) {
        Some(lower) => lower.midpoint(*upper),
        None => *upper,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(vec![7.0]), 7.0);
    }
}
