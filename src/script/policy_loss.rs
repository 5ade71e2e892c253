//! A loss that a script gives: a closure over the arrays of a batch.

use super::convert;
use super::error::callback;
use super::settings::float;
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::mlx::Array;
use crate::rl::{LossInputs, LossSettings, PolicyLoss};
use rhai::{Dynamic, FnPtr, Map, NativeCallContext};

/// A closure that is given the arrays of a batch and returns its loss.
pub struct Closure<'a> {
    pub ctx: &'a NativeCallContext<'a>,
    pub f: FnPtr,
}

impl PolicyLoss for Closure<'_> {
    fn loss(
        &mut self,
        inputs: &LossInputs,
        _: &LossSettings,
    ) -> Result<(Array, Vec<(String, Array)>)> {
        let answer = self
            .f
            .call_raw(self.ctx, None, [batch(inputs).into()])
            .map_err(callback)?;
        if let Some(map) = answer.read_lock::<Map>() {
            let loss = map
                .get("loss")
                .ok_or_else(|| wrong("a map without `loss`"))?;
            let metrics = match map.get("metrics") {
                None => Vec::new(),
                Some(metrics) => numbers(metrics)?,
            };
            return Ok((scalar(loss)?, metrics));
        }
        Ok((scalar(&answer)?, Vec::new()))
    }
}

/// What the closure is given; `rl::loss` takes the same map.
fn batch(inputs: &LossInputs) -> Map {
    let arrays = [
        ("logprobs", Some(inputs.logprobs)),
        ("old_logprobs", inputs.old_logprobs),
        ("ref_logprobs", inputs.ref_logprobs),
        ("sampling_logprobs", inputs.sampling_logprobs),
        ("entropies", inputs.entropies),
        ("advantages", Some(inputs.advantages)),
        ("mask", Some(inputs.mask)),
    ];
    let mut map = Map::new();
    for (name, array) in arrays {
        if let Some(array) = array {
            map.insert(name.into(), Dynamic::from(Tensor::new(array.clone())));
        }
    }
    let share = f64::from(inputs.gradient_accumulation_steps);
    map.insert("gradient_accumulation_steps".into(), share.into());
    if let Some(items) = inputs.num_items_in_batch {
        map.insert("num_items_in_batch".into(), f64::from(items).into());
    }
    if let Some(longest) = inputs.max_completion_length {
        map.insert("max_completion_length".into(), i64::from(longest).into());
    }
    map
}

fn wrong(found: &str) -> Error {
    let expected = "a scalar tensor, or #{ loss, metrics } with scalar tensors";
    Error::value("what `loss` returned", found, expected)
}

fn scalar(value: &Dynamic) -> Result<Array> {
    let Some(tensor) = value.read_lock::<Tensor>() else {
        return Err(wrong(&convert::kind(value)));
    };
    match tensor.0.size() {
        1 => Ok(tensor.0.reshape(&[])?),
        _ => Err(wrong(&format!("a tensor {:?}", tensor.0.shape()))),
    }
}

fn numbers(value: &Dynamic) -> Result<Vec<(String, Array)>> {
    let Some(map) = value.read_lock::<Map>() else {
        return Err(wrong("`metrics` that are no map"));
    };
    map.iter()
        .map(|(name, value)| Ok((name.to_string(), metric(name, value)?)))
        .collect()
}

/// A number to watch, as a tensor or plain.
fn metric(name: &str, value: &Dynamic) -> Result<Array> {
    match float(value) {
        Some(number) => Ok(Array::from_f32(number as f32)),
        None => scalar(value).map_err(|_| {
            let found = convert::found(value);
            Error::value(format!("metric `{name}` of `loss`"), found, "a number")
        }),
    }
}
