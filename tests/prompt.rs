//! The prompt as somebody at a terminal sees it.
#![cfg(unix)]

#[path = "prompt/terminal.rs"]
mod terminal;

use std::time::{Duration, Instant};
use terminal::{NARROW, Terminal};

const UP: &str = "\x1b[A";

fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn names_are_completed_and_signatures_hinted() {
    let home = home();
    let prompt = Terminal::start(home.path(), &[]);
    prompt.line("let settings = #{ learning_rate: 3 };");
    prompt.keys("settings.learn\t");
    prompt.shows("> settings.learning_rate");
    prompt.keys(" + 4\r");
    prompt.shows_line("7");
    prompt.ready();
    std::fs::write(home.path().join("data.csv"), "a\n1\n").unwrap();
    prompt.keys("\"dat\t");
    prompt.shows("> \"data.csv");
    prompt.keys("\".len()\r");
    prompt.shows_line("8");
    prompt.ready();
    prompt.line("fn halve(number) { number / 2 }");
    prompt.keys("halve(");
    prompt.shows("> halve(number)");
    // What is shown there is a hint only.
    prompt.keys("8)\r");
    prompt.shows_line("4");
}

#[test]
fn an_input_has_as_many_lines_as_it_needs_and_comes_back_as_one() {
    let home = home();
    let prompt = Terminal::start(home.path(), &[]);
    prompt.keys("fn add(a, b) {\r");
    prompt.keys("a + b\r");
    prompt.line("}");
    prompt.line("add(2, 3)");
    prompt.shows_line("5");
    // A pasted block is one input, whatever its lines are.
    prompt.keys("\x1b[200~let p = 40;\nlet q = 4;\np + q\x1b[201~");
    prompt.shows_line("p + q");
    prompt.keys("\r");
    prompt.shows_line("44");
    prompt.ready();
    // Alt-Enter makes a line of what was whole; an empty line sends what is not.
    prompt.keys("1 +\x1b\r6\r");
    prompt.shows_line("7");
    prompt.ready();
    prompt.keys("[1,\r\r");
    prompt.shows("error");
    prompt.ready();
    assert!(prompt.leave());

    let later = Terminal::start(home.path(), &[]);
    // By what was typed: straight to the block, all of it.
    later.keys("let p");
    later.shows("> let p = 40;");
    later.keys(UP);
    later.shows_line("p + q");
    later.keys("\r");
    later.shows_line("44");
    later.ready();
    later.keys("\x12add(a");
    later.shows("fn add(a, b) {");
    later.keys("\r");
    later.ready();
    later.line("add(20, 22)");
    later.shows_line("42");
}

#[test]
fn two_sessions_keep_each_others_history() {
    let home = home();
    let (one, two) = (
        Terminal::start(home.path(), &[]),
        Terminal::start(home.path(), &[]),
    );
    one.line("100 + 1");
    two.line("200 + 2");
    one.line("100 + 3");
    assert!(one.leave() && two.leave());
    let history = std::fs::read_to_string(home.path().join("mlx-repl/history")).unwrap();
    let lines: Vec<&str> = history.lines().skip(1).collect();
    assert_eq!(lines, ["100 + 1", "200 + 2", "100 + 3"]);
}

#[test]
fn an_interrupt_comes_back_to_the_prompt_with_every_value() {
    let home = home();
    let prompt = Terminal::start(home.path(), &[]);
    prompt.keys("let kept = 41; print(\"going\"); loop {}\r");
    prompt.shows_line("going");
    let start = Instant::now();
    prompt.keys("\x03");
    prompt.ready();
    let took = start.elapsed();
    println!("back at the prompt after {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    prompt.line("kept + 1");
    prompt.shows_line("42");
    // At the prompt it drops the line.
    prompt.keys("1 + 1");
    prompt.shows("> 1 + 1");
    prompt.keys("\x03");
    prompt.ready();
    assert!(prompt.leave());
}

/// A small model and a trainer that goes on for a long time.
const TRAINER: [&str; 3] = [
    "let m = lm::qwen3(#{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 }, #{ seed: 1, tokenizer: lm::char_tokenizer(\"0123456789=\") });",
    "let trainer = rl::grpo(m, #{ prompts_per_step: 2, max_steps: 100000, max_completion_length: 4, seed: 0, run_dir: \"run\" });",
    "let data = data::rows([#{ prompt: \"1=\" }, #{ prompt: \"2=\" }]);",
];

#[test]
fn training_and_generation_stop_where_they_can() {
    let home = home();
    let prompt = Terminal::of_width(home.path(), NARROW, &[], &["--no-init"]);
    for line in TRAINER {
        prompt.keys(&format!("{line}\r"));
        prompt.ready();
    }
    prompt.keys("let report = trainer.train(data, |o| o.map(|x| x.index % 2));\r");
    prompt.shows("grpo");
    std::thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    prompt.keys("\x03");
    prompt.ready();
    println!(
        "back at the prompt from training after {:?}",
        start.elapsed()
    );
    assert!(start.elapsed() < Duration::from_secs(5));
    // One line of the screen was enough for the progress.
    let is_progress = |line: &&String| line.starts_with("grpo ");
    let lines = prompt.lines();
    assert_eq!(lines.iter().filter(is_progress).count(), 1, "{lines:#?}");
    prompt.line("report.interrupted && report.steps > 0 && report.steps == trainer.metrics.len()");
    prompt.shows_line("true");

    prompt.keys("print(\"going\"); loop { m.generate(\"1=\", #{ max_tokens: 5000, stop_token_ids: [] }) }\r");
    prompt.shows_line("going");
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    prompt.keys("\x03");
    prompt.ready();
    println!(
        "back at the prompt from generating after {:?}",
        start.elapsed()
    );
    assert!(start.elapsed() < Duration::from_secs(5));
    prompt.line("trainer.train(data, |o| o.map(|x| 1), 1).steps");
}

#[test]
fn what_is_typed_while_a_cell_runs_comes_after_it() {
    let home = home();
    let prompt = Terminal::start(home.path(), &[]);
    prompt.keys("print(\"going\"); sleep(0.5)\r");
    prompt.shows_line("going");
    prompt.keys("20 + 2\r\"abc\".len() + 30\rlet z = 5");
    prompt.shows_line("22");
    prompt.shows_line("33");
    prompt.shows("> let z = 5");
    prompt.keys("; z + 50\r");
    prompt.shows_line("55");
    prompt.ready();
    // Several lines that are pasted without the terminal's marks.
    prompt.keys("fn five() {\r5\r}\rfive() * 20\r");
    prompt.shows_line("100");
}

#[test]
fn the_prompt_is_left_by_exit_and_by_a_signal() {
    let home = home();
    let prompt = Terminal::start(home.path(), &[]);
    prompt.keys("print(1); exit(); print(2)\r");
    assert_eq!(prompt.ends(), Some(0));
    let prompt = Terminal::start(home.path(), &[]);
    prompt.line("let x = 1;");
    prompt.signal("TERM");
    assert_eq!(prompt.ends(), Some(143));
}

#[test]
fn a_wait_is_interrupted() {
    let home = home();
    let prompt = Terminal::start(home.path(), &[]);
    prompt.keys("print(\"going\"); sleep(60)\r");
    prompt.shows_line("going");
    std::thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    prompt.keys("\x03");
    prompt.ready();
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_line_that_is_given_up_leaves_no_hint() {
    let home = home();
    let prompt = Terminal::start(home.path(), &[]);
    prompt.line("fn halve(number) { number / 2 }");
    prompt.keys("halve(");
    prompt.shows("> halve(number)");
    prompt.keys("\x03");
    prompt.ready();
    let left: Vec<String> = prompt.lines();
    assert!(left.contains(&"> halve(".to_string()), "{left:#?}");
}

#[test]
fn a_script_may_leave_its_values_at_the_prompt() {
    let home = home();
    let file = home.path().join("script.rhai");
    std::fs::write(
        &file,
        "let kept = 41;\nfn f(x) { x.missing }\nf(#{});\nlet later = 1;",
    )
    .unwrap();
    let script = file.display().to_string();
    let prompt = Terminal::of_width(home.path(), NARROW, &[], &["run", "-i", &script]);
    prompt.shows("error");
    prompt.line("kept + 1");
    prompt.shows_line("42");
    prompt.line(":tb");
    prompt.shows("script.rhai:2");
    prompt.shows("script.rhai:3");
}

#[test]
fn an_editor_takes_the_line_and_gives_it_back_to_be_looked_at() {
    let home = home();
    let editor = home.path().join("editor.sh");
    std::fs::write(&editor, "echo \"$(cat \"$1\") + 40\" > \"$1\"\n").unwrap();
    let editor = format!("sh {}", editor.display());
    let prompt = Terminal::start(home.path(), &[("EDITOR", &editor)]);
    prompt.keys("1 + 1\x18\x05");
    prompt.shows("> 1 + 1 + 40");
    prompt.keys("\r");
    prompt.shows_line("42");
    prompt.ready();
    prompt.keys(":edit\r");
    prompt.shows("> 1 + 1 + 40 + 40");
    prompt.keys("\r");
    prompt.shows_line("82");
}

#[test]
fn questions_are_answered() {
    let home = home();
    let prompt = Terminal::start(home.path(), &[]);
    prompt.line("let x = [1, 2, 3];");
    prompt.line("x?");
    prompt.shows("x: list of 3");
    prompt.line("fn twice(n) { n * 2 }");
    prompt.keys("twice??\r");
    prompt.shows_line("fn twice(n) { n * 2 }");
}

#[test]
fn colours_are_there_unless_they_are_not_wanted() {
    let home = home();
    // An escape that sets a style ends in an `m`.
    let is_style = |escape: &&str| {
        let end = escape.find(|c: char| !c.is_ascii_digit() && c != ';');
        end.is_some_and(|end| escape[end..].starts_with('m'))
    };
    let styles = |raw: &str| raw.split("\x1b[").skip(1).filter(is_style).count();
    let coloured = Terminal::start(home.path(), &[]);
    coloured.line("let x = 1;");
    assert!(coloured.raw().contains("\x1b[35mlet"));
    assert!(styles(&coloured.raw()) > 0);
    let plain = Terminal::start(home.path(), &[("NO_COLOR", "1")]);
    plain.line("let x = 1;");
    plain.keys("tensor(");
    plain.shows("> tensor(");
    assert_eq!(styles(&plain.raw()), 0, "{:?}", plain.raw());
}
