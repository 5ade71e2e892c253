//! A training run as a curve that grows while it is looked at.

use super::iopub::Stream;
use super::output::{Live, Output};
use crate::plot::{Plot, Series};
use crate::script::{Screen, Shown};
use crate::session::pictures;
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
        }
    }

    fn plot(&self) -> Plot {
        let series = vec![Series::named(self.metric, self.points.clone())];
        Plot::line(series)
            .titled(self.line.as_str())
            .labelled("step", self.metric)
    }

    fn draw(&mut self) {
        let text = ("text/plain", self.line.clone());
        let picture = ("image/svg+xml", self.plot().to_svg());
        self.live.show(&vec![text, picture]);
        self.drawn = Some(Instant::now());
    }

    /// Draws what stays, in all forms: a notebook that is not trusted shows no SVG.
    fn draw_last(&mut self) {
        let plot = self.plot();
        let text = Shown::Plot(plot.clone()).to_text(&Screen::default());
        let mut forms = vec![("text/plain", text)];
        forms.extend(pictures(&plot));
        self.live.show(&forms);
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
        // A picture's title has no columns.
        let summary = progress.fields().join(" · ");
        self.line = format!("{task} {step}/{total} · {summary}");
        if self.drawn.is_none_or(|last| last.elapsed() >= PAUSE) {
            self.draw();
        }
    }

    fn note(&mut self, text: &str) {
        // What goes to this stream looks like a failure, and not all that is worth a line is one.
        match text.starts_with("warning") {
            true => self.output.write(Stream::Err, &format!("{text}\n")),
            false => self.output.display(&vec![("text/plain", text.to_string())]),
        }
    }

    fn end(&mut self) {
        if !self.points.is_empty() {
            self.draw_last();
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
