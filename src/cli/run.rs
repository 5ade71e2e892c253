//! Scripts and the prompt: once, again and again, or one after the other.

use super::{INTERRUPTED, SCRIPT_ERROR, SUCCESS, fail, host, report};
use crate::mlx::interrupt;
use crate::repl::{self, Opening};
use crate::session::Session;
use std::path::Path;
use std::time::Duration;

/// How often a script that is watched is looked at.
const GLANCE: Duration = Duration::from_millis(200);

/// Runs a script.
pub fn once(file: &Path, args: Vec<String>) -> i32 {
    match read(file) {
        Ok(source) => text(&file.display().to_string(), &source, args),
        Err(code) => code,
    }
}

/// Runs a text under a name.
pub fn text(name: &str, source: &str, args: Vec<String>) -> i32 {
    match Session::new(host(args)).eval(name, source) {
        Ok(_) => SUCCESS,
        Err(failure) => fail(&failure),
    }
}

/// Runs a script and goes on at the prompt; an error of the script is shown there.
pub fn then_prompt(file: &Path, args: Vec<String>) -> i32 {
    let source = match read(file) {
        Ok(source) => source,
        Err(code) => return code,
    };
    let mut session = Session::new(host(args));
    let result = session.eval(&file.display().to_string(), &source);
    interrupt::clear();
    let opening = Opening::Script(result.map(|_| ()));
    repl::run(session, opening).map_or_else(|error| report(&error), |()| SUCCESS)
}

/// Runs a script each time in a session of its own, until Ctrl-C comes while it waits for a change.
pub fn whenever_it_changes(file: &Path, args: Vec<String>) -> i32 {
    loop {
        let source = match read(file) {
            Ok(source) => source,
            Err(code) => return code,
        };
        let mut session = Session::new(host(args.clone()));
        if let Err(failure) = session.eval(&file.display().to_string(), &source) {
            fail(&failure);
        }
        interrupt::clear();
        eprintln!("({} is watched; Ctrl-C leaves)", file.display());
        // An editor may take the file away for a moment while it saves.
        while !file.is_file() || session.news().is_empty() {
            std::thread::sleep(GLANCE);
            if interrupt::is_set() {
                return INTERRUPTED;
            }
        }
    }
}

/// The prompt, after the user's own script for it.
pub fn prompt(no_init: bool) -> i32 {
    let mut session = Session::new(host(Vec::new()));
    let init = repl::init_file().filter(|_| !no_init);
    if let Some(path) = init {
        match read(&path) {
            Ok(source) => {
                if let Err(failure) = session.eval(&path.display().to_string(), &source) {
                    fail(&failure);
                    interrupt::clear();
                }
            }
            Err(_) => eprintln!("(--no-init starts without it)"),
        }
    }
    repl::run(session, Opening::Greeting).map_or_else(|error| report(&error), |()| SUCCESS)
}

/// The text of a script; `-` is standard input.
fn read(file: &Path) -> Result<String, i32> {
    let text = match file == Path::new("-") {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(file),
    };
    text.map_err(|error| {
        eprintln!("error: {}: {error}", file.display());
        SCRIPT_ERROR
    })
}
