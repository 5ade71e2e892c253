//! A run as a bar in a terminal, and as lines elsewhere; always on standard error.

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

struct Bar {
    bar: Option<ProgressBar>,
}

impl Observer for Bar {
    fn step(&mut self, progress: &Progress) {
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(progress.total_steps);
            let style = ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len}  {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style);
            bar.set_prefix(progress.task);
            bar
        });
        bar.set_message(progress.summary());
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
