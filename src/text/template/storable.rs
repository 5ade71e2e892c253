//! Which values a namespace may store.
//!
//! Namespaces are the only values of a template that change. Minijinja prints, compares and drops
//! values by recursion, so that a value that contains itself, or that a loop has made a million
//! levels deep, would end the process.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};

/// Lets a value pass that may be stored in a namespace.
pub(super) fn storable(state: &State, value: Value) -> Result<Value, Error> {
    // What comes item by item can only be looked at by using it up.
    let value = match value.kind() {
        ValueKind::Iterable => value.try_iter()?.checked().collect::<Result<Value, _>>()?,
        _ => value,
    };
    check(state, &value, 0)?;
    Ok(value)
}

/// Deeper than any message, and far from the end of the stack.
const MAX_DEPTH: usize = 200;

fn check(state: &State, value: &Value, depth: usize) -> Result<(), Error> {
    state.consume_fuel(1)?;
    if depth > MAX_DEPTH {
        return Err(refused("a value nested so deeply"));
    }
    match value.kind() {
        ValueKind::Seq => {
            for element in value.try_iter()?.checked() {
                check(state, &element?, depth + 1)?;
            }
        }
        ValueKind::Map if changes(value) => return Err(refused("a namespace or a loop")),
        ValueKind::Map => {
            for key in value.try_iter()?.checked() {
                check(state, &value.get_item(&key?)?, depth + 1)?;
            }
        }
        ValueKind::Iterable => return Err(refused("an iterator in another value")),
        _ => {}
    }
    Ok(())
}

/// Maps that Minijinja has types of its own for. It has no other name for them.
fn changes(value: &Value) -> bool {
    let name = value.as_object().map(|object| object.type_name());
    name.is_some_and(|name| name.contains("namespace") || name.contains("loop"))
}

fn refused(what: &str) -> Error {
    let reason = format!("{what} cannot be stored in a namespace");
    Error::new(ErrorKind::InvalidOperation, reason)
}
