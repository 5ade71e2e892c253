//! `mx::grad` and `mx::value_and_grad` over closures of a script.

use super::error::{Answer, At, callback};
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::mlx::{Array, autograd};
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, FnPtr, Map, Module, NativeCallContext};

/// Puts the functions into `mx`.
pub fn register(module: &mut Module) {
    module.combine(exported_module!(gradients));
}

/// Replaces the tensors in a value, in order, and keeps its form: lists and maps may be nested.
fn rebuild(value: &Dynamic, visit: &mut dyn FnMut(&Array) -> Result<Array>) -> Result<Dynamic> {
    if let Some(tensor) = value.read_lock::<Tensor>() {
        return Ok(Dynamic::from(Tensor(visit(&tensor.0)?)));
    }
    if let Some(list) = value.read_lock::<List>() {
        let list: Result<List> = list.iter().map(|item| rebuild(item, visit)).collect();
        return Ok(list?.into());
    }
    if let Some(map) = value.read_lock::<Map>() {
        let fields = map.iter();
        let map: Result<Map> = fields
            .map(|(name, item)| Ok((name.clone(), rebuild(item, visit)?)))
            .collect();
        return Ok(map?.into());
    }
    let expected = "tensors, or lists and maps of tensors";
    Err(Error::value(
        "an argument to differentiate by",
        value.type_name(),
        expected,
    ))
}

fn leaves(args: &List) -> Result<Vec<Array>> {
    let mut leaves = Vec::new();
    let _same = rebuild(&args.clone().into(), &mut |array| {
        leaves.push(array.clone());
        Ok(array.clone())
    })?;
    Ok(leaves)
}

fn with_leaves(args: &List, arrays: &[Array]) -> Result<List> {
    let mut next = arrays.iter();
    let rebuilt = rebuild(&args.clone().into(), &mut |array| {
        Ok(next.next().unwrap_or(array).clone())
    })?;
    Ok(rebuilt.cast())
}

/// The value and the gradients of a closure, the latter in the form of its arguments.
fn differentiate(ctx: &NativeCallContext, f: &FnPtr, args: &List) -> Result<(Array, List)> {
    let (values, grads) = autograd::value_and_grad(
        |arrays| {
            let args = with_leaves(args, arrays)?;
            let result: Dynamic = f.call_raw(ctx, None, args).map_err(callback)?;
            let Some(value) = result.read_lock::<Tensor>() else {
                let found = result.type_name();
                return Err(Error::value(
                    "the result of the function",
                    found,
                    "a scalar tensor",
                ));
            };
            if value.0.size() != 1 {
                return Err(Error::shape(
                    "the result of a function to differentiate",
                    "[], a scalar; sum or average it",
                    value.0.shape(),
                ));
            }
            Ok(vec![value.0.reshape(&[])?])
        },
        &leaves(args)?,
    )?;
    Ok((values[0].clone(), with_leaves(args, &grads)?))
}

#[export_module]
mod gradients {
    /// The value of `f(args..)` and its gradients: `#{ value, grads }`.
    ///
    /// `args` is a list of tensors, or of lists and maps of tensors; `f` gets them as its
    /// parameters and returns a scalar; `grads` has the form of `args`.
    ///
    /// # Example
    ///
    /// ```rhai
    /// let r = mx::value_and_grad(|x| (x * x).sum(), [tensor([1.0, 2.0])]);
    /// assert_close(r.value, 5.0, 1e-6);
    /// assert_close(r.grads[0], tensor([2.0, 4.0]), 1e-6);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn value_and_grad(ctx: NativeCallContext, f: FnPtr, args: List) -> Answer<Map> {
        let (value, grads) = differentiate(&ctx, &f, &args).at(&ctx)?;
        let mut result = Map::new();
        result.insert("value".into(), Dynamic::from(Tensor(value)));
        result.insert("grads".into(), grads.into());
        Ok(result)
    }

    /// The gradients of `f(args..)`, in the form of `args`.
    #[rhai_fn(return_raw)]
    pub fn grad(ctx: NativeCallContext, f: FnPtr, args: List) -> Answer<List> {
        Ok(differentiate(&ctx, &f, &args).at(&ctx)?.1)
    }
}
