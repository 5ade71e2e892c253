//! Interrupts. The flag is one for the process, so this test has a process of its own.

use mlx_repl::mlx::interrupt;
use mlx_repl::script::Host;
use mlx_repl::session::{Kind, Session};
use std::rc::Rc;
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

#[test]
fn an_interrupt_is_heard_soon_and_keeps_the_state() {
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
