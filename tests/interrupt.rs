//! Interrupts. The flag is one for the process, so these tests have a process of their own, and one
//! runs at a time.

use mlx_repl::generate::{
    EngineSettings, Finish, GenerateSettings, Next, Observer, complete, continue_cache,
};
use mlx_repl::mlx::random::Host as Numbers;
use mlx_repl::mlx::{Dtype, interrupt};
use mlx_repl::models::{Config, Qwen3};
use mlx_repl::script::{Host, Screen};
use mlx_repl::session::{Kind, Session};
use mlx_repl::train::RunDir;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

fn shown(session: &mut Session, cell: &str) -> String {
    match session.cell(cell) {
        Ok(outcome) => outcome
            .shown
            .map_or_else(String::new, |s| s.to_text(&Screen::default())),
        Err(failure) => failure.rendered,
    }
}

/// Evaluates while another thread raises the flag; how long that took to be heard.
fn interrupted(session: &mut Session, cell: &str) -> (Kind, Duration) {
    // A run is to take a step before, on a machine that does other things too.
    let delay = if cell.contains("train") { 1500 } else { 150 };
    let raiser = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(delay));
        interrupt::set();
        Instant::now()
    });
    let failure = session.cell(cell).err().expect("an interrupt");
    let heard = Instant::now();
    let raised = raiser.join().unwrap();
    interrupt::clear();
    (failure.kind, heard.saturating_duration_since(raised))
}

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Raises the flag with the fifth token.
struct Raises(usize);

impl Observer for Raises {
    fn token(&mut self, _: usize, _: i32) -> mlx_repl::Result<Next> {
        self.0 += 1;
        if self.0 == 5 {
            interrupt::set();
        }
        Ok(Next::Go)
    }
}

#[test]
fn an_interrupted_generation_keeps_what_it_has() {
    let _one = ONE_AT_A_TIME.lock();
    let config = serde_json::json!({
        "vocab_size": 13, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    });
    let model = Qwen3::random(Config::from_json(config).unwrap(), 1, Dtype::Float32).unwrap();
    let settings = GenerateSettings {
        max_tokens: 1000,
        num_samples: 2,
        ..GenerateSettings::default()
    };
    let requests = settings.requests(&[3, 4], 0);
    // One row decodes, the other waits and never begins.
    let engine = EngineSettings {
        max_batch_size: 1,
        ..EngineSettings::default()
    };
    let rows = complete(&model, &requests, &engine, &mut Raises(0)).unwrap();
    interrupt::clear();
    assert!(rows.iter().all(|row| row.finish == Finish::Interrupted));
    assert!((5..8).contains(&rows[0].token_ids.len()), "{rows:?}");
    assert_eq!(rows[0].token_ids.len(), rows[0].logprobs.len());
    assert!(rows[1].token_ids.is_empty());
    // A cache that is continued holds what was generated, and goes on.
    let mut cache = mlx_repl::cache::full(2, 0);
    let cut = continue_cache(&model, &mut cache, &requests[0], 8, &mut Raises(0)).unwrap();
    interrupt::clear();
    assert_eq!(cut.finish, Finish::Interrupted);
    assert_eq!(cache[0].size() as usize, 2 + cut.token_ids.len());
}

#[test]
fn an_interrupt_is_heard_soon_and_keeps_the_state() {
    let _one = ONE_AT_A_TIME.lock();
    let mut session = Session::new(Host::quiet(Rc::new(|_| ())));
    session.cell("let kept = 1;").unwrap();
    let setup = "let m = lm::qwen3(#{ hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 2 }, \
                 #{ seed: 0, tokenizer: lm::char_tokenizer(\"0123456789=\") });";
    session.cell(setup).unwrap();
    for cell in [
        "loop {}",
        // Rhai makes the error inside a closure one that `try` catches.
        "loop { try { [1, 2, 3].map(|x| { loop {} }) } catch {} }",
        "m.generate(\"1=\", #{ max_tokens: 40000, stop_token_ids: [] })",
        "let t = rl::grpo(m, #{ max_steps: 100000, prompts_per_step: 1, max_completion_length: 8, \
         run_dir: \"target/interrupted\" }); \
         t.train(data::rows([#{ prompt: \"1=\", answer: \"1\" }]), |o| o.map(|x| x.index)); loop {}",
    ] {
        let (kind, delay) = interrupted(&mut session, cell);
        assert_eq!(kind, Kind::Interrupted, "{cell}");
        // Far more than it takes, for a machine that does other things too.
        assert!(delay < Duration::from_secs(2), "{cell}: {delay:?}");
        assert_eq!(shown(&mut session, "kept"), "1");
    }
    assert!(shown(&mut session, "t.metrics.len() > 0") == "true");
}

/// A run that writes a checkpoint with every step.
fn run_script(dir: &Path, resumed: bool, max_steps: u64) -> String {
    let dir = dir.display();
    let resume = if resumed {
        format!("t.resume({:?});", dir.to_string())
    } else {
        String::new()
    };
    format!(
        "let tokenizer = lm::char_tokenizer(\"0123456789=\");
        let config = #{{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 }};
        let model = lm::qwen3(config, #{{ seed: 3, tokenizer: tokenizer }});
        let rows = [];
        for i in 0..11 {{ rows.push(#{{ prompt: `${{i}}=`, completion: `${{i * i}}` }}); }}
        let t = sft::trainer(model, #{{
            batch_size: 2, gradient_accumulation_steps: 2, learning_rate: 1e-3,
            max_steps: {max_steps}, save_steps: 1, save_total_limit: 2, run_dir: \"{dir}\",
        }});
        {resume}
        let data = data::rows(rows);
        if {max_steps} > 0 {{ t.train(data); }}"
    )
}

/// The losses that a checkpoint remembers.
fn losses(checkpoint: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(checkpoint.join("trainer_state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&text).unwrap();
    let metrics = state["metrics"].as_array().unwrap().iter();
    metrics
        .map(|m| m["loss"].as_f64().unwrap().to_bits())
        .collect()
}

/// Whenever a process dies there is a checkpoint that loads, and in the end nothing of it shows.
#[test]
fn a_run_that_is_killed_again_and_again_is_the_run_that_was_not() {
    let _one = ONE_AT_A_TIME.lock();
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let run = dir.path().join("run");
    let script = dir.path().join("run.rhai");
    let mut numbers = Numbers::new(20);
    let (mut reached, mut kills_in_work) = (0, 0);
    for _ in 0..20 {
        std::fs::write(&script, run_script(&run, reached > 0, 1_000_000)).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_mlx-repl"))
            .args(["run".as_ref(), script.as_os_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(150 + numbers.below(700) as u64));
        let early = child.try_wait().unwrap();
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(early.is_none(), "it ended by itself: {said}");
        if !run.exists() {
            continue;
        }
        // The newest checkpoint loads, and none that was there before is lost.
        if let Some(latest) = RunDir::latest_in(&run).unwrap() {
            let mut session = Session::new(Host::quiet(Rc::new(|_| ())));
            let loaded = shown(
                &mut session,
                &run_script(&run, true, 0).replace("let data", "let unused"),
            );
            assert_eq!(loaded, "", "{}", latest.display());
            let steps = shown(&mut session, "t.metrics.len()")
                .parse::<u64>()
                .unwrap();
            let name = format!("step-{steps:06}");
            assert!(latest.ends_with(&name), "{} is {name}", latest.display());
            assert!(steps >= reached);
            kills_in_work += u32::from(steps > reached);
            reached = steps;
        }
    }
    assert!(
        kills_in_work >= 5,
        "only {kills_in_work} of the kills fell into steps"
    );
    let mut session = Session::new(Host::quiet(Rc::new(|_| ())));
    let whole = other.path().join("run");
    let shown = shown(&mut session, &run_script(&whole, false, reached));
    assert!(!shown.contains("rror"), "{shown}");
    let ends = [&run, &whole].map(|run| RunDir::latest_in(run).unwrap().unwrap());
    assert_eq!(losses(&ends[0]), losses(&ends[1]));
    for file in ["model.safetensors", "optimizer.safetensors"] {
        let bytes = ends
            .each_ref()
            .map(|end| std::fs::read(end.join(file)).unwrap());
        assert!(bytes[0] == bytes[1], "{file} after {reached} steps");
    }
    eprintln!("{reached} steps, {kills_in_work} of 20 kills in their midst");
}

/// A step that is interrupted between its parts is taken again as a whole.
#[test]
fn a_run_that_is_interrupted_again_and_again_is_the_run_that_was_not() {
    let _one = ONE_AT_A_TIME.lock();
    let trainers = [
        "sft::trainer(model, #{ batch_size: 1, gradient_accumulation_steps: 12, max_steps: 8, \
         learning_rate: 1e-2, lora: #{ rank: 2, dropout: 0.3 }, run_dir: dir })",
        "rl::grpo(model, #{ prompts_per_step: 2, num_generations: 6, max_completion_length: 6, \
         gradient_accumulation_steps: 12, max_steps: 8, learning_rate: 1e-2, run_dir: dir })",
    ];
    let mut numbers = Numbers::new(21);
    let mut cut = 0;
    for trainer in trainers {
        let mut ends = Vec::new();
        for interrupted in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let train = match trainer.starts_with("sft") {
                true => "t.train(data).interrupted",
                false => "t.train(data, |outputs| outputs.map(|o| o.index)).interrupted",
            };
            let mut session = Session::new(Host::quiet(Rc::new(|_| ())));
            let setup = format!(
                "let dir = {:?};
                let tokenizer = lm::char_tokenizer(\"0123456789=\");
                let config = #{{ hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2 }};
                let model = lm::qwen3(config, #{{ seed: 3, tokenizer: tokenizer }});
                let data = data::rows([]);
                for i in 0..24 {{
                    data = data.concat(data::rows([#{{ prompt: `${{i}}=`, completion: `${{i * i}}` }}]));
                }}
                let t = {trainer};",
                dir.path().display().to_string(),
            );
            let set_up = shown(&mut session, &setup);
            assert_eq!(set_up, "", "{set_up}");
            // Later and later, so that a slow machine takes its steps too.
            let mut tries = 0;
            while shown(&mut session, "t.metrics.len()") != "8" {
                tries += 10;
                let delay = Duration::from_millis(5 + numbers.below(40 + tries) as u64);
                let raiser = interrupted.then(|| {
                    std::thread::spawn(move || {
                        std::thread::sleep(delay);
                        interrupt::set();
                    })
                });
                let outcome = session.cell(train);
                match outcome {
                    Ok(outcome) => cut += usize::from(outcome.value.as_bool() == Ok(true)),
                    Err(failure) => {
                        assert!(failure.kind == Kind::Interrupted, "{}", failure.rendered);
                        cut += 1;
                    }
                }
                raiser.into_iter().for_each(|raiser| raiser.join().unwrap());
                interrupt::clear();
            }
            let numbers = "t.metrics.map(|m| [m.loss, m.grad_norm, m.num_tokens])";
            let checkpoint = RunDir::latest_in(dir.path()).unwrap().unwrap();
            let files = ["model.safetensors", "optimizer.safetensors"];
            let bytes = files.map(|file| std::fs::read(checkpoint.join(file)).unwrap());
            ends.push((shown(&mut session, numbers), bytes));
        }
        assert_eq!(ends[0].0, ends[1].0, "{trainer}");
        assert!(ends[0].1 == ends[1].1, "{trainer}");
    }
    assert!(cut >= 4, "only {cut} interrupts were heard");
    eprintln!("{cut} interrupts");
}
