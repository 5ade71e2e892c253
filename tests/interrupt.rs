//! Interrupts. The flag is one for the process, so these tests have a process of their own, and one
//! runs at a time.

use mlx_repl::generate::{
    EngineSettings, Finish, GenerateSettings, Next, Observer, complete, continue_cache,
};
use mlx_repl::mlx::{Dtype, interrupt};
use mlx_repl::models::{Config, Qwen3};
use mlx_repl::script::Host;
use mlx_repl::session::{Kind, Session};
use std::rc::Rc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

fn shown(session: &mut Session, cell: &str) -> String {
    match session.cell(cell) {
        Ok(outcome) => outcome.shown.unwrap_or_default(),
        Err(failure) => failure.rendered,
    }
}

/// Evaluates while another thread raises the flag; how long that took to be heard.
fn interrupted(session: &mut Session, cell: &str) -> (Kind, Duration) {
    let raiser = std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(150));
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
