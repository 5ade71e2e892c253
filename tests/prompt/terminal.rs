//! The program in a terminal of its own: keys go in, a screen comes out.

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Longer than anything takes, also on a machine with other things to do.
const DEADLINE: Duration = Duration::from_secs(30);

const ROWS: u16 = 40;
const COLUMNS: u16 = 100;
/// As wide as terminals are by themselves.
pub const NARROW: u16 = 80;

/// What the program has written.
struct Written {
    parser: vt100::Parser,
    columns: u16,
    raw: Vec<u8>,
    is_over: bool,
}

impl Written {
    fn lines(&self) -> Vec<String> {
        let rows = self.parser.screen().rows(0, self.columns);
        rows.map(|row| row.trim_end().to_string()).collect()
    }

    /// Whether the cursor stands behind an empty prompt.
    fn is_ready(&self) -> bool {
        let (row, column) = self.parser.screen().cursor_position();
        column == 2 && self.lines()[usize::from(row)] == ">"
    }
}

/// A running program.
pub struct Terminal {
    pty: Arc<Pty>,
    child: Child,
    written: Arc<(Mutex<Written>, Condvar)>,
}

impl Terminal {
    /// The program with a home of its own, ready for its first line.
    pub fn start(home: &Path, variables: &[(&str, &str)]) -> Self {
        Self::of_width(home, COLUMNS, variables, &[])
    }

    /// The same in a terminal of so many columns, with arguments.
    pub fn of_width(
        home: &Path,
        columns: u16,
        variables: &[(&str, &str)],
        arguments: &[&str],
    ) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(ROWS, columns)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mlx-repl"))
            .args(arguments)
            .current_dir(home)
            .env("TERM", "xterm-256color")
            .envs(["HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"].map(|name| (name, home)));
        for name in ["NO_COLOR", "VISUAL", "EDITOR"] {
            command = command.env_remove(name);
        }
        let child = command.envs(variables.iter().copied()).spawn(pts).unwrap();
        let size = |n: u16| NonZeroU16::new(n).unwrap();
        let written = Written {
            parser: vt100::Parser::new(size(ROWS), size(columns), 0),
            columns,
            raw: Vec::new(),
            is_over: false,
        };
        let terminal = Self {
            pty: Arc::new(pty),
            child,
            written: Arc::new((Mutex::new(written), Condvar::new())),
        };
        terminal.listen();
        terminal.ready();
        terminal
    }

    fn listen(&self) {
        let (pty, written) = (self.pty.clone(), self.written.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                // Linux says that there is nobody any more with an error.
                let count = (&*pty).read(&mut bytes).unwrap_or(0);
                let mut all = written.0.lock().unwrap();
                all.parser.process(&bytes[..count]);
                all.raw.extend(&bytes[..count]);
                all.is_over = count == 0;
                written.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
    }

    /// Presses keys.
    pub fn keys(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Types a line and waits for the next prompt.
    #[track_caller]
    pub fn line(&self, line: &str) {
        self.keys(line);
        self.shows(line.lines().last().unwrap_or_default());
        self.keys("\r");
        self.ready();
    }

    #[track_caller]
    fn wait(&self, what: &str, is_there: impl Fn(&Written) -> bool) {
        let end = Instant::now() + DEADLINE;
        let mut written = self.written.0.lock().unwrap();
        while !is_there(&written) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let screen = written.lines().join("\n");
                // The listener is not to find its lock poisoned.
                drop(written);
                panic!("no {what} on:\n{}", screen.trim_end());
            }
            written = self.written.1.wait_timeout(written, left).unwrap().0;
        }
    }

    /// Waits for an empty prompt.
    #[track_caller]
    pub fn ready(&self) {
        self.wait("prompt", Written::is_ready);
    }

    /// Waits until a text is on the screen.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        self.wait(text, |written| {
            written.parser.screen().contents().contains(text)
        });
    }

    /// Waits until a line of the screen is this, and nothing else.
    #[track_caller]
    pub fn shows_line(&self, line: &str) {
        self.wait(line, |written| {
            written.lines().iter().any(|shown| shown == line)
        });
    }

    /// The lines of the screen.
    pub fn lines(&self) -> Vec<String> {
        self.written.0.lock().unwrap().lines()
    }

    /// Everything that was written, with its escapes.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.written.0.lock().unwrap().raw).into_owned()
    }

    /// Sends the program a signal.
    pub fn signal(&self, name: &str) {
        let number = self.child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-s", name, &number])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits until the program ends; its exit code.
    #[track_caller]
    pub fn ends(mut self) -> Option<i32> {
        self.wait("end", |written| written.is_over);
        self.child.wait().unwrap().code()
    }

    /// Presses Ctrl-D; whether the program ends well.
    #[track_caller]
    pub fn leave(mut self) -> bool {
        self.keys("\x04");
        self.wait("end", |written| written.is_over);
        self.child.wait().unwrap().success()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // After a failed test it may still run.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
