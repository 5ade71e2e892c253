//! Functions without a module: `assert_eq`, `assert_close`, `timeit`, `args`.

use super::convert;
use super::error::{Answer, At};
use super::host::Host;
use super::lists::from_value;
use super::settings::float;
use super::tensor::{Tensor, same};
use crate::error::{Error, Result};
use crate::mlx;
use crate::tensor::to_f32;
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, FLOAT, FnPtr, Map, NativeCallContext};
use std::time::Instant;

/// Registers the functions.
pub fn register(engine: &mut Engine) {
    engine.register_global_module(exported_module!(functions).into());
}

fn equal(a: &Dynamic, b: &Dynamic) -> Result<bool> {
    let tensors = (a.read_lock::<Tensor>(), b.read_lock::<Tensor>());
    match tensors {
        (Some(a), Some(b)) => return same(&a.0, &b.0),
        (Some(t), None) => return same(&t.0, &from_value(b)?),
        (None, Some(t)) => return same(&from_value(a)?, &t.0),
        (None, None) => {}
    }
    if let (Some(x), Some(y)) = (float(a), float(b)) {
        return Ok(x == y);
    }
    if let (Some(x), Some(y)) = (a.read_lock::<List>(), b.read_lock::<List>()) {
        if x.len() != y.len() {
            return Ok(false);
        }
        for (x, y) in x.iter().zip(y.iter()) {
            if !equal(x, y)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    if let (Some(x), Some(y)) = (a.read_lock::<Map>(), b.read_lock::<Map>()) {
        if !x.keys().eq(y.keys()) {
            return Ok(false);
        }
        for (x, y) in x.values().zip(y.values()) {
            if !equal(x, y)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    Ok(convert::to_json(a)? == convert::to_json(b)?)
}

fn failed(what: &str, a: &mut Dynamic, b: &mut Dynamic, ctx: &NativeCallContext) -> Error {
    let text = |value: &mut Dynamic| {
        convert::show(ctx.engine(), value).unwrap_or_else(|_| value.type_name().to_string())
    };
    let (left, right) = (text(a), text(b));
    Error::Unsupported(format!("{what}:\n  left:  {left}\n  right: {right}"))
}

#[export_module]
mod functions {
    /// An error that shows both values, unless they are equal.
    ///
    /// # Example
    ///
    /// ```rhai
    /// assert_eq(1 + 1, 2);
    /// assert_eq(tensor([1, 2]), [1, 2]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn assert_eq(ctx: NativeCallContext, mut a: Dynamic, mut b: Dynamic) -> Answer<()> {
        if equal(&a, &b).at(&ctx)? {
            return Ok(());
        }
        Err(failed("assert_eq failed", &mut a, &mut b, &ctx)).at(&ctx)
    }

    /// An error, unless the condition holds.
    #[rhai_fn(return_raw)]
    pub fn assert(ctx: NativeCallContext, condition: bool) -> Answer<()> {
        match condition {
            true => Ok(()),
            false => Err(Error::Unsupported("assertion failed".into())).at(&ctx),
        }
    }

    /// An error with a message, unless the condition holds.
    ///
    /// ```rhai
    /// let loss = 0.5;
    /// assert(loss < 1.0);
    /// assert(loss < 1.0, `the loss is ${loss}`);
    /// ```
    #[rhai_fn(name = "assert", return_raw)]
    pub fn assert_message(ctx: NativeCallContext, condition: bool, text: &str) -> Answer<()> {
        match condition {
            true => Ok(()),
            false => Err(Error::Unsupported(format!("assertion failed: {text}"))).at(&ctx),
        }
    }

    /// An error that shows both values, unless they have the same shape and their numbers differ by
    /// at most `tolerance`. The values are numbers, lists or tensors.
    ///
    /// ```rhai
    /// assert_close(0.1 + 0.2, 0.3, 1e-12);
    /// assert_close(tensor([1.0, 2.0]).mean(), 1.5, 1e-6);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn assert_close(
        ctx: NativeCallContext,
        mut a: Dynamic,
        mut b: Dynamic,
        tolerance: Dynamic,
    ) -> Answer<()> {
        let difference = || -> Result<f64> {
            let expected = "a number";
            let bound = float(&tolerance)
                .ok_or_else(|| Error::value("tolerance", tolerance.type_name(), expected))?;
            let (x, y) = (from_value(&a)?, from_value(&b)?);
            if x.shape() != y.shape() {
                return Ok(f64::INFINITY);
            }
            let pairs = to_f32(&x)?.into_iter().zip(to_f32(&y)?);
            let off = |(x, y): (f32, f32)| {
                if x == y || (x.is_nan() && y.is_nan()) {
                    0.0
                } else {
                    let off = f64::from((x - y).abs());
                    if off.is_nan() { f64::INFINITY } else { off }
                }
            };
            let largest = pairs.map(off).fold(0.0, f64::max);
            Ok(if largest <= bound { 0.0 } else { largest })
        };
        let off = difference().at(&ctx)?;
        if off == 0.0 {
            return Ok(());
        }
        let what = format!("assert_close failed: they differ by {off:.3e}, allowed {tolerance}");
        Err(failed(&what, &mut a, &mut b, &ctx)).at(&ctx)
    }

    /// Seconds that a closure without parameters takes; a tensor that it returns is computed within
    /// that time.
    ///
    /// ```rhai
    /// let seconds = timeit(|| mx::ones([64, 64]).sum());
    /// assert(seconds > 0.0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn timeit(ctx: NativeCallContext, f: FnPtr) -> Answer<FLOAT> {
        let start = Instant::now();
        let value: Dynamic = f.call_raw(&ctx, None, [])?;
        if let Some(tensor) = value.read_lock::<Tensor>() {
            mlx::eval([&tensor.0]).at(&ctx)?;
        }
        Ok(start.elapsed().as_secs_f64())
    }

    /// What the script was started with: the words after `--`, as a list.
    ///
    /// ```rhai
    /// // mlx-repl run script.rhai -- runs/first
    /// let folder = if args().len() > 0 { args()[0] } else { "runs/first" };
    /// assert(folder.len() > 0);
    /// ```
    #[rhai_fn(name = "args")]
    pub fn arguments(ctx: NativeCallContext) -> List {
        let host = Host::of(&ctx);
        let list = host.args.borrow();
        list.iter().map(|word| word.as_str().into()).collect()
    }
}
