//! Sessions and files for the tests of scripts.

use mlx_repl::repl::{Prompt, Then};
use mlx_repl::script::Host;
use mlx_repl::session::Session;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A session whose output is thrown away.
pub fn session() -> Session {
    Session::new(Host::quiet(Rc::new(|_| ())))
}

/// A session, and the lines that it prints.
pub fn recorded() -> (Session, Rc<RefCell<Vec<String>>>) {
    let lines: Rc<RefCell<Vec<String>>> = Rc::default();
    let sink = lines.clone();
    let print = move |line: &str| sink.borrow_mut().push(line.to_string());
    (Session::new(Host::quiet(Rc::new(print))), lines)
}

/// A prompt whose screen is a text.
pub struct Terminal {
    pub prompt: Prompt,
    pub session: Rc<RefCell<Session>>,
    screen: Rc<RefCell<Vec<String>>>,
}

impl Terminal {
    pub fn new() -> Self {
        let (session, screen) = recorded();
        let session = Rc::new(RefCell::new(session));
        let write = |screen: &Rc<RefCell<Vec<String>>>| -> Rc<dyn Fn(&str)> {
            let screen = screen.clone();
            Rc::new(move |text: &str| screen.borrow_mut().push(text.to_string()))
        };
        let prompt = Prompt::new(session.clone(), write(&screen), write(&screen));
        Self {
            prompt,
            session,
            screen,
        }
    }

    /// What appears for an input.
    pub fn shown(&mut self, input: &str) -> String {
        assert!(matches!(self.prompt.enter(input), Then::Go), "{input}");
        self.screen
            .borrow_mut()
            .drain(..)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// The scripts of a folder, in order.
pub fn scripts(folder: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "rhai"))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no scripts in {folder}");
    found
}

/// Runs work in a fresh working directory's stead: scripts get the directory as an argument.
pub fn run(path: &Path, args: &[String]) -> Result<(), String> {
    let mut host = Host::quiet(Rc::new(|_| ()));
    host.args = args.to_vec();
    let text = std::fs::read_to_string(path).unwrap();
    let mut session = Session::new(host);
    let name = path
        .strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string();
    session
        .eval(&name, &text)
        .map(|_| ())
        .map_err(|failure| failure.rendered)
}
