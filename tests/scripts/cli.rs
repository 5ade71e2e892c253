//! The program from outside: output, exit codes, errors.

use crate::support::root;
use std::io::Write;
use std::process::{Command, Output, Stdio};

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mlx-repl"));
    command.args(args).current_dir(root());
    command
}

fn run(args: &[&str]) -> Output {
    program(args).stdin(Stdio::null()).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_expression_is_shown() {
    let output = run(&["-e", "6 * 7"]);
    assert_eq!(
        (out(&output).as_str(), output.status.code()),
        ("42\n", Some(0))
    );
    let output = run(&["-e", "let x = 1;"]);
    assert_eq!(out(&output), "");
}

#[test]
fn exit_codes_are_those_of_the_contract() {
    assert_eq!(run(&["-e", "nonsense()"]).status.code(), Some(1));
    assert_eq!(run(&["--nonsense"]).status.code(), Some(2));
    assert_eq!(run(&["run"]).status.code(), Some(2));
    let missing = run(&["run", "no/such.rhai"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(err(&missing).contains("no/such.rhai"));
    assert_eq!(run(&["-e", "1", "doctor"]).status.code(), Some(2));
    let before = run(&["--seed", "1", "--device", "cpu", "check", "no/such.rhai"]);
    assert_eq!(before.status.code(), Some(1), "{}", err(&before));
    let device = run(&["--device", "tpu", "-e", "1"]);
    assert_eq!(device.status.code(), Some(1));
    assert!(err(&device).contains("cpu or gpu"), "{}", err(&device));
}

#[test]
fn a_script_gets_its_arguments_and_standard_input_is_a_script() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.rhai");
    std::fs::write(&path, "print(args);").unwrap();
    let output = run(&["run", path.to_str().unwrap(), "--", "a", "b c"]);
    assert_eq!(out(&output), "[\"a\", \"b c\"]\n");
    let mut child = program(&[])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"let x = 20;\nprint(x + 1);\n").unwrap();
    drop(stdin);
    assert_eq!(out(&child.wait_with_output().unwrap()), "21\n");
}

#[test]
fn a_script_says_its_exit_code() {
    let output = run(&["-e", "print(1); exit(4); print(2)"]);
    assert_eq!(
        (out(&output).as_str(), output.status.code()),
        ("1\n", Some(4))
    );
    assert_eq!(err(&output), "");
    assert_eq!(run(&["-e", "exit()"]).status.code(), Some(0));
    // Nothing catches it.
    let output = run(&[
        "-e",
        "try { [1].map(|x| exit(5)) } catch { print(3) } print(4)",
    ]);
    assert_eq!((out(&output).as_str(), output.status.code()), ("", Some(5)));
    let output = run(&["-e", "exit(256)"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("from 0 to 255"), "{}", err(&output));
}

#[test]
fn a_script_needs_no_command() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.rhai");
    std::fs::write(&path, "print(args.len());").unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(out(&run(&[path])), "0\n");
    assert_eq!(out(&run(&[path, "--", "a"])), "1\n");
    let mut child = program(&["run", "-", "--", "a", "b"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"print(args.len());").unwrap();
    drop(stdin);
    assert_eq!(out(&child.wait_with_output().unwrap()), "2\n");
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let mut child = program(&["-e", "print(1)"]);
    let output = child.stdout(full.unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("No space left"), "{}", err(&output));
}

#[test]
fn doc_tells_of_a_name_or_what_there_is() {
    let softmax = run(&["doc", "softmax"]);
    assert_eq!(softmax.status.code(), Some(0));
    assert!(out(&softmax).contains("mx::softmax("), "{}", out(&softmax));
    assert!(out(&run(&["doc"])).contains("optim::"));
    let unknown = run(&["doc", "softmx"]);
    assert_eq!(
        (unknown.status.code(), out(&unknown).as_str()),
        (Some(1), "")
    );
    assert!(err(&unknown).contains("`softmax`"), "{}", err(&unknown));
}

#[test]
fn check_finds_errors_without_running() {
    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (dir.path().join("good.rhai"), dir.path().join("bad.rhai"));
    std::fs::write(&good, "print(\"ran\"); no_such_function()").unwrap();
    std::fs::write(&bad, "let x = ;\n").unwrap();
    let output = run(&["check", good.to_str().unwrap()]);
    assert_eq!((out(&output).as_str(), output.status.code()), ("", Some(0)));
    let output = run(&["check", good.to_str().unwrap(), bad.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("bad.rhai:1:9"), "{}", err(&output));
}

#[test]
fn the_doctor_names_what_computes() {
    let output = run(&["doctor"]);
    for word in ["MLX       0.32.2", "device", "BLAS", "GFLOP/s", "memory"] {
        assert!(out(&output).contains(word), "{word}: {}", out(&output));
    }
}

#[test]
fn the_same_seed_prints_the_same() {
    let print = |seed: &str| out(&run(&["--seed", seed, "-e", "mx::random::normal([3])"]));
    assert_eq!(print("3"), print("3"));
    assert_ne!(print("3"), print("4"));
}

#[cfg(unix)]
#[test]
fn control_c_ends_a_script_with_130() {
    let child = program(&["-e", "loop {}"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let pid = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(err(&output).contains("interrupted"), "{}", err(&output));
}

/// A reward that fails ends the run with an error, and the folder of the run is kept.
#[test]
fn a_failing_reward_keeps_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("s.rhai");
    let run_dir = dir.path().join("run");
    let text = format!(
        r#"
        let m = lm::qwen3(#{{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 }},
            #{{ seed: 0, tokenizer: lm::char_tokenizer("01=") }});
        let count = 0;
        let t = rl::grpo(m, #{{ prompts_per_step: 1, num_generations: 2, max_completion_length: 2,
            max_steps: 9, run_dir: {:?} }});
        t.train(data::rows([#{{ prompt: "1=" }}]), |outputs| {{
            count += 1;
            if count == 3 {{ throw "the reward is out of order"; }}
            outputs.map(|o| o.index)
        }});
        "#,
        run_dir.display().to_string()
    );
    std::fs::write(&script, text).unwrap();
    let output = run(&["run", script.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let message = err(&output);
    assert!(message.contains("the reward is out of order"), "{message}");
    assert!(message.contains(":9:"), "{message}");
    let table = std::fs::read_to_string(run_dir.join("metrics.csv")).unwrap();
    assert_eq!(table.lines().count(), 3);
    assert!(
        run_dir
            .join("checkpoints/step-000002/model.safetensors")
            .is_file()
    );
}

#[test]
fn scored_outputs_can_be_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        r#"let m = lm::qwen3(#{{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 }},
            #{{ seed: 0, tokenizer: lm::char_tokenizer("01=") }});
        let t = rl::grpo(m, #{{ num_generations: 2, max_completion_length: 2, run_dir: {:?} }});
        t.step([#{{ prompt: "1=" }}], |outputs| outputs.map(|o| #{{ place: o.index, half: 0.5 }}));"#,
        dir.path().display().to_string()
    );
    let asked = program(&["-e", &script])
        .env("DEBUG_REWARDS", "1")
        .output()
        .unwrap();
    let said = err(&asked);
    for part in [
        "output 1 of prompt 0",
        "prompt:     1=",
        "half 0.5, place 1",
        "total:      1.5",
    ] {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
    assert!(!err(&run(&["-e", &script])).contains("total:"));
}

/// The main job, and the other scripts: what README promises of them.
#[test]
fn the_scripts_do_what_they_promise() {
    let dir = tempfile::tempdir().unwrap();
    let script = |name: &str| {
        let path = root().join("scripts").join(name).display().to_string();
        let mut command = program(&["run", &path]);
        let output = command.current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "{name}: {}", err(&output));
        out(&output)
    };
    let text = script("quickstart.rhai");
    let line = text.lines().find(|line| line.contains("before,")).unwrap();
    let shares: Vec<f64> = line
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    let [before, after] = shares[..] else {
        panic!("{line}")
    };
    assert!((0.3..0.7).contains(&before) && after >= 0.9, "{line}");
    assert!(dir.path().join("runs/quickstart/reward.svg").is_file());
    // The saved model writes what the trained one wrote.
    assert!(script("generate.rhai").contains("greedy:           4321"));
    assert!(script("tensor_tour.rhai").contains("mean squared error"));
}

/// Lines of a running program, waited for.
struct Lines(std::sync::mpsc::Receiver<String>);

impl Lines {
    fn of(stream: impl std::io::Read + Send + 'static) -> Self {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in
                std::io::BufRead::lines(std::io::BufReader::new(stream)).map_while(Result::ok)
            {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self(receive)
    }

    fn wait_for(&self, wanted: &str) {
        let deadline = std::time::Duration::from_secs(60);
        loop {
            let line = self.0.recv_timeout(deadline);
            if line.unwrap_or_else(|_| panic!("`{wanted}` did not come")) == wanted {
                return;
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn a_watched_script_runs_again_when_it_or_its_import_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("part.rhai"), "fn number() { 1 }").unwrap();
    let script = "import \"part\" as part;\nprint(`number ${part::number()}`);";
    std::fs::write(path("whole.rhai"), script).unwrap();
    let mut child = program(&["run", "--watch", path("whole.rhai").to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (shown, said) = (
        Lines::of(child.stdout.take().unwrap()),
        Lines::of(child.stderr.take().unwrap()),
    );
    let waiting = format!(
        "({} is watched; Ctrl-C leaves)",
        path("whole.rhai").display()
    );
    shown.wait_for("number 1");
    said.wait_for(&waiting);
    std::fs::write(path("part.rhai"), "fn number() { 22 }").unwrap();
    shown.wait_for("number 22");
    said.wait_for(&waiting);
    // A mistake is shown, and the next version runs.
    std::fs::write(path("whole.rhai"), "let x = ;").unwrap();
    said.wait_for(&waiting);
    std::fs::write(path("whole.rhai"), "print(\"mended\");").unwrap();
    shown.wait_for("mended");
    said.wait_for(&waiting);
    let pid = child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn shells_and_man_know_the_arguments() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(out(&output).contains("doctor"), "{shell}");
    }
    assert_eq!(run(&["completions", "tcsh"]).status.code(), Some(2));
    let manual = out(&run(&["man"]));
    assert!(
        manual.contains(".TH mlx-repl") && manual.contains("MLX-REPL RUN"),
        "{manual}"
    );
}
