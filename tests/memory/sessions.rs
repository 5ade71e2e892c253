//! What a session holds on to: long loops, names bound anew, requests that cannot fit.

use crate::ALONE;
use mlx_repl::script::Host;
use mlx_repl::session::Session;
use std::rc::Rc;

fn session() -> Session {
    Session::new(Host::quiet(Rc::new(|_| ())))
}

#[track_caller]
fn run(session: &mut Session, script: &str) {
    if let Err(failure) = session.eval("script", script) {
        panic!("{}", failure.rendered);
    }
}

/// Bytes of arrays that live.
fn active(session: &mut Session) -> i64 {
    let answer = session.eval("memory", "mx::memory().active");
    answer.unwrap().as_int().unwrap()
}

/// Bytes of the process that are in memory; `None` where the system does not tell.
fn resident() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

const MB: i64 = 1 << 20;

/// A loop whose result nobody looks at: neither its arrays nor its graph may pile up. One array is
/// 64 kB, one step of the graph some 300 bytes; ten thousand steps would be 640 MB, 100,000 of a
/// scalar 30 MB.
#[test]
fn a_long_loop_does_not_pile_up() {
    let _alone = ALONE.lock();
    let mut session = session();
    let warm = "let x = mx::ones([128, 128]); let y = mx::ones([128, 128]); mx::eval(x, y);";
    run(&mut session, warm);
    let (before, process) = (active(&mut session), resident());
    let steps = "for i in 0..10000 { x = mx::sin(x * 0.5 + y); }";
    run(&mut session, steps);
    let grown = active(&mut session) - before;
    assert!(grown < MB, "{grown} bytes more");
    run(
        &mut session,
        "let s = tensor(0.0); for i in 0..100000 { s += 1; }",
    );
    assert_eq!(
        session.eval("value", "s.item()").unwrap().as_float(),
        Ok(100_000.0)
    );
    if let (Some(before), Some(after)) = (process, resident()) {
        let grown = after - before;
        assert!(grown < 96 * MB, "the process grew by {grown} bytes");
    }
}

#[test]
fn cells_at_the_prompt_do_not_pile_up() {
    let _alone = ALONE.lock();
    let mut session = session();
    session.cell("let x = mx::ones([128, 128]);").unwrap();
    session.cell("mx::eval(x);").unwrap();
    let before = active(&mut session);
    for _ in 0..10_000 {
        session.cell("x = x * 0.5 + 1;").unwrap();
    }
    let grown = active(&mut session) - before;
    assert!(grown < MB, "{grown} bytes more");
}

#[test]
fn a_name_bound_anew_frees_what_it_held() {
    let _alone = ALONE.lock();
    let mut session = session();
    let before = active(&mut session);
    for cell in ["let big = mx::ones([512, 1024]);", "mx::eval(big);"] {
        session.cell(cell).unwrap();
    }
    assert!(active(&mut session) - before >= 2 * MB);
    session.cell("let big = 1;").unwrap();
    assert!(active(&mut session) - before < MB, "bound by `let`");
    session
        .cell("let big = mx::ones([512, 1024]); mx::eval(big); big = 0;")
        .unwrap();
    assert!(active(&mut session) - before < MB, "assigned");
    let script = "let big = mx::ones([512, 1024]); mx::eval(big); let big = 1; mx::memory().active";
    let within = session.eval("script", script).unwrap().as_int().unwrap();
    assert!(within - before < MB, "bound anew within a script");
}

#[test]
fn what_cannot_fit_is_an_error_and_costs_nothing() {
    let _alone = ALONE.lock();
    let mut session = session();
    session.cell("let kept = tensor([1, 2]);").unwrap();
    let requests = [
        "mx::zeros([1000000, 1000000, 1000])",
        "mx::ones([100000, 100000, 1000])",
        "mx::arange(1000000000000000)",
        "mx::random::normal([1000000, 1000000])",
        "mx::broadcast_to(kept, [1000000, 1000000, 2]) + 1",
        "mx::eye(1000000)",
        "mx::tile(mx::ones([1000000]), [100000])",
        "mx::repeat(mx::ones([1000000]), 100000)",
        "mx::ones([1000000, 1]) * mx::ones([1, 1000000])",
        "mx::ones([1000000, 1]).matmul(mx::ones([1, 1000000]))",
        "mx::full([1000000, 1000000], 1.0)",
        "mx::tri(1000000)",
        "mx::linspace(0, 1, 1000000000000)",
        "mx::pad(kept, 1000000000000)",
        "mx::outer(mx::ones([1000000]), mx::ones([1000000]))",
    ];
    for request in requests {
        let failure = session.cell(&format!("{request};")).map(drop);
        let rendered = failure.expect_err(request).rendered;
        assert!(rendered.starts_with("error"), "{request}: {rendered}");
    }
    let kept = session.cell("kept.sum().item()").unwrap().value;
    assert_eq!(kept.as_int(), Ok(3));
}
