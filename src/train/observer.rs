//! How a trainer tells what it is doing; a front end decides how that looks.

use super::Metrics;
use std::time::Duration;

/// Where a run stands after a step.
#[derive(Clone, Debug)]
pub struct Progress<'a> {
    /// What is being done: `grpo`, `sft`.
    pub task: &'static str,
    /// Steps taken, this one included.
    pub step: u64,
    pub total_steps: u64,
    pub elapsed: Duration,
    pub metrics: &'a Metrics,
}

impl Progress<'_> {
    /// The numbers that people look at, in one line.
    pub fn summary(&self) -> String {
        self.fields().join("  ")
    }

    /// The same one by one, the time last.
    pub fn fields(&self) -> Vec<String> {
        let mut parts = Vec::new();
        for (label, name, digits) in [
            ("reward", "reward", 3),
            ("loss", "loss", 4),
            ("tok/s", "tokens_per_second", 0),
        ] {
            if let Some(value) = self.metrics.get(name) {
                let number = format!("{value:.digits$}");
                // A loss of -0.00001 is no loss of -0.0000.
                let is_zero = number.chars().all(|c| matches!(c, '-' | '0' | '.'));
                let number = if is_zero {
                    number.replace('-', "")
                } else {
                    number
                };
                parts.push(format!("{label} {number}"));
            }
        }
        let elapsed = self.elapsed.as_secs_f64();
        parts.push(match self.total_steps.saturating_sub(self.step) {
            0 => format!("done in {}", clock(elapsed)),
            left => {
                let seconds = elapsed / self.step.max(1) as f64 * left as f64;
                format!("{} left", clock(seconds))
            }
        });
        parts
    }
}

fn clock(seconds: f64) -> String {
    let total = seconds.round() as u64;
    match total {
        0..60 => format!("{total} s"),
        60..3600 => format!("{}:{:02}", total / 60, total % 60),
        _ => format!("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60),
    }
}

/// Somebody who watches a run.
pub trait Observer {
    /// A step was taken.
    fn step(&mut self, progress: &Progress);
    /// Something worth a line.
    fn note(&mut self, text: &str);
    /// The run ended, well or not.
    fn end(&mut self);
}

/// What is said of a run that somebody stopped: where it stands, and how it goes on.
pub fn stopped(step: u64, total: u64, run_dir: &std::path::Path) -> String {
    let run = run_dir.display();
    if step == 0 {
        return format!("interrupted before the first of {total} steps");
    }
    format!(
        "interrupted after step {step} of {total}, which is saved; `.train(..)` goes on, and so does a \
         trainer with the same settings after `.resume(\"{run}\")`"
    )
}

/// What is said of a run that has no steps left.
pub fn finished(total: u64, run_dir: &std::path::Path) -> String {
    format!(
        "the run has taken all of its {total} steps; a trainer with a larger `max_steps` goes on after \
         `.resume(\"{}\")`",
        run_dir.display()
    )
}

/// Watches nothing.
pub struct Quiet;

impl Observer for Quiet {
    fn step(&mut self, _: &Progress) {}
    fn note(&mut self, _: &str) {}
    fn end(&mut self) {}
}
