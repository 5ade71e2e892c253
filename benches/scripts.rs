//! What scripts cost: a script of small array experiments, and single bound operations.
//!
//!     cargo bench --bench scripts -- run FILE REPEATS
//!     cargo bench --bench scripts -- overhead COUNT REPEATS
//!
//! The first times `main()` of a file and prints what it found, for `cargo xtask bench` to compare
//! with the same in Python. The second prints nanoseconds of one operation from Rust through
//! mlx-rs, and of the same in a loop of a script, less the empty loop.

use mlx_repl::mlx::Array;
use mlx_repl::script::Host;
use mlx_repl::session::Session;
use serde_json::{Value, json};
use std::error::Error;
use std::rc::Rc;
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let answer = match words.as_slice() {
        ["run", file, repeats] => run(file, repeats.parse()?)?,
        ["overhead", count, repeats] => overhead(count.parse()?, repeats.parse()?)?,
        // `cargo test --benches` starts every benchmark without arguments.
        [] => return Ok(()),
        _ => return Err("run FILE REPEATS, or overhead COUNT REPEATS".into()),
    };
    println!("{answer}");
    Ok(())
}

fn eval(session: &mut Session, source: &str) -> Outcome<rhai::Dynamic> {
    session.eval("bench", source).map_err(|f| f.rendered.into())
}

fn run(file: &str, repeats: usize) -> Outcome<Value> {
    let mut session = Session::new(Host::quiet(Rc::new(|_| ())));
    drop(eval(&mut session, &std::fs::read_to_string(file)?)?);
    let mut found = eval(&mut session, "main()")?;
    let mut seconds = Vec::new();
    for _ in 0..repeats {
        let start = Instant::now();
        found = eval(&mut session, "main()")?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(json!({ "seconds": seconds, "found": rhai::serde::from_dynamic::<Value>(&found)? }))
}

/// One operation: in a script, and through mlx-rs.
type Operation = (
    &'static str,
    fn(&Array, &Array) -> Result<Array, Box<dyn Error>>,
);

const OPERATIONS: [Operation; 5] = [
    ("a + b", |a, b| Ok(a.add(b)?)),
    ("a * 2.0", |a, _| Ok(a.multiply(Array::from_f32(2.0))?)),
    ("mx::maximum(a, b)", |a, b| Ok(mlx_rs::ops::maximum(a, b)?)),
    ("a.sum(-1)", |a, _| Ok(a.sum_axis(-1, false)?)),
    ("a.matmul(b)", |a, b| Ok(a.matmul(b)?)),
];

fn overhead(count: usize, repeats: usize) -> Outcome<Value> {
    let mut session = Session::new(Host::quiet(Rc::new(|_| ())));
    let arrays = "let a = mx::ones([4, 4]); let b = mx::ones([4, 4]); mx::eval(a, b);";
    drop(eval(&mut session, arrays)?);
    let (a, b) = (Array::ones::<f32>(&[4, 4])?, Array::ones::<f32>(&[4, 4])?);
    mlx_repl::mlx::eval([&a, &b])?;
    let mut rows = serde_json::Map::new();
    for (text, native) in OPERATIONS {
        let (mut plain, mut script, mut empty) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..repeats {
            plain.push(nanoseconds(count, || {
                for _ in 0..count {
                    drop(native(&a, &b)?);
                }
                Ok(())
            })?);
            let body = format!("for i in 0..{count} {{ {text}; }}");
            script.push(nanoseconds(count, || eval(&mut session, &body).map(drop))?);
            let body = format!("for i in 0..{count} {{ i; }}");
            empty.push(nanoseconds(count, || eval(&mut session, &body).map(drop))?);
        }
        let [plain, script, empty] = [plain, script, empty].map(median);
        let row = json!({ "mlx-rs": plain, "script": script - empty, "empty loop": empty });
        rows.insert(text.into(), row);
    }
    Ok(rows.into())
}

fn nanoseconds(count: usize, work: impl FnOnce() -> Outcome<()>) -> Outcome<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64() * 1e9 / count as f64)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
