//! What would be right, for errors that Rhai words poorly.

use super::docs::{Found, Index, MODULES};
use super::imports::STDLIB;
use crate::error::nearest;
use rhai::{Engine, EvalAltResult, ParseErrorType};

/// Words of other languages, and what is written here.
const ELSEWHERE: [(&str, &str); 11] = [
    ("None", "nothing is `()`"),
    ("null", "nothing is `()`"),
    ("nil", "nothing is `()`"),
    ("True", "it is `true` here"),
    ("False", "it is `false` here"),
    ("lambda", "a closure is `|x| x + 1`"),
    ("var", "a variable begins with `let`"),
    (
        "new",
        "a function makes a value: `tensor([1])`; as a name choose another",
    ),
    ("quit", "`:quit` or Ctrl-D leaves"),
    (
        "exit",
        "`:quit` or Ctrl-D leaves the prompt, `exit()` ends a script",
    ),
    ("self", "the value that a method is called on is `this`"),
];

/// What would be right, for errors that Rhai words poorly.
///
/// `names` are the variables of the session, and `line` the text from the error's place to the end of
/// its line.
pub fn hint(
    engine: &Engine,
    error: &EvalAltResult,
    names: &[String],
    line: &str,
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
        EvalAltResult::ErrorVariableNotFound(name, _) => {
            if let Some((_, meant)) = ELSEWHERE.iter().find(|(word, _)| word == name) {
                return Some((*meant).to_string());
            }
            let rest = line.strip_prefix(name.as_str()).unwrap_or_default().trim_start();
            if rest.starts_with('=') && !rest.starts_with("==") && !names.contains(name) {
                return Some(format!("a new variable begins with `let`: `let {name} = ..`"));
            }
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
            // Of names of one letter each is near to every other.
            let others = names.iter().filter(|known| *known != name && name.len() > 1);
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
        EvalAltResult::ErrorParsing(kind, _) => parse_hint(kind, line),
        EvalAltResult::ErrorDataRace(..) => Some(
            "the closure uses the very variable that the call is made on; write it as a function \
             call, `f(x, |..| ..)`, or copy what the closure needs into another variable"
                .into(),
        ),
        EvalAltResult::ErrorPropertyNotFound(..) => Some(
            "a map without this key; `m.get(\"key\") ?? other` answers with another value".into(),
        ),
        EvalAltResult::ErrorDotExpr(text, _) => member_hint(engine, text),
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
    if name == "print" {
        return Some(
            "`print` takes one value; several stand in one text: print(`${a} ${b}`)".into(),
        );
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

fn parse_hint(kind: &ParseErrorType, line: &str) -> Option<String> {
    let text = kind.to_string();
    let word = text.split('\'').nth(1).unwrap_or_default();
    let hint = if let Some((_, meant)) = ELSEWHERE.iter().find(|(known, _)| *known == word) {
        meant
    } else if text.contains("'@'") {
        "the product of matrices is `a.matmul(b)`"
    } else if text.contains("'++'") {
        "`x += 1` adds one"
    } else if text.contains("'--'") {
        "`x -= 1` takes one away"
    } else if text.contains("is a reserved keyword") {
        "Rhai keeps this word to itself; choose another name, or as a key write it in quotes: \
         #{ \"default\": 1 }"
    } else if text.starts_with("Invalid character") {
        "text stands in double quotes: \"text\""
    } else if text.contains("for a matching (") && line.starts_with(',') {
        "a list is written `[1, 2]`"
    } else if text.contains("terminate this statement") && line.starts_with(':') {
        "a map is written `#{ key: value }`, and a variable without its type: `let x = 3`"
    } else if text.contains("to start a statement block") {
        "what belongs together stands in braces: `if x { 3 } else { 4 }`, `for x in list { .. }`"
    } else {
        return None;
    };
    Some(hint.into())
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
    let kind = match kind {
        "i64" => "integer",
        "f64" => "number",
        "array" => "list",
        other => other,
    };
    let members = Index::new(engine).members_of(Some(kind));
    let near = nearest(property, members.iter().map(String::as_str));
    Some(match near {
        Some(near) => format!("did you mean `.{near}`?"),
        None => format!("`help(\"{kind}\")` lists what it has"),
    })
}
