//! `cargo xtask`: the chores of mlx-repl.
//!
//! | command | what it does |
//! |---|---|
//! | `setup` | makes native MLX ready for this machine |
//! | `quickstart` | sets up, builds, and runs the main job |
//! | `check` | format, clippy, docs |
//! | `test` | sets up, builds, checks, and passes every test and example |
//! | `bench` | measures speed against mlx-lm, Python's MLX and TRL |

mod bench;
mod bench_files;
mod bench_scripts;
mod bench_training;
mod chores;
mod native;
mod setup;
mod shell;

use std::process::ExitCode;

/// What a chore answers: nothing, or a sentence for the person at the terminal.
pub type Outcome<T = ()> = Result<T, String>;

const USAGE: &str = "\
usage: cargo xtask COMMAND
  setup [--backend auto|cpu|cuda12|cuda13]   make native MLX ready (no root; about a minute)
  quickstart                                 set up, build, and train a model with GRPO
  test                                       set up, check, and run every test and example
  check                                      format, clippy and documentation only
  bench [models|generation|scripts|files] [--peer PYTHON]   measure speed against mlx-lm and Python's MLX, as ratios
  bench training [--quick] [--peer PYTHON]   measure time and memory of a GRPO step against TRL and our own plain way
MLX_REPL_MLX_DIR names an existing MLX installation (with include/ and lib/) to use instead.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["setup"] => setup::run("auto"),
        ["setup", "--backend", backend] => setup::run(backend),
        ["quickstart"] => setup::run("auto").and_then(|()| chores::quickstart()),
        ["check"] => setup::run("auto").and_then(|()| chores::check()),
        ["test"] => setup::run("auto").and_then(|()| chores::test()),
        ["bench", rest @ ..] => match bench_words(rest) {
            Some((what, python)) => setup::run("auto").and_then(|()| bench(what, python)),
            None => return usage(),
        },
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => return usage(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// What can be measured by itself.
const KINDS: [&str; 5] = ["models", "generation", "scripts", "files", "training"];

/// Training at a small scale, to see that it runs.
const QUICK: &str = "training --quick";

/// What to measure, and the peer's Python.
fn bench_words<'a>(words: &[&'a str]) -> Option<(&'a str, Option<&'a str>)> {
    match *words {
        [] => Some(("all", None)),
        ["--peer", python] => Some(("all", Some(python))),
        [what] if KINDS.contains(&what) => Some((what, None)),
        [what, "--peer", python] if KINDS.contains(&what) => Some((what, Some(python))),
        ["training", "--quick"] => Some((QUICK, None)),
        ["training", "--quick", "--peer", python] => Some((QUICK, Some(python))),
        _ => None,
    }
}

fn bench(what: &str, python: Option<&str>) -> Outcome {
    let wanted = |name: &str| ["all", name].contains(&what);
    if wanted("models") {
        bench::models(python)?;
    }
    if wanted("generation") {
        bench::generation(python)?;
    }
    if wanted("scripts") {
        bench_scripts::run(python)?;
    }
    if wanted("files") {
        bench_files::run(python)?;
    }
    // By its name only: its peer is another Python than that of the others, and large.
    if ["training", QUICK].contains(&what) {
        bench_training::run(python, what == QUICK)?;
    }
    Ok(())
}
