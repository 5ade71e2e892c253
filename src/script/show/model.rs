//! A model as its weights, with how many parameters they have.

use super::Grid;
use crate::nn::Params;
use crate::nn::params::Role;
use crate::script::model::Model;
use crate::tensor::dtype;

/// A kind of weight: the same of all blocks is one.
struct Kind {
    name: String,
    shape: Vec<i32>,
    dtype: &'static str,
    count: usize,
    /// Of all of them; `None` for the parts of a weight in few bits.
    parameters: Option<usize>,
}

/// A row for each kind of weight.
pub fn layers(model: &Model) -> Grid {
    let mut kinds: Vec<Kind> = Vec::new();
    for (name, role, array) in model.0.borrow().network.entries() {
        let (name, shape) = (without_number(&name), array.shape().to_vec());
        let size = (role != Role::Packed).then(|| array.size());
        let same = kinds
            .iter_mut()
            .find(|k| k.name == name && k.shape == shape);
        match same {
            Some(kind) => {
                kind.count += 1;
                kind.parameters = kind.parameters.zip(size).map(|(a, b)| a + b);
            }
            None => kinds.push(Kind {
                name,
                shape,
                dtype: dtype::name(array.dtype()),
                count: 1,
                parameters: size,
            }),
        }
    }
    let rows = kinds.iter().map(|kind| {
        vec![
            kind.name.clone(),
            format!("{:?}", kind.shape),
            kind.dtype.to_string(),
            kind.count.to_string(),
            kind.parameters.map_or_else(String::new, |n| n.to_string()),
        ]
    });
    let header = ["weight", "shape", "type", "count", "parameters"];
    Grid::new(&header, rows.collect())
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
