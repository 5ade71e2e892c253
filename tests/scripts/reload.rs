//! Rewards that change while training runs: taken up between steps, or not at all.

use crate::support::root;
use mlx_repl::script::Host;
use mlx_repl::session::Session;
use mlx_repl::train::{Observer, Progress};
use rhai::{Array as List, Dynamic};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// Keeps what is said, and does something after each step.
struct Watcher {
    notes: Rc<RefCell<Vec<String>>>,
    after: Rc<dyn Fn(u64)>,
}

impl Observer for Watcher {
    fn step(&mut self, progress: &Progress) {
        (self.after)(progress.step);
    }

    fn note(&mut self, text: &str) {
        self.notes.borrow_mut().push(text.to_string());
    }

    fn end(&mut self) {}
}

/// A session with a small model, the notes of its runs, and a folder.
struct Run {
    session: Session,
    notes: Rc<RefCell<Vec<String>>>,
    folder: tempfile::TempDir,
}

impl Run {
    /// `after` is called with the folder and the number of each step that was taken.
    fn new(after: impl Fn(&Path, u64) + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let notes: Rc<RefCell<Vec<String>>> = Rc::default();
        let mut host = Host::quiet(Rc::new(|_| ()));
        let (path, kept) = (folder.path().to_path_buf(), notes.clone());
        let after: Rc<dyn Fn(u64)> = Rc::new(move |step| after(&path, step));
        host.observer = Rc::new(move || {
            Box::new(Watcher {
                notes: kept.clone(),
                after: after.clone(),
            })
        });
        let mut run = Self {
            session: Session::new(host),
            notes,
            folder,
        };
        let dir = run.folder.path().display();
        run.eval(&format!(
            "let config = #{{ hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2 }};
             let model = lm::qwen3(config, #{{ seed: 1, tokenizer: lm::char_tokenizer(\"01=\") }});
             let dir = \"{dir}\";
             let path = dir + \"/judge.rhai\";
             let settings = #{{ prompts_per_step: 2, num_generations: 2, max_completion_length: 3,
                 learning_rate: 1e-3, run_dir: dir + \"/run\" }};
             let data = data::rows((0..8).map(|i| #{{ prompt: `${{i % 2}}=`, number: i }}));"
        ));
        run
    }

    fn write(&self, name: &str, text: &str) {
        write(self.folder.path(), name, text);
    }

    #[track_caller]
    fn eval(&mut self, script: &str) {
        drop(self.value(script));
    }

    #[track_caller]
    fn value(&mut self, script: &str) -> Dynamic {
        match self.session.eval("script", script) {
            Ok(value) => value,
            Err(failure) => panic!("{}", failure.rendered),
        }
    }

    #[track_caller]
    fn error(&mut self, script: &str) -> String {
        self.session
            .eval("script", script)
            .expect_err("an error")
            .rendered
    }

    #[track_caller]
    fn numbers(&mut self, script: &str) -> Vec<f64> {
        let list = self.value(script).cast::<List>();
        list.into_iter().map(|n| n.as_float().unwrap()).collect()
    }

    fn said(&self, part: &str) -> usize {
        self.notes
            .borrow()
            .iter()
            .filter(|note| note.contains(part))
            .count()
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

/// A reward that is worth the same for every output.
fn constant(value: f64) -> String {
    format!("fn reward(outputs) {{ outputs.map(|o| {value:?}) }}")
}

#[test]
fn a_changed_reward_scores_from_the_next_step_on() {
    let mut run = Run::new(|folder, step| {
        if step == 2 {
            write(folder, "judge.rhai", &constant(2.0));
        }
    });
    run.write("judge.rhai", &constant(1.0));
    run.eval("let t = rl::grpo(model, settings); t.train(data, path);");
    assert_eq!(
        run.numbers("t.metrics.map(|m| m.reward)"),
        [1.0, 1.0, 2.0, 2.0]
    );
    assert_eq!(
        run.numbers("t.metrics.map(|m| m[\"version/judge\"])"),
        [1.0, 1.0, 2.0, 2.0]
    );
    assert_eq!(run.said("version 2"), 1, "{:?}", run.notes);
    assert_eq!(
        run.said("the mean of the last batch would have been 2.0000"),
        1
    );
    // Both versions are kept, and each completion says which one scored it.
    let folder = run.folder.path().join("run");
    assert_eq!(
        std::fs::read_dir(folder.join("scripts")).unwrap().count(),
        2
    );
    let log = std::fs::read_to_string(folder.join("completions.jsonl")).unwrap();
    let hashes: Vec<String> = log
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["reward_scripts"]["judge"]["hash"]
                .as_str()
                .unwrap()
                .to_string()
        })
        .collect();
    assert_eq!(hashes.len(), 16);
    assert!(
        hashes[..8].iter().all(|h| *h == hashes[0]) && hashes[8..].iter().all(|h| *h == hashes[8])
    );
    for hash in [&hashes[0], &hashes[8]] {
        assert!(folder.join(format!("scripts/{hash}.rhai")).is_file());
    }
    // Steps one by one take it up as well.
    run.write("judge.rhai", &constant(3.5));
    assert_eq!(run.numbers("[t.step([data[0]], path).reward]"), [3.5]);
}

#[test]
fn what_cannot_be_used_changes_nothing_and_is_said_once() {
    for (broken, reason) in [
        ("fn reward(outputs) { outputs.map(|o| 2.0) ", "judge.rhai"),
        ("fn rewards(outputs) { [] }", "fn reward(outputs)"),
        ("fn reward(outputs) { [] }", "0 scores for 4 outputs"),
        ("fn reward(outputs) { outputs.map(|o| 0.0 / 0.0) }", "NaN"),
        ("fn reward(outputs) { outputs.map(|o| \"good\") }", "good"),
        ("fn reward(outputs) { throw \"not today\" }", "not today"),
        (
            "let x = 1 / 0; fn reward(outputs) { outputs.map(|o| 2.0) }",
            "zero",
        ),
    ] {
        let mut run = Run::new(move |folder, step| {
            if step == 1 {
                write(folder, "judge.rhai", broken);
            }
        });
        run.write("judge.rhai", &constant(1.0));
        run.eval("let t = rl::grpo(model, settings); t.train(data, path);");
        assert_eq!(
            run.numbers("t.metrics.map(|m| m.reward)"),
            [1.0; 4],
            "{broken}"
        );
        assert_eq!(
            run.said("version 1 goes on scoring"),
            1,
            "{broken}: {:?}",
            run.notes
        );
        assert_eq!(run.said(reason), 1, "{broken}: {:?}", run.notes);
    }
}

#[test]
fn imports_count_and_functions_see_them() {
    let mut run = Run::new(|folder, step| {
        if step == 2 {
            write(
                folder,
                "parts.rhai",
                "const WORTH = 2.0 * 2.0; fn worth() { WORTH }",
            );
        }
    });
    run.write("parts.rhai", "const WORTH = 1.0; fn worth() { WORTH }");
    run.write(
        "judge.rhai",
        "import \"parts\" as parts;
         const EXTRA = 0.25 + 0.25;
         fn more(o) { parts::worth() + EXTRA }
         fn reward(outputs) { outputs.map(|o| more(o) + parts::WORTH) }",
    );
    run.eval("let t = rl::grpo(model, settings); t.train(data, path);");
    assert_eq!(
        run.numbers("t.metrics.map(|m| m.reward)"),
        [2.5, 2.5, 8.5, 8.5]
    );
    assert_eq!(
        run.said("judge.rhai has changed: version 2"),
        1,
        "{:?}",
        run.notes
    );
    let kept = std::fs::read_dir(run.folder.path().join("run/scripts")).unwrap();
    assert_eq!(kept.count(), 4, "both versions of both files");
}

#[test]
fn a_file_that_is_being_written_is_looked_at_again() {
    let mut run = Run::new(|folder, step| match step {
        1 => write(folder, "judge.rhai", ""),
        2 => std::fs::remove_file(folder.join("judge.rhai")).unwrap(),
        3 => write(folder, "judge.rhai", &constant(2.0)),
        _ => {}
    });
    run.write("judge.rhai", &constant(1.0));
    run.eval("let t = rl::grpo(model, settings); t.train(data, path);");
    assert_eq!(
        run.numbers("t.metrics.map(|m| m.reward)"),
        [1.0, 1.0, 1.0, 2.0]
    );
    assert_eq!(
        run.notes
            .borrow()
            .iter()
            .filter(|n| n.contains("cannot"))
            .count(),
        0
    );
}

/// Fails on some rows, which the batch that it was tried on did not have.
const FAILS_LATER: &str = "
    fn reward(outputs) {
        outputs.map(|o| if o.example.number >= 100 { throw \"a number too large\" } else { 2.0 })
    }";

#[test]
fn a_version_that_fails_later_is_rolled_back() {
    let mut run = Run::new(|folder, step| {
        if step == 1 {
            write(folder, "judge.rhai", FAILS_LATER);
        }
    });
    run.write("judge.rhai", &constant(1.0));
    // The rows of the third step are large: the order of the rows is the seed's.
    run.eval("let t = rl::grpo(model, settings);");
    run.eval(
        "let order = [];
         let probe = rl::grpo(model, settings + #{ run_dir: dir + \"/probe\" });
         probe.train(data, |outputs| outputs.map(|o| { order.push(o.example.number); 0.0 }));",
    );
    run.write("judge.rhai", &constant(1.0));
    run.eval(
        "let third = [order[8], order[10]];
         let rows = data.map(|row| { if third.contains(row.number) { row.number = 100; } row });
         t.train(rows, path);",
    );
    assert_eq!(
        run.numbers("t.metrics.map(|m| m.reward)"),
        [1.0, 2.0, 1.0, 1.0]
    );
    assert_eq!(
        run.said("version 2 fails, version 1 scores again"),
        1,
        "{:?}",
        run.notes
    );
    assert_eq!(run.said("a number too large"), 1);
    // A new run on the file as it is begins with its version, and ends with its error.
    let error = run.error("rl::grpo(model, settings).train(rows, path)");
    assert!(error.contains("a number too large"), "{error}");
}

#[test]
fn failures_are_worth_what_the_settings_say() {
    for (policy, rewards, unscored) in [("zero", [0.5, 0.5], 0.0), ("skip", [0.5, 0.5], 1.0)] {
        let mut run = Run::new(|_, _| ());
        run.write("judge.rhai", "fn reward(outputs) { throw \"no\" }");
        run.eval(&format!(
            "let t = rl::grpo(model, settings + #{{ on_error: \"{policy}\", max_steps: 2 }});
             t.train(data, [path, |outputs| outputs.map(|o| 0.5)]);"
        ));
        assert_eq!(run.numbers("t.metrics.map(|m| m.reward)"), rewards);
        assert_eq!(run.said("reward `judge`"), 2, "{:?}", run.notes);
        let is_nan = run.numbers("t.metrics.map(|m| m.get(\"rewards/judge/mean\") ?? 0.0 / 0.0)");
        assert_eq!(is_nan[0].is_nan(), unscored == 1.0);
    }
    let mut run = Run::new(|_, _| ());
    run.write("judge.rhai", "fn reward(outputs) { throw \"no\" }");
    let error = run.error("rl::grpo(model, settings + #{ on_error: \"abort\" }).train(data, path)");
    assert!(
        error.contains("no") && error.contains("judge.rhai"),
        "{error}"
    );
    let error = run.error("rl::grpo(model, #{ on_error: \"retry\" })");
    assert!(error.contains("rollback, abort, zero or skip"), "{error}");
}

#[test]
fn hooks_change_a_run_that_goes_on() {
    let mut run = Run::new(|_, _| ());
    let judge = constant(1.0)
        + "\nfn hooks(step, metrics) {
            if step == 1 { return #{ learning_rate: 5e-4, temperature: 0.5 }; }
            if step == 2 { return #{ temprature: 0.7 }; }
            if step == 3 && metrics.reward == 1.0 { return #{ stop: true }; }
        }";
    run.write("judge.rhai", &judge);
    run.eval("let t = rl::grpo(model, settings); let report = t.train(data, path);");
    assert_eq!(
        run.numbers("t.metrics.map(|m| m.learning_rate)"),
        [1e-3, 5e-4, 5e-4]
    );
    assert_eq!(
        run.said("learning_rate 0.001 to 0.0005, temperature 1.0 to 0.5"),
        1
    );
    assert_eq!(
        run.said("did you mean `temperature`?"),
        1,
        "{:?}",
        run.notes
    );
    assert!(
        run.value("report.stopped && !report.interrupted")
            .as_bool()
            .unwrap()
    );
    // Another process goes on with what was changed.
    run.eval(
        "let again = rl::grpo(model, settings);
         again.resume(dir + \"/run\");
         again.train(data, |outputs| outputs.map(|o| 0.0));",
    );
    assert_eq!(
        run.numbers("again.metrics.map(|m| m.learning_rate)"),
        [1e-3, 5e-4, 5e-4, 5e-4]
    );
    // Without a change the script of a checkpoint is the one that goes on.
    assert_eq!(run.said("is not the script of the checkpoint"), 0);
}

#[test]
fn hooks_that_fail_change_nothing() {
    for (body, reason) in [
        ("throw \"no hooks\"", "no hooks"),
        ("7", "a map"),
        ("#{ temperature: -1 }", "temperature"),
        ("#{ temperature: 0.5, top_k: \"many\" }", "top_k"),
        ("#{ stop: 1 }", "true or false"),
    ] {
        let mut run = Run::new(|_, _| ());
        run.write(
            "judge.rhai",
            &format!("{}\nfn hooks(step, metrics) {{ {body} }}", constant(1.0)),
        );
        run.eval("let t = rl::grpo(model, settings); let report = t.train(data, path);");
        assert!(run.value("report.steps == 4").as_bool().unwrap());
        assert_eq!(run.said("change nothing"), 1, "{body}: {:?}", run.notes);
        assert_eq!(run.said(reason), 1, "{body}: {:?}", run.notes);
    }
}

#[test]
fn a_curriculum_is_where_it_was_after_a_resume() {
    let mut run = Run::new(|_, _| ());
    run.eval(
        "const STAGES = [[#{ prompt: \"0=\" }, #{ prompt: \"1=\" }], [#{ prompt: \"00=\" }], [#{ prompt: \"11=\" }]];
         fn stages() { data::curriculum(STAGES, #{ advance_at: 1.0, window: 2, mix: 0.3 }) }
         let settings = settings + #{ max_steps: 8, save_steps: 1, save_total_limit: 100 };
         let reward = |outputs| outputs.map(|o| if o.prompt == \"0=\" || o.prompt == \"1=\" { 1.0 } else { 0.5 + o.index % 2 });
         let whole = rl::grpo(model, settings + #{ seed: 3, run_dir: dir + \"/whole\" });
         whole.train(stages(), reward);
         let stages_of = |t| t.metrics.map(|m| m[\"curriculum/stage\"]);",
    );
    let whole = run.numbers("stages_of.call(whole)");
    assert!(
        whole.windows(2).all(|w| w[0] <= w[1]) && *whole.last().unwrap() == 2.0,
        "{whole:?}"
    );
    for step in [1, 3, 5] {
        run.eval(&format!(
            "let model = lm::qwen3(config, #{{ seed: 1, tokenizer: lm::char_tokenizer(\"01=\") }});
             let part = rl::grpo(model, settings + #{{ seed: 3, run_dir: dir + \"/part\" }});
             part.resume(dir + \"/whole/checkpoints/step-00000{step}\");
             part.train(stages(), reward);"
        ));
        assert_eq!(run.numbers("stages_of.call(part)"), whole);
        let same = "part.metrics.map(|m| m.loss) == whole.metrics.map(|m| m.loss)";
        assert!(run.value(same).as_bool().unwrap(), "from step {step}");
    }
    let error = run.error(
        "let part = rl::grpo(model, settings + #{ seed: 3, run_dir: dir + \"/part\" });
         part.resume(dir + \"/whole\");
         part.train(data::curriculum([data]), reward);",
    );
    assert!(error.contains("dataset"), "{error}");
}

/// The folders that the shipped tasks need are those of the repository.
#[test]
fn shipped_tasks_hold_what_they_promise() {
    let mut run = Run::new(|_, _| ());
    let folder = root().join("datasets");
    run.eval(&format!("let folder = \"{}\";", folder.display()));
    for task in ["arithmetic", "reverse_text", "countdown"] {
        run.eval(&format!(
            "let path = folder + \"/{task}.rhai\";
             let train = data::task(path, #{{ seed: 3 }});
             let test = data::task(path, #{{ split: \"test\", seed: 3 }});
             assert(train.len() >= 500 && test.len() >= 50);
             assert_eq(data::task(path, #{{ seed: 3 }}).to_array(), train.to_array());
             let held_out = #{{}};
             for row in test.to_array() {{ held_out[row.prompt] = true; }}
             for row in train.to_array() {{ assert(!held_out.contains(row.prompt), row.prompt); }}
             assert(data::stages(path).len() > 1);"
        ));
    }
}

/// What a refused version imports is refused with it.
#[test]
fn a_refused_version_leaves_no_trace() {
    let mut run = Run::new(|folder, step| {
        if step == 1 {
            let helper = "const K = 100.0; fn worth() { if K > 1.0 { throw \"not so\" } K }";
            write(folder, "helper.rhai", helper);
        }
        if step == 3 {
            write(folder, "helper.rhai", "const K = 3.0; fn worth() { K }");
        }
    });
    run.write("helper.rhai", "const K = 1.0; fn worth() { K }");
    run.write(
        "judge.rhai",
        "import \"helper\" as helper; fn reward(outputs) { outputs.map(|o| helper::worth()) }",
    );
    run.eval("let t = rl::grpo(model, settings); t.train(data, path);");
    let rewards = run.numbers("t.metrics.map(|m| m.reward)");
    assert_eq!(rewards, [1.0, 1.0, 1.0, 3.0], "{:?}", run.notes);
}

#[test]
fn closures_of_the_same_text_are_those_of_their_script() {
    let mut run = Run::new(|_, _| ());
    for (name, worth) in [("one", 1.0), ("two", 2.0)] {
        let text = format!(
            "const K = {worth:?}; fn worth(o) {{ K }} fn reward(outputs) {{ outputs.map(|o| worth(o)) }}"
        );
        run.write(&format!("{name}.rhai"), &text);
    }
    run.eval(
        "let t = rl::grpo(model, settings);
         let m = t.step([data[0]], [dir + \"/one.rhai\", dir + \"/two.rhai\", dir + \"/one.rhai\"]);",
    );
    let parts =
        "[m[\"rewards/one/mean\"], m[\"rewards/two/mean\"], m[\"rewards/one_2/mean\"], m.reward]";
    assert_eq!(run.numbers(parts), [1.0, 2.0, 1.0, 4.0]);
}

#[test]
fn modules_that_import_each_other_are_an_error() {
    let mut run = Run::new(|_, _| ());
    run.write("a.rhai", "import \"b\" as b; fn f() { 1 }");
    run.write("b.rhai", "import \"a\" as a; fn f() { 2 }");
    let import = format!("import \"{}/a\" as a; a::f()", run.folder.path().display());
    let error = run.error(&import);
    assert!(error.contains("import each other"), "{error}");
    run.write("b.rhai", "fn f() { 2 }");
    assert_eq!(run.value(&import).as_int(), Ok(1));
}

#[test]
fn a_trainer_that_is_at_work_says_so() {
    let mut run = Run::new(|_, _| ());
    run.eval("let t = rl::grpo(model, settings); let same = t;");
    for look in [
        "metrics",
        "model",
        "run_dir",
        "learning_rate",
        "save(dir)",
        "rollout([data[0]])",
    ] {
        let script =
            format!("t.step([data[0]], |outputs| {{ same.{look}; outputs.map(|o| 1.0) }})");
        let error = run.error(&script);
        assert!(error.contains("in the middle of a step"), "{look}: {error}");
    }
}

#[test]
fn a_failing_evaluation_does_not_end_the_run() {
    let mut run = Run::new(|_, _| ());
    run.eval(
        "let settings = settings + #{ eval_steps: 2, eval_dataset: data::rows([#{ prompt: \"1=\", bad: true }]) };
         let t = rl::grpo(model, settings);
         let report = t.train(data, |outputs| outputs.map(|o| {
             if o.example.contains(\"bad\") { throw \"bad row\" }
             1.0
         }));",
    );
    assert_eq!(run.value("report.steps").as_int(), Ok(4));
    assert_eq!(run.said("no evaluation"), 2, "{:?}", run.notes);
}
