//! A model as its weights, with how many parameters they have.

use super::Grid;
use super::grid::short;
use crate::error::Result;
use crate::mlx::{Array, Dtype, values};
use crate::nn::Params;
use crate::nn::params::Role;
use crate::script::model::Model;
use crate::tensor::dtype;

/// A kind of weight: the same of all blocks is one.
struct Kind {
    name: String,
    shape: Vec<i32>,
    dtype: &'static str,
    arrays: Vec<Array>,
    /// Whether these are the parts of a weight in few bits.
    is_packed: bool,
}

fn kinds(model: &Model) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::new();
    for (name, role, array) in model.0.borrow().network.entries() {
        let (name, shape) = (without_number(&name), array.shape().to_vec());
        let same = kinds
            .iter_mut()
            .find(|k| k.name == name && k.shape == shape);
        match same {
            Some(kind) => kind.arrays.push(array),
            None => kinds.push(Kind {
                name,
                shape,
                dtype: dtype::name(array.dtype()),
                is_packed: role == Role::Packed,
                arrays: vec![array],
            }),
        }
    }
    kinds
}

/// A row for each kind of weight.
pub fn layers(model: &Model) -> Grid {
    let rows = kinds(model).into_iter().map(|kind| {
        let parameters: usize = kind.arrays.iter().map(Array::size).sum();
        vec![
            kind.name,
            format!("{:?}", kind.shape),
            kind.dtype.to_string(),
            kind.arrays.len().to_string(),
            match kind.is_packed {
                true => String::new(),
                false => parameters.to_string(),
            },
        ]
    });
    let header = ["weight", "shape", "type", "count", "parameters"];
    Grid::new(&header, rows.collect())
}

/// A row for each kind of weight with what its numbers are like, over all blocks together.
///
/// # Errors
/// Those of MLX.
pub fn statistics(model: &Model) -> Result<Grid> {
    let mut rows = Vec::new();
    for kind in kinds(model).into_iter().filter(|kind| !kind.is_packed) {
        let Some(spread) = Spread::of(&kind.arrays)? else {
            continue;
        };
        let numbers = [spread.mean, spread.std, spread.low, spread.high];
        let numbers = numbers.map(short).into_iter();
        let mut row = vec![kind.name, format!("{:?}", kind.shape)];
        row.push(kind.arrays.len().to_string());
        row.extend(numbers.chain([spread.nan.to_string()]));
        rows.push(row);
    }
    let header = [
        "weight", "shape", "count", "mean", "std", "smallest", "largest", "NaN",
    ];
    Ok(Grid::new(&header, rows))
}

/// What the numbers of some arrays are like.
struct Spread {
    mean: f64,
    std: f64,
    low: f64,
    high: f64,
    nan: usize,
}

impl Spread {
    /// Computed by MLX array by array; what is not a number shows in every figure.
    fn of(arrays: &[Array]) -> Result<Option<Self>> {
        let (mut count, mut sum, mut squares, mut nan) = (0.0, 0.0, 0.0, 0.0);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for array in arrays.iter().filter(|array| array.size() > 0) {
            let a = array.as_dtype(Dtype::Float32)?;
            let parts = [
                a.mean(false)?,
                a.square()?.mean(false)?,
                a.min(false)?,
                a.max(false)?,
                a.ne(&a)?.as_dtype(Dtype::Float32)?.sum(false)?,
            ];
            let parts: Result<Vec<f64>> = parts.iter().map(|x| Ok(values::floats(x)?[0])).collect();
            let parts = parts?;
            let n = array.size() as f64;
            count += n;
            sum += n * parts[0];
            squares += n * parts[1];
            (low, high) = (least(low, parts[2]), -least(-high, -parts[3]));
            nan += parts[4];
        }
        let mean = sum / count;
        Ok((count > 0.0).then(|| Self {
            mean,
            std: (squares / count - mean * mean).max(0.0).sqrt(),
            low,
            high,
            nan: nan as usize,
        }))
    }
}

/// The smaller one, or NaN if there is one.
fn least(a: f64, b: f64) -> f64 {
    match a.is_nan() || b.is_nan() {
        true => f64::NAN,
        false => a.min(b),
    }
}

/// `model.layers.*.mlp.up_proj` for the weight of every block.
fn without_number(name: &str) -> String {
    let name = name.strip_suffix(".weight").unwrap_or(name);
    let parts = name.split('.').map(|part| match part.parse::<usize>() {
        Ok(_) => "*",
        Err(_) => part,
    });
    parts.collect::<Vec<_>>().join(".")
}
