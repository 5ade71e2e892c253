//! `help` and completion, which read the same index.

use crate::support::{recorded, session};
use mlx_repl::session::Session;
use std::time::{Duration, Instant};

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

#[test]
fn completion_knows_settings_and_properties_and_calls_nothing() {
    let mut session = session();
    let cells = [
        "let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };",
        "let m = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer(\"01\") });",
        "let weights = tensor([1.0]); let all = #{ model: m }; let word = \"x\";",
        "fn danger() { throw \"called\" }",
    ];
    for cell in cells {
        assert!(session.cell(cell).is_ok(), "{cell}");
    }
    let table = [
        ("m.config.hidden_s", "hidden_size"),
        ("all.model.config.hidden_s", "hidden_size"),
        ("m.generate(\"0\", #{ temp", "temperature: "),
        ("all.model.generate(\"0\", #{ top_p: 1, top_", "top_k: "),
        ("m.chat([], #{ max_t", "max_tokens: "),
        ("rl::grpo(m, #{ num_gen", "num_generations: "),
        ("rl::grpo(m, #{ lora: #{ ra", "rank: "),
        ("mx::softmax(weights, #{ ax", "axis: "),
        ("mx::softmax(weights, 0, #{ ax", ""),
        ("lm::qwen3(#{ see", ""),
        ("weights.T.sha", "shape"),
        ("word.conta", "contains"),
        ("word.starts", "starts_with"),
        ("word.to_up", "to_upper"),
        ("dan", "danger"),
        ("// dan", ""),
        ("`${dan", "danger"),
    ];
    for (head, expected) in table {
        assert_eq!(names(&session, head).join(" "), expected, "{head}");
    }
    let softmax = session.signature("mx::softmax(weights").unwrap();
    assert!(softmax.starts_with(", axis: "), "{softmax}");
    assert!(softmax.ends_with("-> Tensor"), "{softmax}");
    assert_eq!(session.signature("danger("), Some(")".into()));
}

#[test]
fn questions_tell_what_a_name_is_and_how_it_is_written() {
    let mut session = session();
    let cells = [
        "let t = tensor([[1.0, 2.0]]);",
        "/// Twice as much.\nfn double(n) {\n    n * 2\n}",
        "import \"std/rewards\" as rewards;",
    ];
    for cell in cells {
        assert!(session.cell(cell).is_ok(), "{cell}");
    }
    let told = |line: &str| session.about(line).unwrap().unwrap_or_else(|error| error);
    has(&told("t?"), &["t: Tensor [1, 2]", "reshape"]);
    has(&told("t.shape?"), &["Tensor.shape -> list"]);
    has(&told("mx::softmax?"), &["mx::softmax(a: Tensor"]);
    has(&told("double?"), &["double(n)", "Twice as much."]);
    has(
        &told("double??"),
        &[
            "cell[2]",
            "/// Twice as much.\nfn double(n) {\n    n * 2\n}",
        ],
    );
    has(
        &told("rewards::exact_match??"),
        &["std/rewards", "fn exact_match("],
    );
    has(&told("softmax??"), &["-> Tensor", "(native"]);
    has(&told("softmx?"), &["softmax"]);
    assert!(session.about("1 + 1").is_none());
}

#[test]
fn completion_is_quick_among_ten_thousand_names() {
    let mut session = session();
    let cell: String = (0..10_000)
        .map(|i| format!("let name_{i} = {i};\n"))
        .collect();
    assert!(session.cell(&cell).is_ok());
    let once = || {
        let start = Instant::now();
        assert_eq!(names(&session, "name_999").len(), 11);
        start.elapsed()
    };
    // The quickest of several: other tests run beside this one.
    let quickest = (0..10).map(|_| once()).min().unwrap();
    assert!(quickest < Duration::from_millis(20), "{quickest:?}");
}
