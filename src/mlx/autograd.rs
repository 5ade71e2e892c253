//! Differentiation of Rust closures over arrays.

use super::Array;
use crate::error::{Error, Result};
use mlx_rs::error::Exception;

/// The outputs of `f` at `args`, and the gradient of its first output by every argument.
///
/// The first output must be a scalar; the others come back as they are.
///
/// # Errors
/// An error inside `f` comes back as itself, not as MLX's report of it.
pub fn value_and_grad(
    f: impl FnMut(&[Array]) -> Result<Vec<Array>>,
    args: &[Array],
) -> Result<(Vec<Array>, Vec<Array>)> {
    let mut f = f;
    let mut inner: Option<Error> = None;
    let outcome = {
        let keep = &mut inner;
        let traced = move |args: &[Array]| -> Result<Vec<Array>, Exception> {
            f(args).map_err(|error| {
                let exception = Exception::custom(error.to_string());
                *keep = Some(error);
                exception
            })
        };
        let which: Vec<i32> = (0..args.len() as i32).collect();
        mlx_rs::transforms::value_and_grad_with_argnums(traced, which.as_slice())(args)
    };
    match (outcome, inner) {
        (Ok(result), None) => Ok(result),
        (_, Some(error)) => Err(error),
        (Err(exception), None) => Err(exception.into()),
    }
}

/// The array as a constant: gradients do not pass through it.
pub fn stop_gradient(a: &Array) -> Result<Array> {
    Ok(mlx_rs::stop_gradient(a)?)
}
