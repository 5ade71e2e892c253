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

/// Watches nothing.
pub struct Quiet;

impl Observer for Quiet {
    fn step(&mut self, _: &Progress) {}
    fn note(&mut self, _: &str) {}
    fn end(&mut self) {}
}
