//! What would be right, for errors that Rhai words poorly.

mod elsewhere;
mod parse;

pub use elsewhere::comment;

use super::docs::{Found, Index, MODULES, friendly};
use super::imports::STDLIB;
use crate::error::nearest;
use rhai::{Engine, EvalAltResult};

/// Where an error is in its source: the line, split at the error.
#[derive(Clone, Copy, Default)]
pub struct Spot<'a> {
    pub before: &'a str,
    pub rest: &'a str,
}

/// What would be right, for errors that Rhai words poorly.
///
/// `names` are the variables of the session.
pub fn hint(
    engine: &Engine,
    error: &EvalAltResult,
    names: &[String],
    spot: Spot,
) -> Option<String> {
    match error.unwrap_inner() {
        EvalAltResult::ErrorFunctionNotFound(signature, _)
            if names.iter().any(|name| is_call_of(name, signature))
                && !signature.contains("Tensor") =>
        {
            let name = signature.split(" (").next().unwrap_or(signature);
            Some(format!(
                "`{name}` is a variable; a function that it holds is called by `{name}.call(..)`"
            ))
        }
        EvalAltResult::ErrorFunctionNotFound(signature, _) => {
            let name = signature.split(" (").next().unwrap_or(signature);
            function_hint(engine, name, signature)
        }
        EvalAltResult::ErrorVariableNotFound(name, _) => variable_hint(name, names, spot),
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
        EvalAltResult::ErrorParsing(kind, _) => parse::hint(kind, spot),
        EvalAltResult::ErrorDataRace(..) => Some(
            "the closure uses the very variable that the call is made on; write it as a function \
             call, `f(x, |..| ..)`, or copy what the closure needs into another variable"
                .into(),
        ),
        EvalAltResult::ErrorPropertyNotFound(..) => Some(
            "a map without this key; `m.get(\"key\") ?? other` answers with another value".into(),
        ),
        EvalAltResult::ErrorDotExpr(text, _) => member_hint(engine, text),
        EvalAltResult::ErrorFor(_) => {
            Some("a loop goes over a list, a range or a map's keys: `for i in 0..3 { .. }`".into())
        }
        EvalAltResult::ErrorRuntime(value, _) => native_hint(&value.to_string()),
        _ => None,
    }
}

fn variable_hint(name: &str, names: &[String], spot: Spot) -> Option<String> {
    if name.contains("::") {
        return Some(format!("`{name}` is a module: what it has is `{name}::..`"));
    }
    if spot.before.trim_end().ends_with("import") {
        return Some(
            "modules such as `mx::` need no import; a script's path stands in quotes: \
             `import \"std/rewards\" as rewards`"
                .into(),
        );
    }
    if let Some(meant) = elsewhere::variable(name).or_else(|| elsewhere::word(name)) {
        return Some(meant.to_string());
    }
    let rest = spot
        .rest
        .strip_prefix(name)
        .unwrap_or_default()
        .trim_start();
    if rest.starts_with('=') && !rest.starts_with("==") && !names.iter().any(|known| known == name)
    {
        return Some(format!(
            "a new variable begins with `let`: `let {name} = ..`"
        ));
    }
    if names.iter().any(|known| known == name) {
        return Some(format!(
            "a function sees its parameters and constants; make `{name}` one of these \
             (`const {name} = ..`), or the function a closure, which sees what is around it"
        ));
    }
    if MODULES.iter().any(|(module, _)| *module == name) {
        return Some(format!(
            "`{name}` is a module: write `{name}::`, not `{name}.`"
        ));
    }
    // Of names of one letter each is near to every other.
    let others = names
        .iter()
        .filter(|known| *known != name && name.len() > 1);
    let near = nearest(name, others.map(String::as_str))?;
    Some(format!("did you mean `{near}`?"))
}

/// For errors of our own functions that somebody who comes from NumPy meets.
fn native_hint(message: &str) -> Option<String> {
    let of_shape = ["zeros", "ones", "full"].iter();
    let name = of_shape
        .copied()
        .find(|name| message.starts_with(&format!("{name}, argument `")))?;
    let is_number = message.contains("(integer); expected");
    is_number.then(|| format!("a shape is one list: `mx::{name}([2, 3])`"))
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
    if let Some(meant) = elsewhere::function(name) {
        return Some(meant.into());
    }
    if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        if signature.contains("string") {
            return Some(
                "`parse_int(text)` and `parse_float(text)` make a number of a text".into(),
            );
        }
        let has_list = signature.contains("array") && signature.contains("Tensor");
        return has_list.then(|| "of a list, `tensor(list)` makes a tensor".into());
    }
    let index = Index::new(engine);
    let has_list_first = signature[name.len()..].starts_with(" (array");
    let is_of_mx = |entry: &&super::docs::Entry| entry.name == name && entry.is_method_too;
    if has_list_first && index.entries().iter().any(|entry| is_of_mx(&entry)) {
        return Some(format!(
            "of a list of numbers, make a tensor first: `tensor(list).{name}()`"
        ));
    }
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
        Found::Nothing(near) if name.len() > 2 => {
            near.map(|near| format!("did you mean `{near}`?"))
        }
        _ => None,
    }
}

/// Whether a function that is not known was called by this name.
fn is_call_of(name: &str, signature: &str) -> bool {
    signature
        .strip_prefix(name)
        .is_some_and(|rest| rest.starts_with(" ("))
}

/// For a property that a value does not have.
fn member_hint(engine: &Engine, text: &str) -> Option<String> {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    let (property, kind) = (quoted.next()?, quoted.next()?);
    if kind == "()" {
        return Some(format!(
            "what stands before `.{property}` is `()`: there is no value"
        ));
    }
    if let Some(meant) = elsewhere::property(property) {
        return Some(meant.into());
    }
    let kind = friendly(kind);
    let members = Index::new(engine).members_of(Some(&kind));
    let near = nearest(property, members.iter().map(String::as_str));
    Some(match near {
        Some(near) => format!("did you mean `.{near}`?"),
        None => format!("`help(\"{kind}\")` lists what it has"),
    })
}
