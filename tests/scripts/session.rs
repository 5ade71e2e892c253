//! What a session promises beyond Rhai: these hold the volatile interfaces that it stands on.

use crate::support::{recorded, session};
use mlx_repl::script::Screen;
use mlx_repl::session::{Kind, Session};

fn shown(session: &mut Session, cell: &str) -> String {
    match session.cell(cell) {
        Ok(outcome) => outcome
            .shown
            .map_or_else(String::new, |s| s.to_text(&Screen::default())),
        Err(failure) => failure.rendered,
    }
}

/// Cells and what each shows, on one live session.
#[test]
fn cells_show_what_a_researcher_expects() {
    let mut session = session();
    let table = [
        ("1 + 1", "2"),
        ("ans * 2", "4"),
        ("let x = 3;", ""),
        ("x", "3"),
        ("x + 1;", ""),
        ("fn double(n) { n * 2 }", ""),
        ("double(x)", "6"),
        // A function defined again is the new one for those who call it.
        ("fn twice(n) { double(double(n)) }", ""),
        ("fn double(n) { n * 10 }", ""),
        ("twice(1)", "100"),
        // Closures work in later cells, and keep what they captured.
        ("let scale = 5; let f = |n| n * scale;", ""),
        ("f.call(2)", "10"),
        ("[1, 2].map(f)", "[5, 10]"),
        // A function's bare name is a value, and constants are visible in functions.
        ("[1, 2].map(double)", "[10, 20]"),
        ("const LIMIT = 7;", ""),
        ("fn limit() { LIMIT }", ""),
        ("limit()", "7"),
        // An integer will do where a float is wanted.
        ("sqrt(4)", "2.0"),
        ("tensor([1, 2, 3]).mean().item()", "2.0"),
        // Comparisons are exact.
        ("0.0 < 1e-17", "true"),
        ("1.0 / 0.0 > 3.0", "true"),
        ("1.0 / 0.0 == 1.0 / 0.0", "true"),
        // Imports last.
        ("import \"std/rewards\" as rewards;", ""),
        ("type_of(rewards::exact_match([]))", "\"array\""),
        ("fn via() { rewards::exact_match([]).len() }", ""),
    ];
    for (cell, expected) in table {
        assert_eq!(shown(&mut session, cell), expected, "{cell}");
    }
}

#[test]
fn a_constant_is_visible_in_functions_of_its_own_script() {
    let mut session = session();
    let script = "const N = 4; fn f() { N * 2 } const M = f() + 1; fn g() { M } g()";
    assert_eq!(session.eval("script", script).unwrap().as_int(), Ok(9));
}

#[test]
fn a_return_ends_the_script_wherever_it_stands() {
    let (mut session, lines) = recorded();
    let script = "const A = 1; if A == 1 { return 5; } const B = 2; print(\"no\"); B";
    assert_eq!(session.eval("script", script).unwrap().as_int(), Ok(5));
    assert!(lines.borrow().is_empty());
}

#[test]
fn tensors_are_values() {
    let mut session = session();
    session
        .cell("let a = tensor([1, 2]); let b = a; b[0] = 9;")
        .unwrap();
    assert!(shown(&mut session, "a").starts_with("[1, 2]"));
    assert!(shown(&mut session, "b").starts_with("[9, 2]"));
}

#[test]
fn what_was_bound_before_an_error_stays() {
    let mut session = session();
    let failure = session.cell("let kept = 1; nonsense()").err().unwrap();
    assert_eq!(failure.kind, Kind::Runtime);
    assert_eq!(shown(&mut session, "kept"), "1");
}

#[test]
fn hidden_variables_are_forgotten() {
    let mut session = session();
    for _ in 0..50 {
        session.cell("let big = tensor([1.0]);").unwrap();
    }
    assert_eq!(session.variables(), ["big"]);
}

#[test]
fn output_goes_to_the_host() {
    let (mut session, lines) = recorded();
    session
        .cell("print(1); print(tensor([1.5])); debug(\"x\")")
        .unwrap();
    let lines = lines.borrow();
    assert_eq!(lines[0], "1");
    assert!(lines[1].starts_with("[1.5]"));
    assert!(lines[2].contains("\"x\""), "{}", lines[2]);
}

/// A reward script that changes while training runs: the new version scores from the next step.
#[test]
fn a_changed_reward_is_taken_up_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("reward.rhai");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write("const POINTS = 1.0; fn reward(outputs) { outputs.map(|o| POINTS + o.index) }");
    let mut session = session();
    let setup = format!(
        "let m = lm::qwen3(#{{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 }}, \
         #{{ seed: 0, tokenizer: lm::char_tokenizer(\"01=\") }}); \
         let t = rl::grpo(m, #{{ num_generations: 2, max_completion_length: 2, run_dir: {:?} }}); \
         let rows = [#{{ prompt: \"1=\" }}]; let path = {:?};",
        dir.path().join("run").display().to_string(),
        path.display().to_string(),
    );
    session.cell(&setup).unwrap();
    let mut step = || shown(&mut session, "t.step(rows, path).reward");
    assert_eq!(step(), "1.5");
    write("fn reward(outputs) { outputs.map(|o| 10 + o.index) }");
    assert_eq!(step(), "10.5");
    // Each version is kept with the run.
    let kept = std::fs::read_dir(dir.path().join("run/scripts"))
        .unwrap()
        .count();
    assert_eq!(kept, 2);
}
