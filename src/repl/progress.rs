//! A run as a bar in a terminal, and as lines elsewhere; always on standard error.

use super::bar::{Bar, FREE};
use super::wrap::wrapped;
use super::{error_screen, screen};
use crate::plot::fit;
use crate::train::{Observer, Progress};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Somebody to watch a run, as standard error allows.
pub fn observer() -> Box<dyn Observer> {
    if std::io::stderr().is_terminal() {
        Box::new(Bars { bar: None })
    } else {
        Box::new(Lines { last: None })
    }
}

/// Columns of the bar itself, and how wide a terminal is in which it may be that long.
const WIDTH: usize = 24;
const WIDE: usize = 100;

fn width(columns: usize) -> usize {
    if columns < WIDE { WIDTH / 2 } else { WIDTH }
}

struct Bars {
    bar: Option<Bar>,
}

/// What finds room behind the bar: whole fields, the last one, which is the time, before the others.
fn summary(progress: &Progress, columns: usize) -> String {
    let digits = progress.total_steps.to_string().len();
    let counted = progress.step.to_string().len() + 1 + digits;
    let before = progress.task.len() + 1 + width(columns) + 1 + counted + 2;
    let room = columns.saturating_sub(before + FREE);
    let mut fields = progress.fields();
    while fields.len() > 1 && fields.join("  ").chars().count() > room {
        fields.remove(fields.len() - 2);
    }
    fit(&fields.join("  "), room)
}

impl Observer for Bars {
    fn step(&mut self, progress: &Progress) {
        let bar = self.bar.get_or_insert_with(|| {
            let cells = width(screen().columns);
            let style = format!("{{prefix}} {{bar:{cells}}} {{pos}}/{{len}}  {{msg}}");
            Bar::new(progress.total_steps, &style, progress.task)
        });
        bar.set_message(summary(progress, screen().columns));
        bar.set_position(progress.step);
    }

    fn note(&mut self, text: &str) {
        let text = wrapped(text, error_screen().columns);
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    fn end(&mut self) {
        self.bar = None;
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
