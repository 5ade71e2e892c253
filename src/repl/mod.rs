//! Line editing, and how runs look in a terminal.

mod assistant;
mod download;
mod editor;
mod elsewhere;
mod highlight;
mod input;
mod keys;
mod progress;

pub use download::download;
pub use input::input;
pub use progress::observer;

use crate::mlx::interrupt;
use crate::script::explain;
use crate::session::{Kind, Session};
use editor::{Line, LineEditor};
use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

const HELP: &str = "\
Type Rhai; the value of a line is shown, and kept as `ans`. A closing `;` hides it.
  :help        this text            :who    the variables
  :help NAME   what a name is       :quit   leave (also Ctrl-D)
  :run FILE    run a script here        :reload  what has changed of scripts and imports
  :edit        the last input in $EDITOR (also Ctrl-X Ctrl-E, of what is typed)
  NAME?        what a name is           NAME??  how it is written
Ctrl-C stops what is running and keeps every value. Tab completes names.

";

/// The commands, for completion.
const COMMANDS: [(&str, &str); 6] = [
    ("edit", "the last input in an editor"),
    ("help", "what a name is"),
    ("quit", "leave"),
    ("reload", "what has changed of scripts and imports"),
    ("run", "run a script here"),
    ("who", "the variables"),
];

/// Reads, evaluates and shows until the user leaves.
pub fn run(session: Session) -> crate::Result<()> {
    let session = Rc::new(RefCell::new(session));
    let mut editor = LineEditor::new(session.clone(), &COMMANDS)?;
    println!("mlx-repl {} (:help for help)", env!("CARGO_PKG_VERSION"));
    let mut interrupted = false;
    let mut next = None;
    loop {
        for file in session.borrow_mut().news() {
            println!("({file} has changed; :reload takes it up)");
        }
        let line = match next.take() {
            Some(line) => line,
            None => editor.read()?,
        };
        match line {
            Line::Text(text) => {
                interrupted = false;
                let trimmed = text.trim();
                if trimmed.is_empty() {
                    continue;
                }
                if let Some(answer) = session.borrow().about(trimmed) {
                    match answer {
                        Ok(text) => println!("{text}"),
                        Err(error) => eprintln!("error: {error}"),
                    }
                    continue;
                }
                if trimmed == ":edit" {
                    match editor.edit("") {
                        Ok(line) => next = Some(line),
                        Err(error) => eprintln!("error: {error}"),
                    }
                    continue;
                }
                if let Some(command) = trimmed.strip_prefix(':') {
                    if !run_command(command, &session) {
                        break;
                    }
                    continue;
                }
                evaluate(&session, &text);
            }
            Line::Interrupted if interrupted => println!("(:quit or Ctrl-D to leave)"),
            Line::Interrupted => interrupted = true,
            Line::End => break,
        }
    }
    Ok(())
}

fn evaluate(session: &Rc<RefCell<Session>>, text: &str) {
    match session.borrow_mut().cell(text) {
        Ok(outcome) => {
            if let Some(shown) = outcome.shown {
                println!("{shown}");
            }
        }
        Err(failure) => {
            eprintln!("{}", failure.rendered);
            if failure.kind == Kind::Interrupted {
                interrupt::clear();
            }
        }
    }
    let _ = std::io::stdout().flush();
}

fn help(name: &str, session: &Session) {
    let index = session.index();
    if name.trim().is_empty() {
        println!("{HELP}{}", index.overview());
        return;
    }
    match explain(&index, name) {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("error: {error}"),
    }
}

fn reload(session: &mut Session) {
    match session.reload() {
        Ok(done) if done.is_empty() => println!("nothing has changed"),
        Ok(done) => done.iter().for_each(|line| println!("{line}")),
        Err(failure) => eprintln!("{}", failure.rendered),
    }
}

/// Runs a command; false to leave.
fn run_command(command: &str, session: &Rc<RefCell<Session>>) -> bool {
    let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
    match name {
        "q" | "quit" | "exit" => return false,
        "help" | "h" | "?" => help(rest, &session.borrow()),
        "who" => println!("{}", session.borrow().variables().join("  ")),
        "reload" => reload(&mut session.borrow_mut()),
        "run" => {
            let path = rest.trim();
            match std::fs::read_to_string(path) {
                Ok(text) => {
                    if let Err(failure) = session.borrow_mut().eval(path, &text) {
                        eprintln!("{}", failure.rendered);
                    }
                }
                Err(error) => eprintln!("error: {path}: {error}"),
            }
        }
        other => eprintln!("error: unknown command `:{other}`; :help lists the commands"),
    }
    true
}
