//! A bar on a line of standard error.

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use std::io;

/// Columns that stay free behind a line, so that the `^C` of a terminal does not break it in two.
pub const FREE: usize = 4;
/// How often a second it is drawn at most.
const DRAWN: u8 = 20;

/// A bar, until it is dropped; then what comes next begins a line.
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar by a template of indicatif, with a name before it.
    pub fn new(total: u64, template: &str, name: &str) -> Self {
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(Margin(Term::stderr())), DRAWN);
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(name.to_string());
        Self(bar)
    }
}

impl std::ops::Deref for Bar {
    type Target = ProgressBar;

    fn deref(&self) -> &ProgressBar {
        &self.0
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.abandon();
        eprintln!();
    }
}

/// A terminal with free columns at its end: indicatif fills its lines with spaces, and leaves the cursor
/// behind them.
#[derive(Debug)]
struct Margin(Term);

impl TermLike for Margin {
    fn width(&self) -> u16 {
        self.0.width().saturating_sub(FREE as u16).max(1)
    }

    fn height(&self) -> u16 {
        self.0.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}
