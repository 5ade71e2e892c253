//! Errors on their way between Rust and Rhai.

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
            if MODULES.contains(&name.as_str()) {
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
            Some(format!(
                "an import looks for NAME.rhai beside the script, then in the working directory, \
                 then in the binary ({}); modules that need no import: {}",
                built_in.join(", "),
                MODULES.join(", ")
            ))
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

fn function_hint(engine: &Engine, name: &str, signature: &str) -> Option<String> {
    if name.starts_with("anon$") {
        let given = signature.matches(',').count() + usize::from(!signature.ends_with("()"));
        return Some(format!(
            "the closure was called with {given} argument(s); give it that many parameters"
        ));
    }
    let known = function_names(engine);
    let plain = name.rsplit("::").next().unwrap_or(name);
    if known.iter().any(|candidate| candidate == plain) {
        return Some(format!("`{plain}` exists, but not for these arguments"));
    }
    let near = nearest(plain, known.iter().map(String::as_str))?;
    Some(format!("did you mean `{near}`?"))
}

/// Names of every registered function.
#[allow(deprecated)] // Rhai marks its volatile interfaces so.
pub fn function_names(engine: &Engine) -> Vec<String> {
    let mut names = engine.collect_fn_metadata(None, |f| Some(f.metadata.name.to_string()), true);
    names.retain(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'));
    names.sort();
    names.dedup();
    names
}

/// Names and documentation of every function that has any.
#[allow(deprecated)] // As above.
pub fn function_docs(engine: &Engine) -> Vec<(String, String)> {
    let doc = |f: rhai::FuncInfo| {
        let lines: Vec<&str> = f.metadata.comments.iter().map(AsRef::as_ref).collect();
        let name = match f.namespace.as_str() {
            "" => f.metadata.name.to_string(),
            module => format!("{module}::{}", f.metadata.name),
        };
        (!lines.is_empty()).then(|| (name, lines.join("\n")))
    };
    let mut docs = engine.collect_fn_metadata(None, doc, false);
    docs.sort();
    docs.dedup();
    docs
}

/// Names of the modules that are there without an import.
pub const MODULES: [&str; 9] = [
    "data", "lm", "mx", "nn", "optim", "plot", "rl", "sampling", "sft",
];
