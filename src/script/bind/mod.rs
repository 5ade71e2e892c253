//! How a native function becomes a script's.
//!
//! One line, `"sum(a: Tensor, axis: integer or list = (), keepdims: bool = false) -> Tensor"`, gives the name,
//! the parameters with their defaults, the keys of the last map, and what the documentation shows.
//! A parameter with a default may be given by position or as a key of that map.

mod call;
mod reply;
mod signature;

pub use call::Call;
pub use reply::{Reply, tensor};
pub use signature::Spec;
pub(super) use signature::split_params;

use super::error::At;
use super::tensor::Tensor;
use crate::error::Result;
use crate::mlx::{self, Array};
use rhai::{Array as List, Dynamic, FuncRegistration, Module, NativeCallContext};
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

    /// A [`method`](Self::method) that gives the elements of its tensor in another form.
    pub fn view(
        &mut self,
        signature: &str,
        doc: &str,
        example: &str,
        body: impl Fn(&Call) -> Result<Array> + Clone + 'static,
    ) {
        let same_elements = move |c: &Call| -> Result<Dynamic> {
            let made = Tensor::new(mlx::graph::admit(body(c)?)?);
            Ok(Dynamic::from(match c.get(0).read_lock::<Tensor>() {
                Some(tensor) => made.has_elements_of(&tensor),
                None => made,
            }))
        };
        self.method(signature, doc, example, same_elements);
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
            let mut info: Vec<String> = spec.params.iter().map(|p| p.text.clone()).collect();
            if let (true, Some(first)) = (spec.is_method, info.first_mut()) {
                // As the methods written in Rust have it, by which the index knows them.
                *first = first.replacen(": ", ": &mut ", 1);
            }
            info.push(spec.returns.clone());
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
