//! Names of weights, where checkpoints differ from one another.
//!
//! Inside, the experts of a layer are one array (`mlp.switch_mlp.up_proj`), as in mlx-lm; Hugging
//! Face stores one for each expert (`mlp.experts.3.up_proj`).

use super::{Config, Qwen3};
use crate::checkpoint::Weights;
use crate::error::{Error, Result};
use crate::mlx::{Array, slice};
use crate::nn::{Params, Role};
use mlx_rs::ops;

const PROJECTIONS: [&str; 3] = ["gate_proj", "up_proj", "down_proj"];

/// Brings the names of a checkpoint to those inside.
///
/// # Errors
/// An expert of a layer is missing.
pub(super) fn normalise(weights: &mut Weights, config: &Config) -> Result<()> {
    // 1. Checkpoints of the network without its head leave the prefix out.
    if !weights.has("model.embed_tokens.weight") && weights.has("embed_tokens.weight") {
        let arrays = std::mem::take(&mut weights.arrays).into_iter();
        let prefixed = arrays.map(|(name, array)| match name.starts_with("lm_head.") {
            true => (name, array),
            false => (format!("model.{name}"), array),
        });
        weights.arrays = prefixed.collect();
    }
    // 2. What older checkpoints store and nobody needs; a tied model may store its head.
    let tied = config.tie_word_embeddings;
    weights.arrays.retain(|name, _| {
        let unused = name.ends_with(".rotary_emb.inv_freq");
        let doubled = tied && name.starts_with("lm_head.");
        !(unused || doubled)
    });
    // 3. Experts one by one.
    for i in (0..config.num_hidden_layers).filter(|i| config.is_sparse(*i)) {
        let mlp = format!("model.layers.{i}.mlp");
        let (hidden, feed) = (config.hidden_size, config.moe_intermediate_size);
        for name in PROJECTIONS {
            let shape = match name {
                "down_proj" => [hidden, feed],
                _ => [feed, hidden],
            };
            let stacked = format!("{mlp}.switch_mlp.{name}.weight");
            if weights.has(&stacked) {
                continue;
            }
            let experts: Vec<Array> = (0..config.num_experts)
                .map(|e| weights.take_shaped(&format!("{mlp}.experts.{e}.{name}.weight"), &shape))
                .collect::<Result<_>>()?;
            weights.arrays.insert(stacked, ops::stack(&experts, 0)?);
        }
    }
    Ok(())
}

/// Names and arrays as in Hugging Face's checkpoints, adapters left out. Experts in few bits stay
/// together: only MLX reads those.
pub(super) fn of_checkpoint(model: &Qwen3) -> Result<Vec<(String, Array)>> {
    let mut list = Vec::new();
    for (name, role, array) in model.entries() {
        match (role, name.split_once(".switch_mlp.")) {
            (Role::Adapter, _) => {}
            (Role::Weight, Some((mlp, rest))) => {
                for expert in 0..array.dim(0) {
                    let name = format!("{mlp}.experts.{expert}.{rest}");
                    list.push((name, one(&array, expert)?));
                }
            }
            _ => list.push((name, array)),
        }
    }
    Ok(list)
}

impl Qwen3 {
    /// All weights under the names of a checkpoint, and the adapters.
    pub fn parameters(&self) -> Result<Vec<(String, Array)>> {
        let mut list = of_checkpoint(self)?;
        let entries = self.entries().into_iter();
        let adapters = entries.filter(|(_, role, _)| *role == Role::Adapter);
        list.extend(adapters.map(|(name, _, array)| (name, array)));
        Ok(list)
    }

    /// One of them; the experts of a layer may also be had together (`mlp.switch_mlp.up_proj`).
    ///
    /// # Errors
    /// A name that no weight has.
    pub fn parameter(&self, name: &str) -> Result<Array> {
        let named = self.named();
        let (inside, number) = inside(name);
        let found = named.iter().find(|(known, _)| *known == inside);
        match (found, number) {
            (Some((_, array)), None) => Ok(array.clone()),
            (Some((_, stack)), Some(i)) if (0..stack.dim(0)).contains(&i) => one(stack, i),
            _ => Err(no_weight(name, &named)),
        }
    }

    /// Replaces one of them by an array of the same shape; it takes the weight's element type.
    ///
    /// # Errors
    /// A name that no weight has, another shape.
    pub fn set_parameter(&mut self, name: &str, value: &Array) -> Result<()> {
        let old = self.parameter(name)?;
        if old.shape() != value.shape() {
            let expected = format!("{:?}", old.shape());
            return Err(Error::shape("set_parameter", expected, value.shape()));
        }
        let value = value.as_dtype(old.dtype())?;
        let (inside, number) = inside(name);
        self.walk(&mut |known, _, place| {
            if known == inside {
                *place = match number {
                    None => value.clone(),
                    Some(i) => with_one(place, i, &value)?,
                };
            }
            Ok(())
        })
    }
}

fn no_weight(name: &str, named: &[(String, Array)]) -> Error {
    let names = named.iter().map(|(name, _)| name.as_str());
    let expected = match crate::error::nearest(name, names) {
        Some(near) => format!("a name of .parameters(), such as `{near}`"),
        None => "a name of .parameters()".into(),
    };
    Error::value("parameter", name, &expected)
}

/// The name inside, and the number of the expert where the name has one.
fn inside(name: &str) -> (String, Option<i32>) {
    let expert = || {
        let (mlp, rest) = name.split_once(".experts.")?;
        let (number, projection) = rest.split_once('.')?;
        let number: i32 = number.parse().ok()?;
        Some((format!("{mlp}.switch_mlp.{projection}"), Some(number)))
    };
    expert().unwrap_or((name.to_string(), None))
}

/// A stack with another matrix in one place.
fn with_one(stack: &Array, i: i32, matrix: &Array) -> Result<Array> {
    let matrices: Vec<Array> = (0..stack.dim(0))
        .map(|j| {
            if i == j {
                Ok(matrix.clone())
            } else {
                one(stack, j)
            }
        })
        .collect::<Result<_>>()?;
    Ok(ops::stack(&matrices, 0)?)
}

/// One matrix of a stack.
fn one(stack: &Array, i: i32) -> Result<Array> {
    let shape = stack.shape();
    let (mut first, mut last) = (vec![0; shape.len()], shape.to_vec());
    (first[0], last[0]) = (i, i + 1);
    Ok(slice(stack, &first, &last)?.squeeze_axes(&[0])?)
}
