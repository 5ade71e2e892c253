//! Functions of the scripting language against values of Python's MLX.

use crate::support::fixture;
use mlx_repl::script::{Host, Tensor};
use mlx_repl::session::Session;
use mlx_repl::tensor::to_f32;
use serde_json::Value;
use std::rc::Rc;

/// A value of a case as a number.
fn number(value: &Value) -> f32 {
    match value {
        Value::Bool(bit) => f32::from(u8::from(*bit)),
        Value::String(word) => word.parse().unwrap(),
        other => other.as_f64().unwrap() as f32,
    }
}

fn close(a: f32, b: f32, tolerance: f32) -> bool {
    (a.is_nan() && b.is_nan()) || a == b || (a - b).abs() <= tolerance * (1.0 + b.abs())
}

/// Runs one case; what is wrong with it, if anything.
fn check(session: &mut Session, case: &Value) -> Option<String> {
    let call = case["call"].as_str().unwrap();
    let text = format!(
        "let found = {call}; if type_of(found) == \"Tensor\" {{ found }} else {{ tensor(found) }}"
    );
    let outcome = match session.eval("case", &text) {
        Ok(outcome) => outcome,
        Err(failure) => return Some(failure.rendered),
    };
    let Some(tensor) = outcome.try_cast::<Tensor>() else {
        return Some(format!("{call}: not a tensor"));
    };
    let array = tensor.0;
    let dtype = mlx_repl::tensor::dtype::name(array.dtype());
    let shape: Value = array.shape().to_vec().into();
    if shape != case["shape"] || dtype != case["dtype"] {
        return Some(format!(
            "{call}: {shape} {dtype}, and in MLX {} {}",
            case["shape"], case["dtype"]
        ));
    }
    let tolerance = if dtype == "float16" || dtype == "bfloat16" {
        1e-2
    } else {
        2e-5
    };
    let expected: Vec<f32> = case["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(number)
        .collect();
    let found = to_f32(&array).unwrap();
    let same = found.len() == expected.len()
        && found
            .iter()
            .zip(&expected)
            .all(|(a, b)| close(*a, *b, tolerance));
    (!same).then(|| format!("{call}:\n  {found:?}\n  {expected:?}"))
}

#[test]
fn array_functions_are_those_of_mlx() {
    check_all("mx.json", 1500);
}

#[test]
fn layers_losses_optimisers_and_schedules_are_those_of_mlx() {
    check_all("nn.json", 900);
}

fn check_all(name: &str, at_least: usize) {
    let cases = fixture(name);
    let mut session = Session::new(Host::quiet(Rc::new(|_| ())));
    let all = cases.as_array().unwrap();
    let wrong: Vec<String> = all
        .iter()
        .filter_map(|case| check(&mut session, case))
        .collect();
    assert!(all.len() > at_least);
    assert!(
        wrong.is_empty(),
        "{} of {} cases:\n{}",
        wrong.len(),
        all.len(),
        wrong.join("\n")
    );
}
