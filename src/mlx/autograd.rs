//! Differentiation of Rust closures over arrays.

use super::{Array, raw};
use crate::error::{Error, Result};
use mlx_rs::error::Exception;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;

thread_local! {
    /// How many functions are being differentiated, one within the other.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Who runs the functions of [`checkpoint`] again, the innermost last.
    static REPLAYS: RefCell<Vec<*const Replay<'static>>> = const { RefCell::new(Vec::new()) };
    /// What went wrong inside a function that MLX called.
    static INNER: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// Runs a remembered function, given by its number.
pub type Replay<'a> = dyn Fn(usize, &[Array]) -> Result<Vec<Array>> + 'a;

/// Whether a function is being differentiated.
pub fn is_tracing() -> bool {
    DEPTH.get() > 0
}

/// Counts a level of differentiation, and keeps who may replay during it.
struct Level {
    replays: bool,
}

impl Level {
    fn enter(replay: Option<&Replay>) -> Self {
        DEPTH.set(DEPTH.get() + 1);
        if let Some(replay) = replay {
            // The lifetime is forgotten: `Drop` takes the pointer away before it ends.
            let pointer: *const Replay = replay;
            // SAFETY: only the lifetime in the type changes.
            let pointer =
                unsafe { std::mem::transmute::<*const Replay, *const Replay<'static>>(pointer) };
            REPLAYS.with_borrow_mut(|list| list.push(pointer));
        }
        Self {
            replays: replay.is_some(),
        }
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        if self.replays {
            REPLAYS.with_borrow_mut(Vec::pop);
        }
    }
}

/// An error inside `f` comes back as itself, not as MLX's report of it.
fn surface<T>(outcome: Result<T, Exception>) -> Result<T> {
    match (outcome, INNER.take()) {
        (Ok(value), None) => Ok(value),
        (_, Some(error)) => Err(error),
        (Err(exception), None) => Err(exception.into()),
    }
}

/// `f` with its errors set aside.
fn traced<'a>(
    mut f: impl FnMut(&[Array]) -> Result<Vec<Array>> + 'a,
) -> impl FnMut(&[Array]) -> Result<Vec<Array>, Exception> + 'a {
    move |args| {
        f(args).map_err(|error| {
            let exception = Exception::custom(error.to_string());
            INNER.set(Some(error));
            exception
        })
    }
}

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
    value_and_grad_with(f, args, None)
}

/// The same, with somebody to run the functions of [`checkpoint`] again.
pub fn value_and_grad_with(
    f: impl FnMut(&[Array]) -> Result<Vec<Array>>,
    args: &[Array],
    replay: Option<&Replay>,
) -> Result<(Vec<Array>, Vec<Array>)> {
    let _level = Level::enter(replay);
    let which: Vec<i32> = (0..args.len() as i32).collect();
    surface(mlx_rs::transforms::value_and_grad_with_argnums(
        traced(f),
        which.as_slice(),
    )(args))
}

/// The outputs of `f` at `primals`, and the products of `cotangents` with its Jacobian.
pub fn vjp(
    f: impl FnMut(&[Array]) -> Result<Vec<Array>>,
    primals: &[Array],
    cotangents: &[Array],
    replay: Option<&Replay>,
) -> Result<(Vec<Array>, Vec<Array>)> {
    let _level = Level::enter(replay);
    surface(mlx_rs::transforms::fallible_vjp(
        traced(f),
        primals,
        cotangents,
    ))
}

/// The outputs of `f` at `primals`, and the products of its Jacobian with `tangents`.
pub fn jvp(
    f: impl FnMut(&[Array]) -> Result<Vec<Array>>,
    primals: &[Array],
    tangents: &[Array],
    replay: Option<&Replay>,
) -> Result<(Vec<Array>, Vec<Array>)> {
    let _level = Level::enter(replay);
    surface(mlx_rs::transforms::fallible_jvp(
        traced(f),
        primals,
        tangents,
    ))
}

/// The outputs of function number `id` at `args`; in the backward pass it is run again, so that
/// nothing of its inside is kept until then (<https://arxiv.org/abs/1604.06174>).
///
/// Gradients reach `args` only. The innermost differentiation must have been given a [`Replay`].
pub fn checkpoint(id: usize, args: &[Array]) -> Result<Vec<Array>> {
    let outputs = apply_checkpointed(id, args);
    match (outputs, INNER.take()) {
        (_, Some(error)) => Err(error),
        (outputs, None) => outputs,
    }
}

fn apply_checkpointed(id: usize, args: &[Array]) -> Result<Vec<Array>> {
    let inputs = raw::List::new(args);
    let payload = Box::into_raw(Box::new(id)).cast::<c_void>();
    // SAFETY: the payload is a boxed number, which `drop_number` frees with the closure; the
    // closures are freed when they have been applied, and MLX keeps references of its own.
    unsafe {
        let plain =
            mlx_sys::mlx_closure_new_func_payload(Some(run_again), payload, Some(drop_number));
        let mut kept = mlx_sys::mlx_closure_new();
        let mut list = raw::List::new(&[]);
        let outcome = raw::status(|| mlx_sys::mlx_checkpoint(&mut kept, plain))
            .and_then(|()| raw::status(|| mlx_sys::mlx_closure_apply(&mut list.0, kept, inputs.0)));
        mlx_sys::mlx_closure_free(kept);
        mlx_sys::mlx_closure_free(plain);
        outcome.and_then(|()| list.to_arrays())
    }
}

/// What MLX calls, in the forward pass and again in the backward pass.
extern "C" fn run_again(
    result: *mut mlx_sys::mlx_vector_array,
    inputs: mlx_sys::mlx_vector_array,
    payload: *mut c_void,
) -> i32 {
    // SAFETY: the payload is the boxed number that the closure was made with.
    let id = unsafe { *payload.cast::<usize>() };
    let replay = REPLAYS.with_borrow(|list| list.last().copied());
    let outcome = raw::borrowed(inputs).and_then(|args| match replay {
        // SAFETY: a pointer is on the list only as long as what it points to lives.
        Some(replay) => unsafe { (*replay)(id, &args) },
        None => Err(Error::Unsupported(
            "a checkpoint was reached outside of the gradient that it was made in".into(),
        )),
    });
    match outcome {
        Ok(outputs) => {
            let list = raw::List::new(&outputs);
            // SAFETY: `result` is a place for a list, which takes references of its own.
            unsafe { mlx_sys::mlx_vector_array_set(result, list.0) }
        }
        Err(error) => {
            INNER.set(Some(error));
            1
        }
    }
}

extern "C" fn drop_number(payload: *mut c_void) {
    // SAFETY: called once, with the pointer that `checkpoint` boxed.
    drop(unsafe { Box::from_raw(payload.cast::<usize>()) });
}

/// The array as a constant: gradients do not pass through it.
pub fn stop_gradient(a: &Array) -> Result<Array> {
    Ok(mlx_rs::stop_gradient(a)?)
}
