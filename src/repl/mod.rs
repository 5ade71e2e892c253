//! Line editing, and how runs look in a terminal.

mod assistant;
mod bar;
mod commands;
mod download;
mod editor;
mod elsewhere;
mod highlight;
mod input;
mod keys;
mod progress;
mod prompt;
mod wrap;

pub use commands::{COMMANDS, Command};
pub use download::download;
pub use input::input;
pub use progress::observer;
pub use prompt::{Prompt, Say, Then};
pub use wrap::{error_text, wrapped};

use crate::mlx::interrupt;
use crate::script::Screen;
use crate::session::{Failure, Kind, Session};
use editor::{Line, LineEditor};
use std::cell::RefCell;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Two Ctrl-C within this time at an empty prompt ask how to leave.
const IMPATIENT: Duration = Duration::from_secs(1);

/// Where the next input comes from.
enum Next {
    Type,
    /// A text to begin with.
    Fill(String),
    /// A text, in an editor first.
    Edit(String),
}

/// What comes before the first prompt.
pub enum Opening {
    Greeting,
    /// A script that was run.
    Script(Result<(), Failure>),
}

/// Reads, evaluates and shows until the user leaves.
///
/// # Errors
/// A terminal that cannot be read.
pub fn run(session: Session, opening: Opening) -> crate::Result<()> {
    let session = Rc::new(RefCell::new(session));
    let mut editor = LineEditor::new(session.clone(), commands::names())?;
    let mut prompt = Prompt::new(
        session.clone(),
        Rc::new(|text| println!("{text}")),
        Rc::new(|text| eprintln!("{text}")),
    );
    prompt.error_screen = Some(error_screen());
    match opening {
        Opening::Greeting => println!("mlx-repl {} (:help for help)", env!("CARGO_PKG_VERSION")),
        Opening::Script(result) => {
            // A script that ended itself leaves its values, too.
            if let Err(failure) = result
                && !matches!(failure.kind, Kind::Exit(_))
            {
                prompt.complain(&failure);
            }
        }
    }
    let mut interrupted: Option<Instant> = None;
    let mut next = Next::Type;
    loop {
        session.borrow_mut().screen = screen();
        prompt.error_screen = Some(error_screen());
        if !prompt.autoreload {
            for file in session.borrow_mut().news() {
                println!("({file} has changed; :reload takes it up)");
            }
        }
        let line = match std::mem::replace(&mut next, Next::Type) {
            Next::Edit(text) => match editor.edit(&text) {
                Ok(line) => line,
                Err(error) => {
                    eprintln!("error: {error}");
                    continue;
                }
            },
            Next::Type => editor.read(String::new())?,
            Next::Fill(text) => editor.read(text)?,
        };
        match line {
            Line::Text(text) => {
                interrupted = None;
                match prompt.enter(&text) {
                    Then::Go => {}
                    Then::Leave => break,
                    Then::Edit(text) => next = Next::Edit(text),
                    Then::Fill(text) => next = Next::Fill(text.trim_end().to_string()),
                    Then::Search(text) => editor
                        .search(&text)
                        .iter()
                        .for_each(|entry| println!("{entry}")),
                }
                // An interrupt that came as the cell ended was meant for the cell.
                interrupt::clear();
            }
            Line::Interrupted => {
                if interrupted.is_some_and(|at| at.elapsed() < IMPATIENT) {
                    println!("(:quit or Ctrl-D to leave)");
                }
                interrupted = Some(Instant::now());
            }
            Line::End => break,
        }
    }
    Ok(())
}

/// The terminal as it is now: it may have been made wider since the last input.
pub fn screen() -> Screen {
    let size = console::Term::stdout().size_checked();
    Screen {
        columns: size.map_or(80, |(_, columns)| usize::from(columns)),
        colour: colours(&std::io::stdout()),
        ..Screen::default()
    }
}

/// Where errors go; what is no terminal has lines of any length.
pub fn error_screen() -> Screen {
    let size = console::Term::stderr().size_checked();
    Screen {
        columns: size.map_or(usize::MAX, |(_, columns)| usize::from(columns)),
        colour: colours(&std::io::stderr()),
        ..Screen::default()
    }
}

/// Whether a stream shows colours, and its user wants them (<https://no-color.org>).
pub fn colours(stream: &impl IsTerminal) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|kind| kind == "dumb");
    stream.is_terminal() && !unwanted && !dumb
}

/// `$XDG_CONFIG_HOME/mlx-repl/init.rhai`, or the same below `~/.config`: run before the first prompt.
pub fn init_file() -> Option<PathBuf> {
    let config = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))?;
    Some(config.join("mlx-repl/init.rhai")).filter(|path| path.is_file())
}
