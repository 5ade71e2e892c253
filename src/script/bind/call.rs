//! The arguments of a call, checked and converted.

use super::super::kind_of;
use super::signature::Spec;
use crate::error::{Error, Result, nearest};
use crate::mlx::{self, Array, Dtype};
use crate::script::convert::{self, brief};
use crate::script::lists::from_value;
use crate::script::settings::float;
use crate::script::tensor::{Tensor, beside};
use crate::tensor::{check_size, dtype, index::Positions};
use rhai::{Array as List, Dynamic, Map, NativeCallContext};

/// The arguments of one call.
pub struct Call<'a> {
    spec: &'a Spec,
    /// Where the call stands, for callbacks and nested evaluation.
    pub ctx: &'a NativeCallContext<'a>,
    given: &'a [&'a mut Dynamic],
    settings: Option<Map>,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        spec: &'a Spec,
        ctx: &'a NativeCallContext<'a>,
        args: &'a [&'a mut Dynamic],
    ) -> Result<Self> {
        let mut call = Self {
            spec,
            ctx,
            given: args,
            settings: None,
        };
        if let Some((last, before)) = args.split_last()
            && before.len() >= spec.required.min(1)
            && !spec.params[before.len()].kind.contains("map")
            && let Some(map) = last.read_lock::<Map>()
        {
            call.given = before;
            call.check_keys(&map)?;
            call.settings = Some(map.clone());
        }
        match (call.given.len()..spec.required).find(|i| !call.has(*i)) {
            Some(missing) => Err(call.wrong(missing, &spec.params[missing].text)),
            None => Ok(call),
        }
    }

    fn check_keys(&self, map: &Map) -> Result<()> {
        let open = &self.spec.params[self.given.len()..];
        let valid = || open.iter().map(|p| p.name.as_str());
        for key in map.keys() {
            if valid().any(|name| name == key.as_str()) {
                continue;
            }
            let near = nearest(key, valid()).map(|name| format!("`{name}`, or one of "));
            let list: Vec<&str> = valid().collect();
            return Err(Error::value(
                format!("setting of {}", self.spec.name),
                format!("`{key}`"),
                &format!("{}{}", near.unwrap_or_default(), list.join(", ")),
            ));
        }
        Ok(())
    }

    /// An argument, the setting of its name, or its default; `()` is what None is in Python.
    pub fn get(&self, i: usize) -> &Dynamic {
        let param = &self.spec.params[i];
        let value = match (self.given.get(i), &self.settings) {
            (Some(value), _) => Some(&**value),
            (None, Some(map)) => map.get(param.name.as_str()),
            (None, None) => None,
        };
        value.unwrap_or(&param.default)
    }

    /// Whether an argument was given, or has a default.
    pub fn has(&self, i: usize) -> bool {
        !self.get(i).is_unit()
    }

    /// An error about an argument.
    pub fn wrong(&self, i: usize, expected: &str) -> Error {
        let value = self.get(i);
        Error::value(
            format!(
                "{}, argument `{}`",
                self.spec.name, self.spec.params[i].name
            ),
            format!("{} ({})", brief(value), kind_of(self.ctx.engine(), value)),
            expected,
        )
    }

    /// A tensor; a number or a list will do.
    pub fn tensor(&self, i: usize) -> Result<Array> {
        let value = self.get(i);
        if let Some(tensor) = value.read_lock::<Tensor>() {
            return Ok(tensor.array());
        }
        if float(value).is_some() || value.is_bool() || value.is_array() {
            return from_value(value);
        }
        Err(self.wrong(i, "a tensor, a number, or a list of numbers"))
    }

    /// Integers as positions; those of a tensor are looked at once only.
    pub fn positions(&self, i: usize) -> Result<Positions> {
        match self.get(i).read_lock::<Tensor>() {
            Some(tensor) => tensor.positions(),
            None => Positions::new(self.tensor(i)?),
        }
    }

    /// A tensor that may be left out.
    pub fn optional_tensor(&self, i: usize) -> Result<Option<Array>> {
        self.has(i).then(|| self.tensor(i)).transpose()
    }

    /// An argument beside a tensor: a plain number takes the tensor's dtype, as in MLX.
    pub fn like(&self, i: usize, tensor: &Array) -> Result<Array> {
        let value = self.get(i);
        match float(value).is_some() || value.is_bool() {
            true => beside(value, tensor),
            false => self.tensor(i),
        }
    }

    /// Two arguments that meet: a plain number takes the dtype of the tensor it meets.
    pub fn pair(&self, i: usize, j: usize) -> Result<(Array, Array)> {
        if self.get(i).is::<Tensor>() || !self.get(j).is::<Tensor>() {
            let a = self.tensor(i)?;
            let b = match self.get(i).is::<Tensor>() {
                true => self.like(j, &a)?,
                false => self.tensor(j)?,
            };
            return Ok((a, b));
        }
        let b = self.tensor(j)?;
        Ok((self.like(i, &b)?, b))
    }

    /// A list of tensors.
    pub fn tensors(&self, i: usize) -> Result<Vec<Array>> {
        let Some(list) = self.get(i).read_lock::<List>() else {
            return Err(self.wrong(i, "a list of tensors"));
        };
        list.iter().map(from_value).collect()
    }

    /// A whole number of 32 bits.
    pub fn int(&self, i: usize) -> Result<i32> {
        let whole = self.get(i).as_int();
        whole
            .ok()
            .and_then(|n| i32::try_from(n).ok())
            .ok_or_else(|| self.wrong(i, "a whole number"))
    }

    /// A whole number that may be left out.
    pub fn optional_int(&self, i: usize) -> Result<Option<i32>> {
        self.has(i).then(|| self.int(i)).transpose()
    }

    /// A whole number of at least 0.
    pub fn count(&self, i: usize) -> Result<i32> {
        match self.int(i)? {
            n if n >= 0 => Ok(n),
            _ => Err(self.wrong(i, "a whole number of at least 0")),
        }
    }

    /// A number.
    pub fn float(&self, i: usize) -> Result<f64> {
        float(self.get(i)).ok_or_else(|| self.wrong(i, "a number"))
    }

    /// A number that may be left out.
    pub fn optional_float(&self, i: usize) -> Result<Option<f64>> {
        self.has(i).then(|| self.float(i)).transpose()
    }

    /// Yes or no.
    pub fn flag(&self, i: usize) -> Result<bool> {
        self.get(i)
            .as_bool()
            .map_err(|_| self.wrong(i, "true or false"))
    }

    /// A string.
    pub fn text(&self, i: usize) -> Result<String> {
        let value = self.get(i);
        match value.is_string() {
            true => Ok(value.to_string()),
            false => Err(self.wrong(i, "a string")),
        }
    }

    /// One of several names.
    pub fn choice(&self, i: usize, names: &[&str]) -> Result<String> {
        let text = self.text(i)?;
        match names.contains(&text.as_str()) {
            true => Ok(text),
            false => Err(self.wrong(i, &names.join(", "))),
        }
    }

    /// An element type.
    pub fn dtype(&self, i: usize) -> Result<Dtype> {
        dtype::parse(&self.text(i)?)
    }

    /// An element type that may be left out.
    pub fn optional_dtype(&self, i: usize) -> Result<Option<Dtype>> {
        self.has(i).then(|| self.dtype(i)).transpose()
    }

    /// Whole numbers: one, or a list of them.
    pub fn ints(&self, i: usize) -> Result<Vec<i32>> {
        let value = self.get(i);
        let wrong = || self.wrong(i, "a whole number, or a list of them");
        match value.read_lock::<List>() {
            Some(list) => convert::axes(&list).map_err(|_| wrong()),
            None => Ok(vec![self.int(i).map_err(|_| wrong())?]),
        }
    }

    /// One whole number for each of `N` axes, or one for all.
    pub fn each<const N: usize>(&self, i: usize) -> Result<[i32; N]> {
        let list = self.ints(i)?;
        match (<[i32; N]>::try_from(list.as_slice()), list.as_slice()) {
            (Ok(all), _) => Ok(all),
            (_, [one]) => Ok([*one; N]),
            _ => Err(self.wrong(i, &format!("a whole number, or a list of {N}"))),
        }
    }

    /// Axes: one, a list, or `None` for all.
    pub fn axes(&self, i: usize) -> Result<Option<Vec<i32>>> {
        self.has(i).then(|| self.ints(i)).transpose()
    }

    /// The sizes of a new array.
    pub fn shape(&self, i: usize) -> Result<Vec<i32>> {
        let shape = self.ints(i)?;
        if shape.iter().any(|size| *size < 0) {
            return Err(self.wrong(i, "sizes of at least 0"));
        }
        check_size(&shape).map(|()| shape)
    }

    /// A random key: a tensor of one, a seed, or `None` for the session's generator.
    pub fn key(&self, i: usize) -> Result<Option<Array>> {
        let value = self.get(i);
        if value.is_unit() {
            return Ok(None);
        }
        match value.as_int() {
            Ok(seed) => mlx::random::key(seed as u64).map(Some),
            Err(_) => self.tensor(i).map(Some),
        }
    }
}
