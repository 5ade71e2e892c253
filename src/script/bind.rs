//! How a native function becomes a script's.
//!
//! One line, `"sum(a: Tensor, axis: axes = (), keepdims: bool = false) -> Tensor"`, gives the name,
//! the parameters with their defaults, the keys of the last map, and what the documentation shows.
//! A parameter with a default may be given by position or as a key of that map.

use super::convert::{self, brief};
use super::error::{Answer, At};
use super::lists::from_value;
use super::settings::float;
use super::tensor::{Tensor, beside};
use crate::error::{Error, Result, nearest};
use crate::mlx::{self, Array, Dtype};
use crate::tensor::{check_size, dtype};
use rhai::{Array as List, Dynamic, FuncRegistration, INT, Map, Module, NativeCallContext};
use rhai::{RhaiFunc, Shared};
use std::any::TypeId;

/// The functions of one namespace while they are collected.
pub struct Binder {
    /// Found as `name::function`.
    pub module: Module,
    /// Found as methods of a tensor.
    pub methods: Module,
}

impl Binder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            module: Module::new(),
            methods: Module::new(),
        }
    }

    /// A function of the module.
    pub fn function<R: Reply>(
        &mut self,
        signature: &str,
        doc: &str,
        example: &str,
        body: impl Fn(&Call) -> Result<R> + 'static,
    ) {
        define(&mut self.module, Spec::new(signature), doc, example, body);
    }

    /// A function of the module whose first argument is a list.
    pub fn function_of_list<R: Reply>(
        &mut self,
        signature: &str,
        doc: &str,
        example: &str,
        body: impl Fn(&Call) -> Result<R> + 'static,
    ) {
        let spec = Spec {
            receiver: TypeId::of::<List>(),
            ..Spec::new(signature)
        };
        define(&mut self.module, spec, doc, example, body);
    }

    /// A function of the module that is a method of tensors as well.
    pub fn method<R: Reply>(
        &mut self,
        signature: &str,
        doc: &str,
        example: &str,
        body: impl Fn(&Call) -> Result<R> + Clone + 'static,
    ) {
        let spec = Spec::new(signature);
        let of_tensors = spec.clone().of::<Tensor>();
        define(&mut self.methods, of_tensors, doc, example, body.clone());
        define(&mut self.module, spec, doc, example, body);
    }
}

/// Puts a function into a module, once for each number of arguments it can have.
pub fn define<R: Reply>(
    module: &mut Module,
    spec: Spec,
    doc: &str,
    example: &str,
    body: impl Fn(&Call) -> Result<R> + 'static,
) {
    let comments = comments(doc, example);
    let spec = Shared::new(spec);
    let body = Shared::new(body);
    // What is required may stand in the map as well, but for the first.
    for count in spec.required.min(1)..=spec.params.len() {
        let (of_call, run) = (spec.clone(), body.clone());
        let func = move |ctx: Option<NativeCallContext>, args: &mut [&mut Dynamic]| {
            let Some(ctx) = ctx else {
                return Ok(Dynamic::UNIT);
            };
            let answer = || run(&Call::new(&of_call, &ctx, args)?)?.reply();
            answer().at(&ctx)
        };
        let mut types = vec![TypeId::of::<Dynamic>(); count];
        let mut registration = FuncRegistration::new(&spec.name);
        if let Some(first) = types.first_mut() {
            *first = spec.receiver;
        }
        if spec.is_method {
            registration = registration.in_global_namespace();
        }
        // The widest form carries the documentation for all.
        if count == spec.params.len() {
            let params = spec.params.iter().map(|p| p.text.as_str());
            let info: Vec<&str> = params.chain([spec.returns.as_str()]).collect();
            registration = registration
                .with_params_info(&info)
                .with_comments(comments.clone());
        }
        let func = RhaiFunc::Method {
            func: Shared::new(func),
            has_context: true,
            // None of ours changes its arguments, so constants will do.
            is_pure: true,
            is_volatile: false,
        };
        registration.set_into_module_raw(module, types, func);
    }
}

/// Documentation as Rhai keeps it; the index finds the example by its fence.
fn comments(doc: &str, example: &str) -> Vec<String> {
    let mut lines: Vec<String> = doc.lines().map(|l| format!("/// {}", l.trim())).collect();
    if !example.is_empty() {
        lines.extend(["///", "/// ```rhai"].map(String::from));
        lines.extend(example.lines().map(|l| format!("/// {}", l.trim())));
        lines.push("/// ```".into());
    }
    lines
}

/// A signature, read.
#[derive(Clone)]
pub struct Spec {
    name: String,
    params: Vec<Param>,
    required: usize,
    returns: String,
    /// The type of the first argument.
    receiver: TypeId,
    is_method: bool,
}

#[derive(Clone)]
struct Param {
    name: String,
    /// `name: type = default`, as it was written.
    text: String,
    kind: String,
    default: Dynamic,
}

impl Spec {
    /// Reads a signature.
    pub fn new(signature: &str) -> Self {
        let (head, returns) = signature.rsplit_once("->").unwrap_or((signature, ""));
        let (name, list) = head.trim().split_once('(').unwrap_or((head, ""));
        let list = list.trim().strip_suffix(')').unwrap_or(list);
        let params: Vec<(Param, bool)> = split_params(list).iter().map(|p| param(p)).collect();
        Self {
            name: name.trim().into(),
            required: params.iter().filter(|(_, optional)| !optional).count(),
            params: params.into_iter().map(|(param, _)| param).collect(),
            returns: returns.trim().into(),
            receiver: TypeId::of::<Dynamic>(),
            is_method: false,
        }
    }

    /// The same, found as a method of a type.
    pub fn of<T: 'static>(self) -> Self {
        Self {
            receiver: TypeId::of::<T>(),
            is_method: true,
            ..self
        }
    }
}

/// Cuts at the commas that stand outside of brackets.
fn split_params(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = list[start..].trim();
    parts.extend((!last.is_empty()).then_some(last));
    parts
}

fn param(text: &str) -> (Param, bool) {
    let (head, default) = match text.split_once('=') {
        Some((head, default)) => (head.trim(), Some(default.trim())),
        None => (text, None),
    };
    let (name, kind) = head.split_once(':').unwrap_or((head, ""));
    let param = Param {
        name: name.trim().into(),
        text: text.into(),
        kind: kind.trim().into(),
        default: default.map_or(Dynamic::UNIT, value_of),
    };
    (param, default.is_some())
}

/// A default as it is written in a signature.
fn value_of(text: &str) -> Dynamic {
    if let Some(inner) = text.strip_prefix('"') {
        return inner.trim_end_matches('"').into();
    }
    if let Some(inner) = text.strip_prefix('[') {
        let items = split_params(inner.trim_end_matches(']'));
        return items.into_iter().map(value_of).collect::<List>().into();
    }
    match (text.parse::<INT>(), text.parse::<f64>()) {
        (Ok(whole), _) => whole.into(),
        (_, Ok(number)) => number.into(),
        _ => match text {
            "true" => true.into(),
            "false" => false.into(),
            _ => Dynamic::UNIT,
        },
    }
}

/// The arguments of one call.
pub struct Call<'a> {
    spec: &'a Spec,
    /// Where the call stands, for callbacks and nested evaluation.
    pub ctx: &'a NativeCallContext<'a>,
    given: &'a [&'a mut Dynamic],
    settings: Option<Map>,
}

impl<'a> Call<'a> {
    fn new(
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
            && spec.params[before.len()].kind != "map"
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
            format!(
                "{} ({})",
                brief(value),
                self.ctx.engine().map_type_name(value.type_name())
            ),
            expected,
        )
    }

    /// A tensor; a number or a list will do.
    pub fn tensor(&self, i: usize) -> Result<Array> {
        let value = self.get(i);
        if let Some(tensor) = value.read_lock::<Tensor>() {
            return Ok(tensor.0.clone());
        }
        if float(value).is_some() || value.is_bool() || value.is_array() {
            return from_value(value);
        }
        Err(self.wrong(i, "a tensor, a number, or a list of numbers"))
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

/// What a body gives back.
pub trait Reply {
    /// As a value of the script.
    fn reply(self) -> Result<Dynamic>;
}

impl Reply for Array {
    fn reply(self) -> Result<Dynamic> {
        mlx::graph::admit(&self)?;
        Ok(Dynamic::from(Tensor(self)))
    }
}

impl Reply for Vec<Array> {
    fn reply(self) -> Result<Dynamic> {
        let list: Result<List> = self.into_iter().map(Reply::reply).collect();
        Ok(list?.into())
    }
}

impl Reply for (Array, Array) {
    fn reply(self) -> Result<Dynamic> {
        vec![self.0, self.1].reply()
    }
}

impl Reply for (Array, Array, Array) {
    fn reply(self) -> Result<Dynamic> {
        vec![self.0, self.1, self.2].reply()
    }
}

macro_rules! as_they_are {
    ($($t:ty),*) => {$(
        impl Reply for $t {
            fn reply(self) -> Result<Dynamic> {
                Ok(Dynamic::from(self))
            }
        }
    )*};
}
as_they_are!((), bool, INT, f64, String, List, Map);

impl Reply for Dynamic {
    fn reply(self) -> Result<Dynamic> {
        Ok(self)
    }
}

/// What a binding of another form answers, through the same gate as every tensor.
pub fn tensor(ctx: &NativeCallContext, make: impl FnOnce() -> Result<Array>) -> Answer<Tensor> {
    let made = || {
        let array = make()?;
        mlx::graph::admit(&array)?;
        Ok(Tensor(array))
    };
    made().at(ctx)
}
