//! Functions without a module: `assert`, `assert_eq`, `assert_close`, `timeit`.

use super::convert;
use super::error::{Answer, At};
use super::kind_of;
use super::lists::from_value;
use super::settings::float;
use super::show::debug;
use super::tensor::{Tensor, same};
use super::tree;
use crate::error::{Error, Result};
use crate::mlx;
use crate::tensor::to_f32;
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, FLOAT, FnPtr, INT, Map, NativeCallContext};
use std::time::Instant;

/// Registers the functions.
pub fn register(global: &mut Module) {
    global.combine(exported_module!(functions));
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

fn failed(
    what: &str,
    a: &mut Dynamic,
    b: &mut Dynamic,
    message: &str,
    ctx: &NativeCallContext,
) -> Error {
    let text =
        |value: &mut Dynamic| debug(ctx.engine(), value).unwrap_or_else(|_| convert::kind(value));
    let (left, right) = (text(a), text(b));
    let message = if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    };
    Error::Unsupported(format!(
        "{what}{message}\n  left:  {left}\n  right: {right}"
    ))
}

/// How far two lots of numbers are apart at most; infinitely, if in shape or by a NaN.
fn distance(a: &Dynamic, b: &Dynamic) -> Result<f64> {
    let (x, y) = (from_value(a)?, from_value(b)?);
    if x.shape() != y.shape() {
        return Ok(f64::INFINITY);
    }
    let off = |(x, y): (f32, f32)| {
        if x == y || (x.is_nan() && y.is_nan()) {
            return 0.0;
        }
        let off = f64::from((x - y).abs());
        if off.is_nan() { f64::INFINITY } else { off }
    };
    let pairs = to_f32(&x)?.into_iter().zip(to_f32(&y)?);
    Ok(pairs.map(off).fold(0.0, f64::max))
}

fn check(ctx: &NativeCallContext, condition: &Dynamic, message: &str) -> Answer<()> {
    let holds = || match condition.as_bool() {
        Ok(true) => Ok(()),
        Ok(false) if message.is_empty() => Err(Error::Unsupported("assertion failed".into())),
        Ok(false) => Err(Error::Unsupported(format!("assertion failed: {message}"))),
        Err(_) => {
            let kind = kind_of(ctx.engine(), condition);
            let found = format!("{} ({kind})", convert::brief(condition));
            let expected = "a boolean; of a tensor, `.all().item()` makes one";
            Err(Error::value("assert", found, expected))
        }
    };
    holds().at(ctx)
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
    pub fn assert_eq(ctx: NativeCallContext, a: Dynamic, b: Dynamic) -> Answer<()> {
        assert_eq_message(ctx, a, b, "")
    }

    /// With a message, which stands in the error.
    ///
    /// ```rhai
    /// assert_eq([1, 2].len(), 2, "as many as before");
    /// ```
    #[rhai_fn(name = "assert_eq", return_raw)]
    pub fn assert_eq_message(
        ctx: NativeCallContext,
        a: Dynamic,
        b: Dynamic,
        message: &str,
    ) -> Answer<()> {
        if equal(&a, &b).at(&ctx)? {
            return Ok(());
        }
        let (mut a, mut b) = (a, b);
        Err(failed("assert_eq failed", &mut a, &mut b, message, &ctx)).at(&ctx)
    }

    /// An error, unless the condition holds.
    #[rhai_fn(return_raw)]
    pub fn assert(ctx: NativeCallContext, condition: Dynamic) -> Answer<()> {
        check(&ctx, &condition, "")
    }

    /// With a message, which stands in the error.
    ///
    /// ```rhai
    /// let loss = 0.5;
    /// assert(loss < 1.0);
    /// assert(loss < 1.0, `the loss is ${loss}`);
    /// ```
    #[rhai_fn(name = "assert", return_raw)]
    pub fn assert_message(ctx: NativeCallContext, condition: Dynamic, message: &str) -> Answer<()> {
        check(&ctx, &condition, message)
    }

    /// An error that shows both values, unless they have the same shape and their numbers differ by
    /// at most `tolerance`, which is 1e-5 if it is left out. The values are numbers, lists or
    /// tensors.
    ///
    /// ```rhai
    /// assert_close(0.1 + 0.2, 0.3, 1e-12);
    /// assert_close(tensor([1.0, 2.0]).mean(), 1.5);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn assert_close(ctx: NativeCallContext, a: Dynamic, b: Dynamic) -> Answer<()> {
        assert_close_message(ctx, a, b, 1e-5.into(), "")
    }

    /// Within a tolerance.
    #[rhai_fn(name = "assert_close", return_raw)]
    pub fn assert_close_within(
        ctx: NativeCallContext,
        a: Dynamic,
        b: Dynamic,
        tolerance: Dynamic,
    ) -> Answer<()> {
        assert_close_message(ctx, a, b, tolerance, "")
    }

    /// With a message, which stands in the error.
    ///
    /// ```rhai
    /// assert_close([1.0, 2.0], [1.01, 2.0], 0.1, "about the same");
    /// ```
    #[rhai_fn(name = "assert_close", return_raw)]
    pub fn assert_close_message(
        ctx: NativeCallContext,
        a: Dynamic,
        b: Dynamic,
        tolerance: Dynamic,
        message: &str,
    ) -> Answer<()> {
        let bound = float(&tolerance)
            .ok_or_else(|| Error::value("tolerance", convert::kind(&tolerance), "a number"))
            .at(&ctx)?;
        let off = distance(&a, &b).at(&ctx)?;
        if off <= bound {
            return Ok(());
        }
        let (mut a, mut b) = (a, b);
        let what = format!("assert_close failed: they differ by {off:.3e}, allowed {bound}");
        Err(failed(&what, &mut a, &mut b, message, &ctx)).at(&ctx)
    }

    /// Seconds that a closure without parameters takes; tensors that it returns, also in lists and
    /// maps, are computed within that time.
    ///
    /// ```rhai
    /// let seconds = timeit(|| mx::ones([64, 64]).sum());
    /// assert(seconds > 0.0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn timeit(ctx: NativeCallContext, f: FnPtr) -> Answer<FLOAT> {
        timeit_many(ctx, f, 1)
    }

    /// Called `count` times: the mean of the seconds.
    ///
    /// ```rhai
    /// let seconds = timeit(|| mx::ones([64, 64]).sum(), 10);
    /// ```
    #[rhai_fn(name = "timeit", return_raw)]
    pub fn timeit_many(ctx: NativeCallContext, f: FnPtr, count: INT) -> Answer<FLOAT> {
        if count < 1 {
            let expected = "at least 1";
            return Err(Error::value("timeit, argument `count`", count, expected)).at(&ctx);
        }
        let start = Instant::now();
        for _ in 0..count {
            let value: Dynamic = f.call_raw(&ctx, None, [])?;
            mlx::eval(&tree::tensors_in(&value)).at(&ctx)?;
        }
        Ok(start.elapsed().as_secs_f64() / count as FLOAT)
    }
}
