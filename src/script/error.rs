//! Errors on their way between Rust and Rhai.

use super::docs::{Found, Index, MODULES};
use super::imports::STDLIB;
use crate::error::{Error, Result, nearest};
use rhai::{Engine, EvalAltResult, NativeCallContext, Position};
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

/// What would be right, for errors that Rhai words poorly.
pub fn hint(engine: &Engine, error: &EvalAltResult, names: &[String]) -> Option<String> {
    match error.unwrap_inner() {
        EvalAltResult::ErrorFunctionNotFound(signature, _) => {
            let name = signature.split(" (").next().unwrap_or(signature);
            function_hint(engine, name, signature)
        }
        EvalAltResult::ErrorVariableNotFound(name, _) => {
            if names.contains(name) {
                return Some(format!(
                    "a function sees its parameters and constants; make `{name}` one of these \
                     (`const {name} = ..`), or the function a closure, which sees what is around it"
                ));
            }
            if MODULES.iter().any(|(module, _)| module == name) {
                return Some(format!(
                    "`{name}` is a module: write `{name}::`, not `{name}.`"
                ));
            }
            let others = names.iter().filter(|known| *known != name);
            let near = nearest(name, others.map(String::as_str))?;
            Some(format!("did you mean `{near}`?"))
        }
        EvalAltResult::ErrorModuleNotFound(..) => {
            let built_in: Vec<&str> = STDLIB.iter().map(|(name, _)| *name).collect();
            let modules = MODULES.map(|(name, _)| name);
            Some(format!(
                "an import looks for NAME.rhai beside the script, then in the working directory, \
                 then in the binary ({}); modules that need no import: {}",
                built_in.join(", "),
                modules.join(", ")
            ))
        }
        EvalAltResult::ErrorMismatchDataType(wanted, found, _)
            if wanted == "bool" && found.ends_with("Tensor") =>
        {
            Some("of a tensor, `.item()` makes one boolean, and `.all().item()` of several".into())
        }
        EvalAltResult::ErrorIndexingType(kind, _) if kind.starts_with("Tensor") => Some(
            "an index is an integer, a range `a..b`, an index tensor (`mx::arange(0, 6, 2)`), a mask, \
             or a list with one of these for each axis"
                .into(),
        ),
        EvalAltResult::ErrorParsing(kind, _) if kind.to_string().contains("'@'") => {
            Some("the product of matrices is `a.matmul(b)`".into())
        }
        EvalAltResult::ErrorDataRace(..) => Some(
            "the closure uses the very variable that the call is made on; write it as a function \
             call, `f(x, |..| ..)`, or copy what the closure needs into another variable"
                .into(),
        ),
        EvalAltResult::ErrorPropertyNotFound(..) => Some(
            "a map without this key; `m.get(\"key\") ?? other` answers with another value".into(),
        ),
        _ => None,
    }
}

/// At most so many ways to call a function are shown under an error.
const MOST_SIGNATURES: usize = 4;

fn function_hint(engine: &Engine, name: &str, signature: &str) -> Option<String> {
    if name.starts_with("anon$") {
        let given = signature.matches(',').count() + usize::from(!signature.ends_with("()"));
        return Some(format!(
            "the closure was called with {given} argument(s); give it that many parameters"
        ));
    }
    if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        let has_list = signature.contains("array") && signature.contains("Tensor");
        return has_list.then(|| "of a list, `tensor(list)` makes a tensor".into());
    }
    let index = Index::new(engine);
    let of_tensors = || index.members_of(Some("Tensor"));
    if signature.contains("(bool") && of_tensors().iter().any(|member| member == name) {
        return Some(format!(
            "`{name}` is for tensors, and this is one boolean; `==` and `!=` answer with one, \
             elementwise are `mx::equal(a, b)` and `mx::not_equal(a, b)`"
        ));
    }
    let mut known = index.signatures_of(name);
    if !known.is_empty() {
        let more = known.len().saturating_sub(MOST_SIGNATURES);
        known.truncate(MOST_SIGNATURES);
        let more = if more > 0 {
            format!(" (and {more} more: `help(\"{name}\")`)")
        } else {
            String::new()
        };
        return Some(format!(
            "it is called as {}{more}",
            known.join("\n            or ")
        ));
    }
    match index.find(name) {
        Found::Nothing(near) => near.map(|near| format!("did you mean `{near}`?")),
        _ => None,
    }
}
