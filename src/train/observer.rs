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

/// Watches nothing.
pub struct Quiet;

impl Observer for Quiet {
    fn step(&mut self, _: &Progress) {}
    fn note(&mut self, _: &str) {}
    fn end(&mut self) {}
}
