//! `cargo xtask`: the chores of mlx-repl.
//!
//! | command | what it does |
//! |---|---|
//! | `setup` | makes native MLX ready for this machine |
//! | `quickstart` | sets up, builds, and runs the main job |
//! | `check` | format, clippy, docs |
//! | `test` | sets up, builds, checks, and passes every test and example |
//! | `bench` | measures speed against mlx-lm |

mod bench;
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
  bench [--peer PYTHON]                      measure speed against mlx-lm, as ratios
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
        ["bench"] => setup::run("auto").and_then(|()| bench::run(None)),
        ["bench", "--peer", python] => setup::run("auto").and_then(|()| bench::run(Some(python))),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
