//! Errors on their way between Rust and Rhai.

use crate::error::{Error, Result};
use rhai::{EvalAltResult, NativeCallContext, Position};
use std::fmt;

/// What a binding answers.
pub type Answer<T> = std::result::Result<T, Box<EvalAltResult>>;

/// An error of a script, carried through native rooms as `Error::Callback`.
#[derive(Debug)]
pub struct ScriptError(pub Box<EvalAltResult>);

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::error::Error for ScriptError {}

/// Turns a script's error into a native one.
pub fn callback(error: Box<EvalAltResult>) -> Error {
    match error.unwrap_inner() {
        EvalAltResult::ErrorTerminated(..) => Error::Interrupted,
        _ => Error::Callback(Box::new(ScriptError(error))),
    }
}

/// Turns a native error into a script's, at a place in the script.
pub fn raise(error: Error, position: Position) -> Box<EvalAltResult> {
    match error {
        Error::Interrupted => EvalAltResult::ErrorTerminated("interrupted".into(), position).into(),
        Error::Callback(inner) => match inner.downcast::<ScriptError>() {
            Ok(script) => script.0,
            Err(other) => EvalAltResult::ErrorRuntime(other.to_string().into(), position).into(),
        },
        other => EvalAltResult::ErrorRuntime(other.to_string().into(), position).into(),
    }
}

/// Where a native result meets the script that asked for it.
pub trait At<T> {
    /// The value, or the error at the place of the call.
    fn at(self, ctx: &NativeCallContext) -> Answer<T>;
}

impl<T> At<T> for Result<T> {
    fn at(self, ctx: &NativeCallContext) -> Answer<T> {
        self.map_err(|error| raise(error, ctx.call_position()))
    }
}
