//! A run as a bar in a terminal, and as lines elsewhere; always on standard error.

use super::screen;
use crate::plot::fit;
use crate::train::{Observer, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Somebody to watch a run, as standard error allows.
pub fn observer() -> Box<dyn Observer> {
    if std::io::stderr().is_terminal() {
        Box::new(Bar { bar: None })
    } else {
        Box::new(Lines { last: None })
    }
}

/// Columns of the bar itself.
const WIDTH: usize = 24;
/// Columns that stay free behind a line, so that the `^C` of a terminal does not break it in two.
const FREE: usize = 4;

struct Bar {
    bar: Option<ProgressBar>,
}

/// What finds room behind the bar.
fn summary(progress: &Progress, columns: usize) -> String {
    let digits = progress.total_steps.to_string().len();
    let counted = progress.step.to_string().len() + 1 + digits;
    let before = progress.task.len() + 1 + WIDTH + 1 + counted + 2;
    fit(&progress.summary(), columns.saturating_sub(before + FREE))
}

impl Observer for Bar {
    fn step(&mut self, progress: &Progress) {
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(progress.total_steps);
            let style = ProgressStyle::with_template(&format!(
                "{{prefix}} {{bar:{WIDTH}}} {{pos}}/{{len}}  {{msg}}"
            ))
            .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style);
            bar.set_prefix(progress.task);
            bar
        });
        bar.set_message(summary(progress, screen().columns));
        bar.set_position(progress.step);
    }

    fn note(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.abandon();
        }
    }
}

/// A line for the first step, the last, and every few seconds between.
struct Lines {
    last: Option<Instant>,
}

const EVERY: Duration = Duration::from_secs(5);

impl Observer for Lines {
    fn step(&mut self, progress: &Progress) {
        let due = self.last.is_none_or(|last| last.elapsed() >= EVERY);
        if due || progress.step == progress.total_steps {
            self.last = Some(Instant::now());
            eprintln!(
                "{} {}/{}  {}",
                progress.task,
                progress.step,
                progress.total_steps,
                progress.summary()
            );
        }
    }

    fn note(&mut self, text: &str) {
        eprintln!("{text}");
    }

    fn end(&mut self) {}
}
