//! `:summ`: what the numbers of a value are like.

use super::grid::short;
use super::{Grid, Shown, look};
use crate::error::Error;
use crate::mlx::values;
use crate::plot::sparkline;
use crate::script::error::{Answer, raise};
use crate::script::lists;
use crate::script::tensor::Tensor;
use crate::tensor::display::form;
use rhai::{Array as List, Dynamic, Engine, Position};

/// Bars of the histogram.
const BINS: usize = 32;

/// Statistics of a tensor or of a list of numbers; of anything else, what it looks like.
///
/// # Errors
/// Those of computing a lazy value.
pub fn summarise(engine: &Engine, value: &Dynamic) -> Answer<Shown> {
    let numbers = match value.read_lock::<Tensor>() {
        Some(tensor) => Some((*tensor).clone()),
        None => list_of_numbers(value),
    };
    match numbers {
        Some(tensor) => of_tensor(&tensor).map_err(|error| raise(error, Position::NONE)),
        None => look(engine, value),
    }
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
        sparkline(&histogram(&finite, low, high), BINS),
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

/// How many values fall in each of the bins between the smallest and the largest.
fn histogram(values: &[f64], low: f64, high: f64) -> Vec<f64> {
    let mut bins = vec![0.0; BINS];
    for value in values {
        let place = (value - low) / (high - low).max(f64::MIN_POSITIVE) * BINS as f64;
        bins[(place as usize).min(BINS - 1)] += 1.0;
    }
    bins
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

    #[test]
    fn a_histogram_counts_every_value() {
        let values = [0.0, 0.5, 1.0, 1.0];
        let bins = histogram(&values, 0.0, 1.0);
        assert_eq!(bins.iter().sum::<f64>(), 4.0);
        assert_eq!((bins[0], bins[BINS - 1]), (1.0, 2.0));
        assert_eq!(histogram(&[5.0, 5.0], 5.0, 5.0).iter().sum::<f64>(), 2.0);
    }
}
