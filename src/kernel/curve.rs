//! A training run as a curve that grows while it is looked at.

use super::iopub::Stream;
use super::output::{Live, Output};
use crate::plot::{Plot, Series};
use crate::train::{Observer, Progress};
use std::time::{Duration, Instant};

/// A picture is drawn at most so often.
const PAUSE: Duration = Duration::from_millis(250);

/// A curve of more points than this is thinned out.
const MOST_POINTS: usize = 1000;

/// What a run is watched for, by what it has: the first of these.
const WATCHED: [&str; 2] = ["reward", "loss"];

/// Watches a run.
pub struct Curve {
    live: Live,
    output: Output,
    metric: &'static str,
    points: Vec<(f64, f64)>,
    /// The last step in words.
    line: String,
    drawn: Option<Instant>,
    is_new: bool,
}

impl Curve {
    /// A curve without points; nothing is shown before the first step.
    pub fn new(output: &Output) -> Self {
        Self {
            live: output.live(),
            output: output.clone(),
            metric: WATCHED[0],
            points: Vec::new(),
            line: String::new(),
            drawn: None,
            is_new: false,
        }
    }

    fn draw(&mut self) {
        let series = vec![Series::named(self.metric, self.points.clone())];
        let plot = Plot::line(series)
            .titled(self.line.as_str())
            .labelled("step", self.metric);
        let text = ("text/plain", self.line.clone());
        self.live
            .show(&vec![text, ("image/svg+xml", plot.to_svg())]);
        self.drawn = Some(Instant::now());
        self.is_new = false;
    }
}

impl Observer for Curve {
    fn step(&mut self, progress: &Progress) {
        let metrics = progress.metrics;
        if self.points.is_empty() {
            let has = |name: &&&str| metrics.get(name).is_some();
            self.metric = WATCHED.iter().find(has).unwrap_or(&WATCHED[0]);
        }
        if let Some(value) = metrics.get(self.metric) {
            self.points.push((progress.step as f64, value));
        }
        if self.points.len() > MOST_POINTS {
            self.points = thinned(&self.points);
        }
        let (task, step, total) = (progress.task, progress.step, progress.total_steps);
        self.line = format!("{task} {step}/{total}  {}", progress.summary());
        self.is_new = true;
        if self.drawn.is_none_or(|last| last.elapsed() >= PAUSE) {
            self.draw();
        }
    }

    fn note(&mut self, text: &str) {
        self.output.write(Stream::Err, &format!("{text}\n"));
    }

    fn end(&mut self) {
        if self.is_new {
            self.draw();
        }
    }
}

/// Half as many points, each the mean of two.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mean = |pair: &[(f64, f64)]| {
        let n = pair.len() as f64;
        let sum = pair.iter().fold((0.0, 0.0), |s, p| (s.0 + p.0, s.1 + p.1));
        (sum.0 / n, sum.1 / n)
    };
    points.chunks(2).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::thinned;

    #[test]
    fn thinning_keeps_the_course() {
        let points = [(1.0, 2.0), (2.0, 4.0), (3.0, 9.0)];
        assert_eq!(thinned(&points), [(1.5, 3.0), (3.0, 9.0)]);
    }
}
