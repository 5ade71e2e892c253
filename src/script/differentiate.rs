//! `mx::grad` and its kin over closures of a script.

use super::bind::{Binder, Call};
use super::convert;
use super::error::callback;
use super::kind_of;
use super::tensor::Tensor;
use super::tree::{leaves, with_leaves};
use crate::error::{Error, Result};
use crate::mlx::{Array, autograd};
use rhai::{Array as List, Dynamic, FnPtr, Map, NativeCallContext};
use std::cell::RefCell;

/// Puts the functions into `mx`.
pub fn register(b: &mut Binder) {
    b.function(
        "value_and_grad(f: function, args: list) -> map",
        "The value of `f(args..)` and its gradients: `#{ value, grads }`.

         `args` is a list of tensors, or of lists and maps of tensors; `f` gets them as its
         parameters and returns a scalar; `grads` has the form of `args`.",
        "let r = mx::value_and_grad(|x| (x * x).sum(), [tensor([1.0, 2.0])]);
         assert_close(r.value, 5.0, 1e-6);
         assert_close(r.grads[0], tensor([2.0, 4.0]), 1e-6);",
        |c| {
            let (value, grads) = differentiate(c)?;
            let mut result = Map::new();
            result.insert("value".into(), Dynamic::from(Tensor::new(value)));
            result.insert("grads".into(), grads.into());
            Ok(result)
        },
    );
    b.function(
        "grad(f: function, args: list) -> list",
        "The gradients of `f(args..)`, in the form of `args`; see `value_and_grad`.",
        "let g = mx::grad(|w| (w.a * w.b).sum(), [#{ a: tensor([1.0]), b: tensor([5.0]) }]);
         assert_eq(g[0].a, [5.0]);",
        |c| Ok(differentiate(c)?.1),
    );
    b.function(
        "vjp(f: function, primals: list, cotangents: list) -> map",
        "Products of cotangents with the Jacobian: `#{ outputs, vjps }`.

         `f` gets the primals as its parameters and returns a tensor or a list of tensors; there is
         one cotangent for each output, of its shape; `vjps` has the form of `primals`.",
        "let r = mx::vjp(|x| x * x, [tensor([1.0, 2.0])], [tensor([1.0, 10.0])]);
         assert_eq(r.vjps[0], [2.0, 40.0]);",
        |c| {
            let (f, primals) = (function(c)?, c.get(1));
            let run = |arrays: &[Array]| outputs(call(c.ctx, &f, primals, arrays)?);
            let cotangents = leaves(c.get(2))?;
            let replay = replay(c.ctx);
            let (out, vjps) = autograd::vjp(run, &floats(c, 1)?, &cotangents, Some(&replay))?;
            parts(c, "vjps", out, with_leaves(primals, &vjps)?)
        },
    );
    b.function(
        "jvp(f: function, primals: list, tangents: list) -> map",
        "Products of the Jacobian with tangents: `#{ outputs, jvps }`.

         `f` gets the primals as its parameters and returns a tensor or a list of tensors; the
         tangents have the form of the primals.",
        "let r = mx::jvp(|x| x * x, [tensor([1.0, 2.0])], [tensor([1.0, 10.0])]);
         assert_eq(r.jvps[0], [2.0, 40.0]);",
        |c| {
            let (f, primals) = (function(c)?, c.get(1));
            let run = |arrays: &[Array]| outputs(call(c.ctx, &f, primals, arrays)?);
            let tangents = leaves(c.get(2))?;
            let replay = replay(c.ctx);
            let (out, jvps) = autograd::jvp(run, &floats(c, 1)?, &tangents, Some(&replay))?;
            let jvps: List = jvps
                .into_iter()
                .map(|a| Dynamic::from(Tensor::new(a)))
                .collect();
            parts(c, "jvps", out, jvps.into())
        },
    );
    b.function(
        "checkpoint(f: function, args: list) -> Tensor or list",
        "`f(args..)`, of whose inside nothing is kept for the gradient: it is run again instead.

         Saves memory inside `grad` at the price of a second forward pass. Gradients reach `args`
         only, so pass everything that is trained.",
        "let g = mx::grad(|x| mx::checkpoint(|y| (y * y).sum(), [x]), [tensor([3.0])]);
         assert_eq(g[0], [6.0]);",
        checkpoint,
    );
}

fn function(c: &Call) -> Result<FnPtr> {
    let f = c.get(0).clone().try_cast::<FnPtr>();
    f.ok_or_else(|| c.wrong(0, "a closure, such as |x| x.sum()"))
}

/// Calls a closure with the form of `args` and other tensors.
fn call(ctx: &NativeCallContext, f: &FnPtr, args: &Dynamic, arrays: &[Array]) -> Result<Dynamic> {
    let args: List = with_leaves(args, arrays)?.try_cast().unwrap_or_default();
    f.call_raw(ctx, None, args).map_err(callback)
}

/// The tensors of the list of arguments `i`, which must be floats.
fn floats(c: &Call, i: usize) -> Result<Vec<Array>> {
    if !c.get(i).is_array() {
        return Err(c.wrong(
            i,
            "a list with one entry for each parameter of the function",
        ));
    }
    let arrays = leaves(c.get(i))?;
    match arrays.iter().find(|a| !a.dtype().is_inexact()) {
        None if !arrays.is_empty() => Ok(arrays),
        None => Err(c.wrong(i, "at least one tensor")),
        Some(a) => Err(Error::value(
            "a tensor to differentiate by",
            crate::tensor::dtype::name(a.dtype()),
            "floats; .astype(\"float32\") makes them",
        )),
    }
}

/// The value and the gradients of a closure, the latter in the form of its arguments.
fn differentiate(c: &Call) -> Result<(Array, List)> {
    let (f, args) = (function(c)?, c.get(1));
    let replay = replay(c.ctx);
    let scalar = |arrays: &[Array]| {
        let result = call(c.ctx, &f, args, arrays)?;
        let Some(value) = result.read_lock::<Tensor>() else {
            let found = kind_of(c.ctx.engine(), &result);
            let expected = "a scalar tensor";
            return Err(Error::value("the result of the function", found, expected));
        };
        if value.0.size() != 1 {
            return Err(Error::shape(
                "the result of a function to differentiate",
                "[], a scalar; sum or average it",
                value.0.shape(),
            ));
        }
        Ok(vec![value.0.reshape(&[])?])
    };
    let (values, grads) = autograd::value_and_grad_with(scalar, &floats(c, 1)?, Some(&replay))?;
    let grads = with_leaves(args, &grads)?;
    Ok((values[0].clone(), grads.try_cast().unwrap_or_default()))
}

/// What a function to differentiate has returned: a tensor, or a list of them.
fn outputs(result: Dynamic) -> Result<Vec<Array>> {
    leaves(&result).map_err(|_| {
        let expected = "a tensor, or a list of tensors";
        Error::value(
            "the result of the function",
            convert::kind(&result),
            expected,
        )
    })
}

fn parts(_: &Call, name: &str, out: Vec<Array>, products: Dynamic) -> Result<Map> {
    let outputs: List = out
        .into_iter()
        .map(|a| Dynamic::from(Tensor::new(a)))
        .collect();
    let mut result = Map::new();
    result.insert("outputs".into(), outputs.into());
    result.insert(name.into(), products);
    Ok(result)
}

/// A function under [`checkpoint`], with the form of its arguments and of its result.
struct Kept {
    f: FnPtr,
    args: Dynamic,
    form: Dynamic,
}

thread_local! {
    /// The functions of the running differentiation, which its backward pass calls again.
    static KEPT: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

fn checkpoint(c: &Call) -> Result<Dynamic> {
    let (f, args) = (function(c)?, c.get(1));
    let arrays = leaves(args)?;
    if !autograd::is_tracing() {
        return call(c.ctx, &f, args, &arrays);
    }
    let id = KEPT.with_borrow_mut(|kept| {
        kept.push(Kept {
            f,
            args: args.clone(),
            form: Dynamic::UNIT,
        });
        kept.len() - 1
    });
    let results = autograd::checkpoint(id, &arrays)?;
    let form = KEPT.with_borrow(|kept| kept[id].form.clone());
    with_leaves(&form, &results)
}

/// Runs kept functions again. The list is emptied when the outermost differentiation ends.
fn replay<'a>(ctx: &'a NativeCallContext) -> impl Fn(usize, &[Array]) -> Result<Vec<Array>> + 'a {
    if !autograd::is_tracing() {
        KEPT.with_borrow_mut(Vec::clear);
    }
    |id, arrays| {
        let (f, args) = KEPT.with_borrow(|kept| (kept[id].f.clone(), kept[id].args.clone()));
        let result = call(ctx, &f, &args, arrays)?;
        let out = outputs(result.clone())?;
        KEPT.with_borrow_mut(|kept| kept[id].form = result);
        Ok(out)
    }
}
