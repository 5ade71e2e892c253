//! `help` and completion, which read the same index.

use crate::support::{recorded, session};
use mlx_repl::session::Session;

fn help(cells: &[&str]) -> String {
    let (mut session, lines) = recorded();
    for cell in cells {
        if let Err(failure) = session.cell(cell) {
            return failure.rendered;
        }
    }
    lines.borrow().join("\n")
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

#[test]
fn help_explains_functions_modules_types_values_and_ones_own_functions() {
    has(
        &help(&["help()"]),
        &["mx::", "Tensor", "assert_close", "args"],
    );
    let softmax = help(&["help(\"softmax\")"]);
    has(
        &softmax,
        &["mx::softmax(a: Tensor", "-> Tensor", "assert_close"],
    );
    has(&help(&["help(\"mx::random\")"]), &["normal", "permutation"]);
    has(
        &help(&["help(\"Tensor.shape\")"]),
        &["Tensor.shape -> list"],
    );
    has(&help(&["help(tensor([1]))"]), &["reshape", "log_softmax"]);
    has(&help(&["help([1])"]), &["push"]);
    let own = ["/// Twice as much.\nfn double(n) { n * 2 }", "help(double)"];
    has(&help(&own), &["double(n)", "Twice as much."]);
    has(&help(&["help(\"softmx\")"]), &["error", "softmax"]);
}

fn names(session: &Session, head: &str) -> Vec<String> {
    session.complete(head).1
}

#[test]
fn completion_knows_modules_the_types_of_variables_and_keys() {
    let mut session = session();
    let cells = [
        "let weights = tensor([1.0]);",
        "let settings = #{ max_tokens: 3 };",
        "fn halve(n) { n / 2 }",
        "const LIMIT = 3;",
    ];
    for cell in cells {
        assert!(session.cell(cell).is_ok(), "{cell}");
    }
    let (start, found) = session.complete("let y = mx::softm");
    assert_eq!((start, found.join(" ").as_str()), (12, "softmax"));
    assert!(names(&session, "mx::").contains(&"random::".to_string()));
    assert_eq!(names(&session, "mx::random::norm"), ["normal"]);
    assert_eq!(names(&session, "weights.sha"), ["shape"]);
    assert_eq!(names(&session, "settings.max_"), ["max_tokens"]);
    assert!(names(&session, "settings.").contains(&"keys".to_string()));
    assert!(!names(&session, "settings.").contains(&"reshape".to_string()));
    assert_eq!(names(&session, "wei"), ["weights"]);
    assert_eq!(names(&session, "hal"), ["halve"]);
    assert_eq!(names(&session, "LIM"), ["LIMIT"]);
    assert_eq!(names(&session, "op"), ["optim::"]);
    assert!(names(&session, "").is_empty());
}
